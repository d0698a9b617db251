"""How commands print: tables that fit, and how far an ingest has come where somebody watches."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from scalper_ml.ingest.store import Progress

__all__ = ["Watcher", "console", "print_json", "table_of", "watcher"]

_WIDTH = 160


def console(*, stderr: bool = False) -> Console:
    """A console wide enough for the tables where its output goes to a file or a narrow terminal."""
    found = Console(stderr=stderr)
    return found if found.is_terminal and found.width >= _WIDTH else Console(width=_WIDTH, stderr=stderr)


def print_json(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as a JSON array."""
    print(json.dumps(list(rows), indent=1))


def table_of(title: str, columns: Mapping[str, str], rows: Iterable[Sequence[object]]) -> Table:
    """A plain table; `columns` maps a heading to ``left`` or ``right``."""
    style = {"box": SIMPLE_HEAD, "pad_edge": False, "show_edge": False}
    table = Table(title=title, title_justify="left", padding=(0, 1, 0, 0), **style)  # type: ignore[arg-type]
    for name, side in columns.items():
        table.add_column(name, justify="right" if side == "right" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else "-" if cell is None else str(cell) for cell in row))
    return table


class Watcher:
    """Told how far fetching and reading have come; a silent one where nobody watches."""

    def fetching(self, name: str, done: int, total: int | None) -> None:
        """Bytes of a file that are here."""

    def reading(self, symbol: str) -> "Callable[[Progress], None] | None":
        """What to tell between batches."""
        return None


@contextmanager
def watcher(found: Console) -> Iterator[Watcher]:
    """A watcher that draws on a terminal."""
    if not found.is_terminal:
        yield Watcher()
        return
    from scalper_ml.commands.progress import drawn

    with drawn(found) as drawing:
        yield drawing
