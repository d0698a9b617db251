"""A project of its own for tests of ticks: two coins, files of a few trades, the command line in this process."""

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from scalper_ml.project import Project, open_project

__all__ = ["Done", "TickProject", "tape"]

CHECKOUT = Path(__file__).resolve().parents[1]
MS = 1_704_067_200_000  # 2024-01-01
DAY_MS = 86_400_000


def tape(first_day: int, days: int = 1, *, step_s: int = 600, symbol_seed: int = 0) -> str:
    """Trades with ids, one every `step_s` seconds: the same trade has the same id whichever tape it is on."""
    per_day = 86_400 // step_s
    rows = ["ts,price,qty,side,id"]
    for place in range(first_day * per_day, (first_day + days) * per_day):
        price = 100 + (place * 7 + symbol_seed) % 13 / 10
        side = "buy" if place % 3 else "sell"
        rows.append(f"{MS + place * step_s * 1000},{price:.1f},{1 + place % 5},{side},{place + 1}")
    return "\n".join(rows) + "\n"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class TickProject:
    """A folder with ``config/settings.yaml``."""

    folder: Path
    patch: pytest.MonkeyPatch

    @classmethod
    def make(cls, folder: Path, patch: pytest.MonkeyPatch, *, source: dict[str, object] | None = None) -> "TickProject":
        """The shipped settings, with BTCUSDT and ETHUSDT from tick files."""
        values = yaml.safe_load((CHECKOUT / "config" / "settings.yaml").read_text())
        mine = {
            "symbols": ["BTCUSDT", "ETHUSDT"],
            "horizons": [1],
            "bars": {"interval": "1m"},
            "source": {"kind": "ticks", "folder": "ticks", **(source or {})},
            "storage": {"root": "warehouse"},
        }
        values |= {"profile": "mine", "profiles": {"mine": mine, "demo": values["profiles"]["demo"]}}
        (folder / "config").mkdir(parents=True)
        (folder / "ticks").mkdir()
        (folder / "config" / "settings.yaml").write_text(yaml.safe_dump(values))
        return cls(folder, patch)

    def put(self, place: str, text: str) -> Path:
        """A file below the project's folder."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def open(self, *overrides: str) -> Project:
        """As the library sees it."""
        return open_project({}, self.folder, overrides=overrides)

    def scalper(self, *arguments: str) -> Done:
        """``scalper ...`` in the project's folder."""
        from scalper_ml.cli import main

        out, err = io.StringIO(), io.StringIO()
        with self.patch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", ["scalper", *arguments])
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Done(code, out.getvalue(), err.getvalue())

    def days(self, symbol: str = "BTCUSDT") -> dict[str, str]:
        """sha256 of every stored day."""
        manifest = self.open().warehouse.manifest("ticks", {"symbol": symbol})
        return {} if manifest is None else {name: entry["sha256"] for name, entry in manifest.files.items()}

    def tree(self) -> dict[str, tuple[int, int]]:
        """Every file with its size and the moment of its last change, and every folder."""
        status = {path: path.stat() for path in sorted(self.folder.rglob("*"))}
        return {str(path): (one.st_size, one.st_mtime_ns) for path, one in status.items()}
