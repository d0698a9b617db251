"""Where the sealed bundles of a model lie."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from scalper_ml.durable import atomic_write, locked

__all__ = ["BundleStore"]


class BundleStore:
    """Sealed bundles of one model partition: ``bundles/<id>``, written once, the newest `keep` kept."""

    def __init__(self, folder: Path, keep: int = 5) -> None:
        self.folder = folder / "bundles"
        self.keep = keep

    def put(self, bundle_id: str, files: Mapping[str, bytes]) -> Path:
        """Write a bundle unless it is there already; complete or not at all."""
        target = self.folder / bundle_id
        with locked(self.folder):
            whole = target.is_dir() and {p.name: p.read_bytes() for p in target.iterdir()} == dict(files)
            if not whole:
                temporary = self.folder / f".{bundle_id}.{os.getpid()}.tmp"
                shutil.rmtree(temporary, ignore_errors=True)
                for name, data in files.items():
                    atomic_write(temporary / name, data)
                shutil.rmtree(target, ignore_errors=True)  # only ever a damaged one
                os.replace(temporary, target)
            os.utime(target)
        return target

    def prune(self, pinned: Sequence[str] = ()) -> list[str]:
        """Remove all but the newest `keep` bundles and the pinned ones; return the ids removed."""
        bundles = sorted(
            (p for p in self.folder.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime_ns, reverse=True
        )
        old = [p for p in bundles[self.keep :] if p.name not in pinned]
        for path in old:
            shutil.rmtree(path)
        return [p.name for p in old]
