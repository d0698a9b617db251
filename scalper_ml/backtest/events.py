"""The event loop: orders against trades where there are trades, and against bars otherwise.

An event is an interval with a price path: a bar, or a single trade, whose open, high, low and close are one price. So
there is one loop for both. Within a bar the open comes first; where the path could have met a stop and a target, it
met the stop.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from scalper_ml.errors import ContractError
from scalper_ml.kernel import kernel

__all__ = ["EXITS", "Fills", "Orders", "Tape", "Walk", "walk"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

EXITS: Final = ("none", "time", "stop", "target", "opposite")
"""Why a position was left, by the code in `Fills.reason`; 0: the order was not filled, or is open still."""

NEVER: Final = np.iinfo(np.int64).max
_FREE: Final = -1

# positions within the carried state
_HELD, _WAITING, _NEXT, _LEFT = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """What happened, in order; every array has shape (n,).

    Of trades `open`, `high`, `low` and `close` are the same array, and so are `start` and `end`.

    Parameters
    ----------
    start, end : ndarray of int64
        First moment of each event and the moment it is known, microseconds; `start` does not decrease.
    """

    start: I64
    end: I64
    open: F64
    high: F64
    low: F64
    close: F64

    @classmethod
    def of_trades(cls, ts_us: I64, price: F64) -> "Tape":
        """Every trade an event of its own."""
        return cls(ts_us, ts_us, price, price, price, price)

    @classmethod
    def executable(cls, days: Iterable[tuple[I64, F64]], wanted: I64) -> "Tape":
        """Of all trades those that can fill takers without stop or target: the first at or after each moment wanted.

        Parameters
        ----------
        days : iterable of pairs
            Moments and prices of the trades, piece by piece in order; one piece at a time is held.
        wanted : ndarray of int64
            Moments at which orders arrive or positions are left.

        Notes
        -----
        `walk` gives the same fills on it as on all trades.
        """
        due = np.unique(wanted)
        kept_ts, kept_price = [np.zeros(0, np.int64)], [np.zeros(0)]
        for ts_us, price in days:
            if due.size == 0:
                break
            here = due[: np.searchsorted(due, ts_us[-1], side="right")] if ts_us.size else due[:0]
            first = np.unique(np.searchsorted(ts_us, here))
            kept_ts.append(ts_us[first])
            kept_price.append(price[first])
            due = due[here.size :]
        return cls.of_trades(np.concatenate(kept_ts), np.concatenate(kept_price))


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """What is wanted, in the order of `decided`; every array has shape (m,).

    Attributes
    ----------
    decided : int64
        Moment of the decision. A position that is open then keeps the order from being sent.
    arrives : int64
        When it can be filled first, >= `decided`.
    leaves : int64
        When the position is to be left at the latest.
    side : float64
        +1 or -1.
    limit : float64
        Least good price of a maker order, NaN for a taker. It is filled once the market trades through it.
    expires : int64
        When a maker order that waits is taken back.
    stop, target : float64
        Distances from the entry as fractions of it, > 0; infinity: none.
    """

    decided: I64
    arrives: I64
    leaves: I64
    side: F64
    limit: F64
    expires: I64
    stop: F64
    target: F64

    def __post_init__(self) -> None:
        sizes = {getattr(self, name).size for name in self.__dataclass_fields__}
        if len(sizes) > 1 or not self._in_order():
            raise ContractError(
                f"orders: columns of sizes {sorted(sizes)}; expected one size, decisions in order, arrivals not before"
            )

    def _in_order(self) -> bool:
        return bool(
            (np.diff(self.decided) >= 0).all()
            and (np.diff(self.arrives) >= 0).all()
            and (self.arrives >= self.decided).all()
        )

    @classmethod
    def takers(
        cls, decided: I64, arrives: I64, leaves: I64, side: F64, *, stop: float = np.inf, target: float = np.inf
    ) -> "Orders":
        """Orders that cross the spread as soon as they arrive."""
        n = decided.size
        every = [np.full(n, value) for value in (np.nan, float(stop), float(target))]
        return cls(decided, arrives, leaves, side, every[0], np.full(n, NEVER), every[1], every[2])


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """What became of each order; every array has shape (m,).

    `entry_at` and `exit_at` are events of the tape they happened in (counted over all tapes walked), -1 where they did
    not; `maker_in` and `maker_out` tell on which fills the market came to us.
    """

    entry_at: I64
    exit_at: I64
    entry_ts: I64
    exit_ts: I64
    entry_price: F64
    exit_price: F64
    reason: NDArray[np.int8]
    maker_in: NDArray[np.bool_]
    maker_out: NDArray[np.bool_]


class Walk:
    """Orders on their way through one tape after the other; any cutting of the tape gives the same fills.

    Parameters
    ----------
    orders : Orders
    opposite : bool
        A position is left when an order of the other side arrives.
    maker_target : bool
        Targets rest at the venue: they are filled at their price once the market trades through it, as a maker.
    """

    def __init__(self, orders: Orders, *, opposite: bool = False, maker_target: bool = False) -> None:
        m = orders.decided.size
        self.orders = orders
        self.fills = Fills(
            np.full(m, -1, np.int64), np.full(m, -1, np.int64), np.zeros(m, np.int64), np.zeros(m, np.int64),
            np.full(m, np.nan), np.full(m, np.nan), np.zeros(m, np.int8), np.zeros(m, np.bool_), np.zeros(m, np.bool_),
        )  # fmt: skip
        self._state = np.array([_FREE, _FREE, 0, np.iinfo(np.int64).min], dtype=np.int64)
        self._seen = 0
        self._flags = (opposite, maker_target)

    def over(self, tape: Tape) -> None:
        """Walk the next tape."""
        o, f = self.orders, self.fills
        _walk(
            tape.start, tape.end, tape.open, tape.high, tape.low,
            o.decided, o.arrives, o.leaves, o.side, o.limit, o.expires, o.stop, o.target,
            f.entry_at, f.exit_at, f.entry_ts, f.exit_ts, f.entry_price, f.exit_price, f.reason,
            f.maker_in, f.maker_out, self._state, self._seen, *self._flags,
        )  # fmt: skip
        self._seen += tape.start.size


def walk(tape: Tape, orders: Orders, *, opposite: bool = False, maker_target: bool = False) -> Fills:
    """Fills of orders on one tape; see `Walk`.

    Notes
    -----
    An order is sent only if nothing is held and nothing waits when it is decided: one position at a time. It is filled
    at the open of the first event that starts at or after its arrival. A position is left, whichever comes first: at
    the first open at or after `leaves`; at the first open at which an order of the other side has arrived, where
    that is asked for; at its stop, or at the open that lies beyond it already; at its target.

    Event i is filled with prices of event i alone, and decided by nothing after it.

    Examples
    --------
    >>> tape = Tape.of_trades(np.arange(5), np.array([100.0, 101.0, 103.0, 104.0, 102.0]))
    >>> orders = Orders.takers(np.array([0]), np.array([1]), np.array([4]), np.ones(1), target=0.02)
    >>> fills = walk(tape, orders)
    >>> fills.entry_price.tolist(), EXITS[fills.reason[0]], fills.exit_price.round(2).tolist()
    ([101.0], 'target', [103.02])
    """
    walking = Walk(orders, opposite=opposite, maker_target=maker_target)
    walking.over(tape)
    return walking.fills


@kernel
def _walk(
    start: np.ndarray,
    end: np.ndarray,
    open_: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    decided: np.ndarray,
    arrives: np.ndarray,
    leaves: np.ndarray,
    side: np.ndarray,
    limit: np.ndarray,
    expires: np.ndarray,
    stop: np.ndarray,
    target: np.ndarray,
    entry_at: np.ndarray,
    exit_at: np.ndarray,
    entry_ts: np.ndarray,
    exit_ts: np.ndarray,
    entry_price: np.ndarray,
    exit_price: np.ndarray,
    reason: np.ndarray,
    maker_in: np.ndarray,
    maker_out: np.ndarray,
    state: np.ndarray,
    seen: int,
    opposite: bool,
    maker_target: bool,
) -> None:
    """One pass over the events; `state` is carried from tape to tape."""
    n, m = start.size, decided.size
    held, waiting, k, left = state[_HELD], state[_WAITING], state[_NEXT], state[_LEFT]
    sign, floor, goal = 1.0, -np.inf, np.inf
    if held >= 0:
        sign = side[held]
        floor, goal = entry_price[held] * (1.0 - sign * stop[held]), entry_price[held] * (1.0 + sign * target[held])
    for i in range(n):
        t = start[i]
        if held < 0 and waiting < 0 and (k == m or arrives[k] > t):
            continue
        if waiting >= 0 and t >= expires[waiting]:
            left = expires[waiting]  # until then it kept others from being sent
            waiting = -1
        code, price = 0, 0.0
        if held >= 0:
            if t >= leaves[held]:
                code, price = 1, open_[i]
            elif sign * (open_[i] - floor) <= 0.0:
                code, price = 2, open_[i]
        while k < m and arrives[k] <= t:
            if held >= 0:
                if code == 0 and opposite and side[k] != sign:
                    code, price = 4, open_[i]
            elif waiting < 0 and decided[k] > left:
                if np.isnan(limit[k]):
                    held, sign = k, side[k]
                    entry_at[k], entry_ts[k], entry_price[k] = seen + i, t, open_[i]
                    floor, goal = open_[i] * (1.0 - sign * stop[k]), open_[i] * (1.0 + sign * target[k])
                    if t >= leaves[k]:  # nothing happened in between
                        code, price = 1, open_[i]
                else:
                    waiting = k
            k += 1
        if waiting >= 0:
            paid, sign = limit[waiting], side[waiting]
            if sign * ((low[i] if sign > 0 else high[i]) - paid) < 0.0:
                held, waiting = waiting, -1
                maker_in[held] = True
                entry_at[held], entry_ts[held], entry_price[held] = seen + i, max(t, end[i] - 1), paid
                floor, goal = paid * (1.0 - sign * stop[held]), paid * (1.0 + sign * target[held])
                if sign * ((low[i] if sign > 0 else high[i]) - floor) <= 0.0:  # its target may lie before the fill
                    code, price = 2, floor
        elif held >= 0 and code == 0:
            if sign * ((low[i] if sign > 0 else high[i]) - floor) <= 0.0:
                code, price = 2, floor
            else:
                beyond = sign * ((high[i] if sign > 0 else low[i]) - goal)
                if beyond > 0.0 or (beyond == 0.0 and not maker_target):
                    code, price = 3, goal
        if code:
            exit_at[held], exit_price[held], reason[held] = seen + i, price, code
            exit_ts[held] = t if price == open_[i] else max(t, end[i] - 1)
            maker_out[held] = code == 3 and maker_target
            left = exit_ts[held]
            held = -1
    state[_HELD], state[_WAITING], state[_NEXT], state[_LEFT] = held, waiting, k, left
