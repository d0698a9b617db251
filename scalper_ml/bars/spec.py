"""What ends a bar: the clock, or what was traded in it."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from scalper_ml.errors import ContractError

__all__ = ["KINDS", "BarKind", "BarSpec"]

BarKind = Literal["time", "tick", "volume", "dollar", "tick_imbalance", "volume_imbalance", "dollar_imbalance"]
KINDS: Final[tuple[BarKind, ...]] = get_args(BarKind)


@dataclass(frozen=True, slots=True)
class BarSpec:
    """The rule by which trades become bars.

    ====================  =======================================  ==============================================
    kind                  ``size``                                 the bar ends
    ====================  =======================================  ==============================================
    ``time``              microseconds, whole                      at ``start + size``, whoever trades
    ``tick``              trades, whole                            with the ``size``-th trade
    ``volume``            base units                               with the trade that makes its volume >= size
    ``dollar``            quote units                              with the trade that makes price x qty >= size
    ``tick_imbalance``    trades                                   with the trade that makes ``|sum b| >= size``
    ``volume_imbalance``  base units                               with the trade that makes ``|sum b q| >= size``
    ``dollar_imbalance``  quote units                              with the trade that makes ``|sum b p q| >= size``
    ====================  =======================================  ==============================================

    ``b`` is the aggressor side of a trade (+1 buyer, -1 seller), ``p`` its price, ``q`` its quantity.

    Parameters
    ----------
    kind : str
        One of `KINDS`. All but ``time`` are event bars.
    size : float
        Positive and finite, in the unit above; at most 2**53.

    Raises
    ------
    ContractError
        An unknown kind, or a size that the kind cannot have.

    Notes
    -----
    A trade is never split: the one that reaches the size belongs whole to the bar it ends, and the next bar starts
    from zero. An event bar therefore overshoots by less than its last trade, and one large trade makes one bar, not
    many. Sums run in trade order, so the end of a bar depends on nothing but the trades in it.

    Imbalance bars follow [1]_, section 2.3.2, where a bar ends as soon as ``|sum b_t v_t|`` reaches an expectation
    learnt from earlier bars. Here that threshold is fixed: the learnt one feeds on the lengths of the bars it ends
    and runs away in practice, and it would make each bar depend on where history starts. ``b`` is the aggressor
    side that the venue reports, which the book's tick rule only guesses.

    References
    ----------
    .. [1] M. Lopez de Prado, *Advances in Financial Machine Learning*, Wiley 2018, chapter 2.3.

    Examples
    --------
    >>> BarSpec("dollar", 1_000_000)
    BarSpec(kind='dollar', size=1000000.0)
    >>> BarSpec("tick", 0.5)
    Traceback (most recent call last):
        ...
    scalper_ml.errors.ContractError: bars 'tick': size 0.5; expected a positive whole number of trades
    """

    kind: BarKind
    size: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ContractError(f"bars {self.kind!r}: no such kind; expected one of {list(KINDS)}")
        whole = {"time": "microseconds", "tick": "trades"}.get(self.kind)
        if not 0 < self.size <= 2**53 or (whole and self.size != int(self.size)):
            expected = f"a positive whole number of {whole}" if whole else "a positive, finite number, at most 2**53"
            raise ContractError(f"bars {self.kind!r}: size {self.size}; expected {expected}")
        object.__setattr__(self, "size", float(self.size))
