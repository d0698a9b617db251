"""What a loop wrote down: decisions and paper trades in parts, and a checkpoint that says how many of them count.

A part is written before the checkpoint that names it. A process killed at any moment leaves the last checkpoint in
place; what was written after it is written again by the process that goes on from there.
"""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from scalper_ml.durable import atomic_write, canonical_json, parquet_bytes, sha256_of
from scalper_ml.errors import WarehouseError
from scalper_ml.live.broker import PAPER_TRADES, paper_trades
from scalper_ml.live.decisions import DECISIONS, decisions_table
from scalper_ml.live.loop import Loop, Outcome

__all__ = ["Journal", "parts_of"]

_CHECKPOINT: Final = "checkpoint.json"
_VERSION: Final = 2
_PART: Final = re.compile(r"(decisions|trades)-\d{6,}-[0-9a-f]{12}\.parquet")


class Journal:
    """A folder of one loop's output, continued where it ends.

    Parameters
    ----------
    folder : Path
        One loop at a time.
    about : mapping, optional
        What the loop is: a journal of another one is refused.

    Raises
    ------
    WarehouseError
        The folder holds the journal of another loop, or a damaged checkpoint.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self._about: dict[str, Any] = json.loads(canonical_json(dict(about or {})))
        self._parts: list[dict[str, str]] = []
        self._state: dict[str, Any] | None = None
        found = _read(folder)
        if found is None:
            return
        if what := _differences(found["about"], self._about):
            raise WarehouseError(
                f"{folder}: holds another run ({'; '.join(what)}) - name another folder, a new one, or remove it"
            )
        self._parts, self._state = found["parts"], found["loop"]

    def resume(self, loop: Loop) -> bool:
        """Bring a loop to the last checkpoint; False where there is none.

        Raises
        ------
        WarehouseError
            The checkpoint or a part it names is damaged.
        FeatureSetError, ContractError
            As `Loop.restore`.
        """
        if self._state is None:
            return False
        path = self.folder / _CHECKPOINT
        try:
            loop.restore(self._state)
        except (ArithmeticError, AttributeError, EOFError, LookupError, TypeError, ValueError, struct.error) as error:
            raise WarehouseError(
                f"{path}: no state of a loop ({error!r}) - remove the folder and start anew"
            ) from error
        self.tables()  # a damaged part is told of now, not when all is done
        return True

    def save(self, loop: Loop) -> Outcome:
        """Write down what the loop did since the last time, and where it stands; returns the former."""
        outcome = loop.take()
        tables = {"decisions": decisions_table(outcome.decided), "trades": paper_trades(outcome.trades)}
        part = {}
        for name, table in tables.items():
            if table.num_rows:
                data = parquet_bytes(table)
                part[name] = f"{name}-{len(self._parts) + 1:06d}-{sha256_of(data)[:12]}.parquet"
                atomic_write(self.folder / part[name], data)
        self._parts = [*self._parts, part] if part else self._parts
        said = {"version": _VERSION, "about": self._about, "parts": self._parts, "loop": loop.state()}
        atomic_write(self.folder / _CHECKPOINT, canonical_json(said))
        return outcome

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """All decisions and all paper trades that count."""
        return parts_of(self.folder)


def parts_of(folder: Path) -> tuple[pa.Table, pa.Table]:
    """Decisions by close, and paper trades by exit, of a journal; empty where there is none.

    Raises
    ------
    WarehouseError
        The checkpoint is damaged, or a part that it names is missing or not what was written.
    """
    found = _read(folder)
    parts = [] if found is None else found["parts"]
    read = [
        [_part(folder / part[name], schema) for part in parts if name in part]
        for name, schema in (("decisions", DECISIONS), ("trades", PAPER_TRADES))
    ]
    decisions, trades = read
    return _sorted(decisions, DECISIONS, "ts_us"), _sorted(trades, PAPER_TRADES, "exit_ts_us")


def _part(path: Path, schema: pa.Schema) -> pa.Table:
    """A part whose bytes are those that its name was made of."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WarehouseError(
            f"{path}: the checkpoint names this part, which cannot be read ({error.strerror}) - put it back, or remove "
            "the folder and start anew"
        ) from None
    if f"-{sha256_of(data)[:12]}.parquet" not in path.name:
        raise WarehouseError(
            f"{path}: its {len(data):,} bytes are not those that were written, by the hash in its name - put it back, "
            "or remove the folder and start anew"
        )
    return pq.read_table(pa.BufferReader(data), schema=schema)


def _differences(held: Mapping[str, Any], asked: Mapping[str, Any], at: str = "") -> list[str]:
    """What two runs do not share, by name."""
    found = []
    for name in sorted({*held, *asked}):
        one, other = held.get(name), asked.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, f"{at}{name}.")
        elif one != other or (name in held) != (name in asked):
            found.append(f"{at}{name}: {one!r} there, {other!r} here")
    return found


def _sorted(tables: Sequence[pa.Table], schema: pa.Schema, by: str) -> pa.Table:
    keys = [(name, "ascending") for name in (by, "symbol", "horizon")]
    return pa.concat_tables([schema.empty_table(), *tables]).sort_by(keys).combine_chunks()


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / _CHECKPOINT
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise WarehouseError(f"{folder}: a file; expected a folder, or a name that is free") from None
    except OSError as error:
        raise WarehouseError(f"{path}: cannot be read ({error.strerror}) - name another folder") from None
    try:
        found: dict[str, Any] = json.loads(data)
        if found["version"] != _VERSION:
            raise WarehouseError(f"{path}: of version {found['version']}, expected {_VERSION} - remove the folder")
        _check(found)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise WarehouseError(f"{path}: no checkpoint ({error!r}) - remove the folder and start anew") from error
    return found


def _check(found: Mapping[str, Any]) -> None:
    """Whether a checkpoint has what it must."""
    if not isinstance(found["about"], dict) or not isinstance(found["loop"], dict):
        raise TypeError("about and loop: expected maps")
    for part in found["parts"]:
        if strange := [one for name, one in part.items() if not _PART.fullmatch(one) or not one.startswith(name)]:
            raise ValueError(f"parts: {strange}; expected names such as trades-000001-0123456789ab.parquet")
