"""Each member has one vote for the class it finds likeliest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from scalper_ml.ensembles.base import Combiner, EnsembleKind, Opinions, Past
from scalper_ml.models.base import FitContext, Floats, ModelParams

__all__ = ["ENSEMBLE", "MajorityVote", "VoteParams"]


@dataclass(frozen=True, slots=True)
class VoteParams(ModelParams):
    """Nothing to choose."""


@dataclass(frozen=True, slots=True)
class MajorityVote:
    """Shares of the votes, the class shares of train counting as one vote more.

    That vote keeps a class nobody voted for possible, and tells apart two classes of equal votes; calibration makes
    probabilities of the shares.

    Examples
    --------
    >>> P = np.array([[[0.2, 0.3, 0.5]], [[0.4, 0.3, 0.3]], [[0.1, 0.4, 0.5]]])
    >>> MajorityVote(3, (0.3, 0.4, 0.3)).combine(Opinions(P, P)).tolist()
    [[0.325, 0.1, 0.575]]
    """

    members: int
    prior: tuple[float, ...]

    def combine(self, opinions: Opinions) -> Floats:
        """Probabilities (n, 3)."""
        votes = np.eye(len(self.prior))[opinions.calibrated.argmax(axis=2)].sum(axis=0)
        return np.asarray((votes + np.array(self.prior)) / (self.members + 1), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"members": self.members, "prior": list(self.prior)}

    def shares(self) -> Floats:
        """One vote each."""
        return np.full(self.members, 1.0 / self.members)


def fit(past: Past, members: tuple[str, ...], prior: Floats, params: VoteParams, context: FitContext) -> Combiner:
    """A vote a member; the past is not looked at."""
    return MajorityVote(len(members), tuple(prior.tolist()))


def load(values: Mapping[str, Any]) -> Combiner:
    """The combiner that `to_dict` described."""
    return MajorityVote(values["members"], tuple(values["prior"]))


ENSEMBLE = EnsembleKind(
    "majority_vote", VoteParams, fit, load, summary="A vote a member for the class it finds likeliest."
)
