"""Start console scripts quickly: one process imports the libraries and forks for every command.

A command is still a process of its own with the environment, the working folder and the exit code of a
real one: the forked process executes the script itself as ``__main__``. Preloaded are libraries only;
nothing of ``scalper_assets``, which reads the environment and the working folder when it is imported.
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

__all__ = ["Command", "CommandServer"]

PRELOADED = (
    "dagster",
    "dagster._cli",
    "dagster._core.executor.multiprocess",
    "dagster._core.storage.sqlite_storage",
    "duckdb",
    "pandas",
    "pyarrow.parquet",
    "rich.progress",
    "scalper_ml.layers",
    "scalper_ml.reports.plots",
    "scipy.signal",
    "typer",
    "xgboost",
)
NUMBER = 8  # bytes of a number in the status pipe
FORK_SAFE = "jemalloc_bg_thd"  # pyarrow's; jemalloc stops it before a fork and starts it again after


class Command:
    """A command that has been started; leader of a process group of its own."""

    def __init__(self, arguments: Sequence[str], status: IO[bytes], out: IO[bytes], err: IO[bytes]) -> None:
        self.arguments = list(arguments)
        self._status, self._out, self._err = status, out, err

    @cached_property
    def pid(self) -> int:
        """Its process id, as soon as it has one."""
        return self._number()

    def kill(self) -> None:
        """`kill -9` to its process group, unless it is known to have ended."""
        if not self._status.closed:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def wait(self, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Its exit code and output when it has ended; a signal is a negative code, as everywhere in Python."""
        pid = self.pid
        if not select.select([self._status], [], [], timeout)[0]:
            os.killpg(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(self.arguments, timeout, *(self._read(f) for f in (self._out, self._err)))
        with self._status, self._out, self._err:
            code = self._number()
            return subprocess.CompletedProcess(self.arguments, code, self._read(self._out), self._read(self._err))

    def _number(self) -> int:
        """The next number the server reports: the process id first, the exit code last."""
        return int.from_bytes(os.read(self._status.fileno(), NUMBER), "big", signed=True)

    @staticmethod
    def _read(file: IO[bytes]) -> str:
        file.seek(0)
        return file.read().decode()


class CommandServer:
    """The process that forks, and the socket it is asked through; it ends with the socket."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TZ": "UTC", "COLUMNS": "200"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # what it buffers and how is what a command finds
                start_new_session=True,
            )

    def start(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Command:
        """Start a Python script with its arguments."""
        request = {"arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 (closed by the command)
        read, write = os.pipe()
        socket.send_fds(self._socket, [json.dumps(request).encode()], [out.fileno(), err.fileno(), write])
        os.close(write)
        return Command(arguments, os.fdopen(read, "rb", buffering=0), out, err)

    def close(self) -> None:
        """End the server."""
        self._socket.close()
        self._process.wait(60)


def preload() -> None:
    """Import the libraries and load the compiled kernels; what forks must be a single thread."""
    for name in PRELOADED:
        importlib.import_module(name)
    import numpy as np

    from scalper_ml.features import INPUT_COLUMNS, compute, feature_set

    X = np.ones((3, len(INPUT_COLUMNS)))
    X[:, INPUT_COLUMNS.index("gap")] = 0
    compute(feature_set(["klines"]), X, np.arange(3))
    threads = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    if len([name for name in threads if name != FORK_SAFE]) > 1:
        raise RuntimeError(f"threads {threads} after the imports; only a single-threaded process may fork")


def serve(control: socket.socket) -> str:
    """Fork for every request; returns, in the process that is to be the command, the script to execute."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1 << 20, 3)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return become(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def become(request: dict[str, object], out: int, err: int, status: int) -> str:
    """Fork once more: one process waits and reports, the other takes on what the request says."""
    child = os.fork()
    if child:
        os.close(out)
        os.close(err)
        _, code = os.waitpid(child, 0)
        os.write(status, os.waitstatus_to_exitcode(code).to_bytes(NUMBER, "big", signed=True))
        os._exit(0)
    os.setsid()
    os.write(status, os.getpid().to_bytes(NUMBER, "big", signed=True))
    os.close(status)
    for source, target in ((out, 1), (err, 2)):
        os.dup2(source, target)
        os.close(source)
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    time.tzset()
    sys.argv = list(request["arguments"])  # type: ignore[call-overload]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    return sys.argv[0]


if __name__ == "__main__":
    requests = socket.socket(fileno=int(sys.argv[1]))
    preload()
    runpy.run_path(serve(requests), run_name="__main__")
