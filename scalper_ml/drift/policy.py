"""When a partition is retrained: what triggers it, and what holds it back (METHOD 5.5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from scalper_ml.drift.edge import LEAST

__all__ = ["AT_ONCE", "COOL_DOWN_US", "Decision", "State", "Watched", "decide_retrain", "state_of", "triggers_of"]

DAY_US: Final = 86_400_000_000
COOL_DOWN_US: Final = DAY_US
AT_ONCE: Final = 4
"""Retrains that may run at a time, of all partitions."""
INPUT_SHARE: Final = 0.3
MOST_DOUBLINGS: Final = 6

State = Literal["NO_CHAMPION", "OK", "WATCH", "DRIFT", "SUSPEND"]


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of one champion when a decision about it is due.

    Parameters
    ----------
    now_us : int
        Stream time: the newest close.
    alarms : tuple of str
        Names of those of its monitor that have fired.
    trades : int
        Completed trades its monitor has seen.
    age_us, max_age_us : int
        Since its newest training row, and how old it may become.
    inputs_moved : float
        Share of the twenty leading features beyond their limits.
    estimate_dropped : bool
        Expected accuracy has fallen by three standard errors or more.
    version_changed : bool
        Features or labels are not those it was made with.
    shadow_running : bool
        A challenger is in its shadow run.
    requested_us : int, optional
        Stream time of the last retrain; None where there was none.
    trades_then : int
        Trades its monitor had seen at that request; 0 where another champion was running.
    failures : int
        Retrains in a row that brought no new champion.
    """

    now_us: int
    alarms: tuple[str, ...] = ()
    trades: int = 0
    age_us: int = 0
    max_age_us: int = 30 * DAY_US
    inputs_moved: float = 0.0
    estimate_dropped: bool = False
    version_changed: bool = False
    shadow_running: bool = False
    requested_us: int | None = None
    trades_then: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to retrain, what asks for it, and what holds it back."""

    retrain: bool
    triggers: tuple[str, ...]
    reason: str


def triggers_of(seen: Watched) -> tuple[str, ...]:
    """What asks for a retrain: alarms of outcomes, age, versions; inputs only together with the estimate.

    Examples
    --------
    >>> triggers_of(Watched(0, inputs_moved=0.9)), triggers_of(Watched(0, inputs_moved=0.9, estimate_dropped=True))
    ((), ('inputs_and_estimate',))
    """
    found = list(seen.alarms)
    if seen.age_us > seen.max_age_us:
        found.append("max_age")
    if seen.inputs_moved >= INPUT_SHARE and seen.estimate_dropped:
        found.append("inputs_and_estimate")
    if seen.version_changed:
        found.append("version_changed")
    return tuple(found)


def decide_retrain(seen: Watched, running: int = 0) -> Decision:
    """Decide about one partition.

    Parameters
    ----------
    running : int
        Retrains of all partitions that have not ended.

    Notes
    -----
    After a retrain the next one waits for a day and for 200 completed trades, whichever is later, and each retrain in a
    row that brought no new champion doubles the day. While a challenger runs in the shadow nothing is retrained.

    Examples
    --------
    >>> decide_retrain(Watched(DAY_US, alarms=("cusum_r",)))
    Decision(retrain=True, triggers=('cusum_r',), reason='cusum_r')
    >>> decide_retrain(Watched(DAY_US, alarms=("cusum_r",), requested_us=DAY_US // 2)).reason
    'cooling down: 12.0 h since the last retrain, 24 h asked for'
    """
    triggers = triggers_of(seen)
    held = _held_back(seen, running) if triggers else "nothing asks for it"
    return Decision(held is None, triggers, ", ".join(triggers) if held is None else held)


def _held_back(seen: Watched, running: int) -> str | None:
    if seen.shadow_running:
        return "a challenger is in its shadow run"
    if seen.requested_us is not None:
        waited, wait = seen.now_us - seen.requested_us, COOL_DOWN_US << min(seen.failures, MOST_DOUBLINGS)
        if waited < wait:
            hours = (one / 3_600_000_000 for one in (waited, wait))
            return "cooling down: {:.1f} h since the last retrain, {:.0f} h asked for".format(*hours)
        if (since := seen.trades - seen.trades_then) < LEAST and not seen.version_changed:
            return f"{since} trades since the last retrain; {LEAST} asked for"
    if running >= AT_ONCE:
        return f"{running} retrains are running; {AT_ONCE} at a time"
    return None


def state_of(seen: Watched, *, suspends: Sequence[str]) -> State:
    """The state of a champion; moved inputs or an estimate off alone are only watched.

    Examples
    --------
    >>> state_of(Watched(0, inputs_moved=0.4), suspends=["drawdown"])
    'WATCH'
    """
    if set(seen.alarms) & set(suspends):
        return "SUSPEND"
    if triggers_of(seen):
        return "DRIFT"
    return "WATCH" if seen.inputs_moved >= INPUT_SHARE or seen.estimate_dropped else "OK"
