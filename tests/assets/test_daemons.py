"""The real daemons: files land, features grow, drift is seen, and exactly what has drifted is retrained."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from flipproject import KEYS, SYMBOL, with_champion

from scalper_ml.layers.champion_record import read_record
from scalper_ml.layers.retraining import retrain_log

SCRIPTS = Path(sys.executable).parent
MINUTES = 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.verify
def test_a_running_dagster_retrains_what_has_drifted(tmp_path: Path) -> None:
    """Under `dagster dev`, a file of a turned market leads to one retrain of its champion, which stays suspended."""
    place = with_champion().copy(tmp_path / "project")
    folder = place.project.folder
    settings = place.project.settings.model_dump(mode="json")
    settings["source"].pop("options", None)
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "settings.yaml").write_text(
        yaml.safe_dump({**settings, "profile": "mine", "profiles": {"mine": {}}})
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCALPER")}
    environment = kept | {"DAGSTER_HOME": str(folder / ".dagster"), "OMP_NUM_THREADS": "1"}
    shared = {"cwd": folder, "env": environment}
    module = ["-m", "scalper_assets.definitions"]
    prepare = "from scalper_assets.driver import initialise_home; from pathlib import Path; initialise_home(Path('.'))"
    subprocess.run([sys.executable, "-c", prepare], check=True, **shared)  # type: ignore[call-overload]
    address = ["--host", "127.0.0.1", "--port", str(free_port())]
    log = (folder / "dev.log").open("w")
    own = {**shared, "stdout": log, "stderr": log, "start_new_session": True}
    dev = subprocess.Popen([str(SCRIPTS / "dagster"), "dev", *module, *address], **own)
    try:
        start = [str(SCRIPTS / "dagster"), "sensor", "start", "--start-all", *module]
        subprocess.run(start, check=True, **shared)  # type: ignore[call-overload]
        place.put(3.5, 5.0)
        deadline = time.monotonic() + 60 * MINUTES
        while not any(row["outcome"] != "requested" for row in retrain_log(place.project, KEYS)):
            assert dev.poll() is None, (folder / "dev.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (folder / "dev.log").read_text()[-3000:]
            time.sleep(2)
    finally:
        dev.terminate()
        try:
            dev.wait(180)  # its code server alone takes up to 60 s
        finally:
            with suppress(ProcessLookupError):
                os.killpg(dev.pid, signal.SIGKILL)  # and what it started
            log.close()
    (row,) = retrain_log(place.project, KEYS)
    assert row["run_key"].startswith(f"retrain {SYMBOL} x 1 ")
    assert row["outcome"] in ("refused", "shadow")
    record = read_record(place.project, KEYS)
    assert record.pointer is not None
    assert record.pointer["suspended"]
    assert record.challenger is not None
