"""Several signal models of one symbol as one: models of a horizon, and horizons, said in one opinion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scalper_ml.errors import ContractError
from scalper_ml.live.filters import BLOCKS, BlockFilters, Conditions
from scalper_ml.live.signal_model import SignalModel
from scalper_ml.models.base import Floats
from scalper_ml.models.decision import Decision, decision_of

__all__ = ["EnsembleSignal", "EnsembleSignalModel"]


@dataclass(frozen=True, slots=True)
class EnsembleSignal:
    """What several models say of one bar.

    Parameters
    ----------
    decision : Decision
        Of all horizons together; NEUTRAL where blocked.
    by_horizon : mapping of horizon to Decision
        Of the models of each horizon.
    agree : float
        Share of the weight whose horizons lean to the side of the whole.
    blocked : str
        Code of the filter that blocks it, empty where none does.
    """

    decision: Decision
    by_horizon: Mapping[int, Decision]
    agree: float
    blocked: str


class EnsembleSignalModel:
    """Signal models of one symbol, of any horizons, as one opinion.

    Probabilities of the models of a horizon are averaged by weight, and so are the horizons': each is a probability of
    the class of its own horizon, and the average one of a move of that side within some horizon. The target is the
    mean of the horizons' targets.

    Parameters
    ----------
    members : sequence of SignalModel
    weights : sequence of float, optional
        Positive; equal by default.
    filters : BlockFilters
    min_confidence : float
        Least confidence that gives a side.

    Raises
    ------
    ContractError
        No member, members of several symbols, or weights that do not fit.
    """

    def __init__(
        self,
        members: Sequence[SignalModel],
        *,
        weights: Sequence[float] | None = None,
        filters: BlockFilters | None = None,
        min_confidence: float = 0.5,
    ) -> None:
        symbols = sorted({one.symbol for one in members})
        given = [1.0] * len(members) if weights is None else list(weights)
        if len(symbols) != 1 or len(given) != len(members) or not all(0 < one < np.inf for one in given):
            raise ContractError(
                f"ensemble signal: {len(members)} members of {symbols}, weights {given}; expected members of one "
                "symbol and a positive weight for each"
            )
        self.members, self.weights = tuple(members), tuple(given)
        self.filters, self.min_confidence = filters or BlockFilters(), min_confidence
        self.horizons = tuple(sorted({one.horizon for one in members}))

    def signals(self, values: Floats, warm: np.ndarray, bars: Conditions) -> list[EnsembleSignal | None]:
        """What is said of consecutive bars; None where a bar is not warm.

        Parameters
        ----------
        values : (n, f)
            Rows of the feature set, in order.
        warm : bool (n,)
        bars : Conditions
            What the filters look at, and the price now.
        """
        every = [one.predict(values, warm) for one in self.members]
        said = {h: self._mean([(P, w) for P, w, _ in self._of(h, every)]) for h in self.horizons}
        moves = {h: self._mean([(m, w) for _, w, m in self._of(h, every)]) for h in self.horizons}
        shares = {h: sum(w for _, w, _ in self._of(h, every)) for h in self.horizons}
        blocks = self.filters.blocks(bars, self.horizons[0])
        return [self._one(row, said, moves, shares, bars, int(blocks[row])) if warm[row] else None
                for row in range(len(warm))]  # fmt: skip

    def _of(self, horizon: int, every: Sequence[Floats]) -> list[tuple[Floats, float, Floats]]:
        return [
            (P, weight, np.asarray(one.metadata["moves"], dtype=np.float64))
            for one, P, weight in zip(self.members, every, self.weights, strict=True)
            if one.horizon == horizon
        ]

    @staticmethod
    def _mean(parts: Sequence[tuple[Floats, float]]) -> Floats:
        total = sum(weight for _, weight in parts)
        return np.asarray(sum(values * (weight / total) for values, weight in parts))

    def _one(
        self,
        row: int,
        said: Mapping[int, Floats],
        moves: Mapping[int, Floats],
        shares: Mapping[int, float],
        bars: Conditions,
        block: int,
    ) -> EnsembleSignal:
        price, total = float(bars.close[row]), sum(shares.values())
        least = 1.1 if block else self.min_confidence  # no confidence reaches it
        each = {h: decision_of(said[h][row], price=price, moves=moves[h].tolist(), min_confidence=least) for h in said}
        P = self._mean([(said[h][row], shares[h]) for h in said])
        drift = self._mean([(moves[h], shares[h]) for h in said])
        whole = decision_of(P, price=price, moves=drift.tolist(), min_confidence=least)
        leans_up = P[2] >= P[0]
        agree = sum(shares[h] for h in said if (said[h][row][2] >= said[h][row][0]) == leans_up) / total
        return EnsembleSignal(whole, each, agree, BLOCKS[block])
