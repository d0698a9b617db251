"""A line that moves: the file that is read, rows, rows a second, and how long it will take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from scalper_ml.commands.console import Watcher
from scalper_ml.ingest.store import Progress

__all__ = ["drawn"]


class _Drawn(Watcher):
    """Draws one line."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task("looking", total=None, said="")
        self._of = ""

    def fetching(self, name: str, done: int, total: int | None) -> None:
        self._begin(f"fetching {name}")
        self._bars.update(self._task, description=f"fetching {name}", completed=done, total=total, said="")

    def reading(self, symbol: str) -> Callable[[Progress], None]:
        def tell(progress: Progress) -> None:
            self._begin(f"reading {symbol}")
            elapsed = self._bars.tasks[0].elapsed or 0.0
            rate = progress.rows / elapsed if elapsed > 0 else 0.0
            said = f"{progress.rows:,} rows, {rate / 1e6:.2f} M rows/s"
            self._bars.update(
                self._task,
                description=f"{symbol} {progress.file}",
                completed=progress.bytes_read,
                total=progress.bytes_total,
                said=said,
            )

        return tell

    def _begin(self, what: str) -> None:
        if what != self._of:
            self._of = what
            self._bars.reset(self._task)


@contextmanager
def drawn(console: Console) -> Iterator[Watcher]:
    """A watcher that draws, gone when it is done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        yield _Drawn(bars)
