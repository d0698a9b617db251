"""Bars a day of ticks at a time, so that a changed day costs that day and not all history."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.spec import BarSpec
from scalper_ml.errors import ContractError

__all__ = ["DayBars", "DayStates", "build_days", "rebuild_days"]


@dataclass(frozen=True, slots=True)
class DayStates:
    """The builder's state before and after the trades of one day."""

    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class DayBars:
    """What the ticks of one day did: the bars they closed, schema `BARS`, and the state around them.

    A bar still open at the end of a day is held by ``states.after`` and is among the bars of the day that closes it.
    """

    day: str
    bars: pa.Table
    states: DayStates


def build_days(
    days: Iterable[tuple[str, pa.Table]], spec: BarSpec | int, start_state: bytes | None = None
) -> Iterator[DayBars]:
    """Bars of one day after the other; one day of ticks is held at a time.

    A day's result depends on `spec`, its ticks and the state before it, on nothing else: started at any day with the
    ``states.after`` of the day before, the bars and states are those of a run over all days, bit for bit.

    Parameters
    ----------
    days : iterable of (str, pyarrow.Table)
        Names that rise, such as ``2024-02-29``, and ticks of schema `TICKS` in time order; a day may be empty.
    spec : BarSpec or int
        What ends a bar; a number is the length of a time bar in microseconds.
    start_state : bytes, optional
        ``states.after`` of the day before the first; without it no trade came before.

    Yields
    ------
    DayBars
        As the days come. The bar open after the last one is ``BarBuilder.from_state(spec, state).finish()``.

    Raises
    ------
    ContractError
        Days that do not rise, a state of other bars, or a trade that is refused; names the day.

    Examples
    --------
    >>> from scalper_ml.schema import TICKS
    >>> [(day.day, day.bars.num_rows) for day in build_days([("2024-02-29", TICKS.empty_table())], 60_000_000)]
    [('2024-02-29', 0)]
    """
    builder = BarBuilder(spec) if start_state is None else BarBuilder.from_state(spec, start_state)
    before, last = builder.state(), ""
    for day, ticks in days:
        _check_rises(last, day)
        try:
            bars = builder.push_ticks(ticks)
        except ContractError as error:
            raise ContractError(f"bars of {day}: {error}") from error
        after = builder.state()
        yield DayBars(day, bars, DayStates(before, after))
        before, last = after, day


def rebuild_days(
    days: Iterable[str],
    load: Callable[[str], pa.Table],
    spec: BarSpec | int,
    saved: Mapping[str, DayStates],
    changed: Collection[str],
) -> Iterator[DayBars]:
    """The days whose bars are not the saved ones any more, built anew; the others are not even read.

    A day is built if its ticks changed, if it was never built, or if the state before it is another than when it was:
    a late trade usually costs its own day and the next one, whose first bar was open over midnight.

    Parameters
    ----------
    days : iterable of str
        All days there are now, rising.
    load : callable
        Ticks of a day, schema `TICKS`; called only for the days that are built.
    spec : BarSpec or int
        What ends a bar.
    saved : mapping of day to DayStates
        From the run that wrote the bars in place; days that are gone are ignored.
    changed : collection of str
        Days whose ticks differ from those of that run.

    Yields
    ------
    DayBars
        Only the days built, in order. With the saved bars and states of the others they are what `build_days` gives.

    Raises
    ------
    ContractError
        As `build_days`.
    """
    state, last = BarBuilder(spec).state(), ""
    for day in days:
        _check_rises(last, day)
        last = day
        known = saved.get(day)
        if known is not None and day not in changed and known.before == state:
            state = known.after
            continue
        (built,) = build_days([(day, load(day))], spec, state)
        state = built.states.after
        yield built


def _check_rises(last: str, day: str) -> None:
    if day <= last:
        raise ContractError(f"days of ticks: {day!r} after {last!r}; expected names that rise, each day once")
