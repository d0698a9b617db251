"""Choose features on some rows and no others: one of each cluster, if it helps on rows the model has not seen."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.splits import walk_forward
from scalper_ml.errors import InsufficientDataError, SettingsError
from scalper_ml.models.base import FitContext
from scalper_ml.models.fitting import TrainingData, fit_rows
from scalper_ml.models.registry import model_kind
from scalper_ml.selection.clusters import correlation_clusters
from scalper_ml.selection.importance import Importance, fold_importance
from scalper_ml.validation.multiplicity import bh

__all__ = ["ChosenSet", "FeatureScore", "Selection", "SelectionParams", "select_features"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_TREES = {"max_rounds": 80, "early_stopping_rounds": 20, "learning_rate": 0.1, "max_depth": 3, "max_bin": 64}


@dataclass(frozen=True, slots=True)
class SelectionParams:
    """How features are chosen.

    Parameters
    ----------
    keep : int
        Most features chosen.
    least : int
        Fewest features chosen, the best by rank where fewer help.
    max_correlation : float
        Features with a higher absolute rank correlation form a cluster, of which one is kept.
    folds : int
        Purged walk-forward folds on which importances are measured.
    repeats : int
        Permutations of a cluster a fold.
    rows : int
        Most rows of a fold on which importances are measured, evenly spaced; correlations, too.
    false_share : float
        Expected share of the features found to help that do not (Benjamini-Hochberg), in (0, 1).
    """

    keep: int = 60
    least: int = 5
    max_correlation: float = 0.9
    folds: int = 3
    repeats: int = 2
    rows: int = 2000
    false_share: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.keep:
            raise SettingsError(f"selection: least {self.least}, keep {self.keep}; expected 1 <= least <= keep")
        if not 0 < self.max_correlation <= 1:
            raise SettingsError(f"selection: max_correlation {self.max_correlation}; expected above 0, at most 1")
        if min(self.folds, self.repeats) < 1 or self.rows < 50:
            raise SettingsError("selection: expected folds and repeats of 1 or more and rows of 50 or more")
        if not 0 < self.false_share < 1:
            raise SettingsError(f"selection: false_share {self.false_share}; expected a share above 0, below 1")


@dataclass(frozen=True, slots=True)
class ChosenSet:
    """Columns chosen from a feature set, in its order; `id` is a digest of the parent's id and the names.

    Examples
    --------
    >>> chosen = ChosenSet("a1b2", ("rsi_14", "cci_20"))
    >>> chosen.id, chosen.positions(("ret_raw_1", "rsi_14", "cci_20")).tolist()
    ('205c6126880a', [1, 2])
    """

    parent: str
    names: tuple[str, ...]

    @property
    def id(self) -> str:
        """Twelve hex digits."""
        return hashlib.sha256(json.dumps([self.parent, list(self.names)]).encode()).hexdigest()[:12]

    def positions(self, names: Sequence[str]) -> Ints:
        """Places of the chosen columns among those of the parent."""
        at = {name: j for j, name in enumerate(names)}
        return np.array([at[name] for name in self.names], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class FeatureScore:
    """One feature: its cluster, importances (means over folds), folds in which permuting hurt, and the verdict.

    `error` is the standard error of `permutation`, `q` its share of false finds among all that help as much or more;
    `rank` the mean rank by gain, SHAP and permutation, 1 the best.
    """

    name: str
    cluster: int
    gain: float
    shap: float
    permutation: float
    error: float
    q: float
    helped: int
    rank: float
    chosen: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen set and why; `scores` have the best first."""

    chosen: ChosenSet
    scores: tuple[FeatureScore, ...]
    folds: int
    rows: int
    clusters: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "id": self.chosen.id,
            "parent": self.chosen.parent,
            "names": list(self.chosen.names),
            "rows": self.rows,
            "folds": self.folds,
            "clusters": self.clusters,
            "scores": [asdict(score) for score in self.scores],
        }


def select_features(
    data: TrainingData,
    rows: Ints,
    names: Sequence[str],
    fs_id: str,
    scaler: Scaler,
    context: FitContext,
    params: SelectionParams | None = None,
) -> Selection:
    """Choose features by what they do on `rows`, and on no others.

    Parameters
    ----------
    data : TrainingData
        X unscaled.
    rows : int (m,)
        Rows that may be looked at, ascending: the train role, or what a fold may know of it.
    names, fs_id
        Columns of X and the id of their set.
    scaler : Scaler
        Its kind and winsor share are used, fitted anew in each fold.
    context : FitContext
    params : SelectionParams, optional

    Returns
    -------
    Selection

    Raises
    ------
    InsufficientDataError
        No fold could be fitted.

    Notes
    -----
    The rows are walked forward: trees are fitted on what was known before a block (labels purged by their intervals)
    and importances measured on the block. A feature is kept if it is the best of its cluster and permuting the
    cluster hurts in most folds and, on average, beyond doubt: its rise over its standard error over blocks of time is
    tested, and of all clusters those are kept of which a share of `false_share` is expected to be there by luck. At
    most ``keep`` by rank, at least ``least``.
    """
    params = params or SelectionParams()
    kind = model_kind("xgb_classifier")
    trees = kind.params.parse(_TREES)
    clusters = correlation_clusters(data.X[_spread(rows, params.rows)], params.max_correlation)
    rng = np.random.default_rng(context.seed)
    found: list[Importance] = []
    failed: list[str] = []
    for number, (seen, unseen) in enumerate(walk_forward(data.t0[rows], data.t1[rows], n_folds=params.folds)):
        scaling = scaler.unfitted().fit(data.X, names, rows=rows[seen])
        own = dataclasses.replace(context, seed=context.seed + 1 + number)
        try:
            model = fit_rows(kind, data, rows[seen], scaling, trees, own, 0.15)
        except InsufficientDataError as error:
            failed.append(str(error))
            continue
        block = _spread(rows[unseen], params.rows)
        X = scaling.transform(data.X[block])
        found.append(fold_importance(model, X, data.y[block], clusters, rng, repeats=params.repeats, shap_rows=500))
    if not found:
        raise InsufficientDataError(f"selection: none of {params.folds} folds could be fitted - {'; '.join(failed)}")
    scores = _scored(names, clusters, found, params)
    kept = {score.name for score in scores if score.chosen}
    chosen = ChosenSet(fs_id, tuple(name for name in names if name in kept))
    return Selection(chosen, scores, len(found), int(rows.size), int(clusters.max()) + 1)


def _spread(rows: Ints, most: int) -> Ints:
    """At most so many of the rows, evenly spaced."""
    return rows[np.unique(np.linspace(0, rows.size - 1, min(most, rows.size)).astype(np.int64))]


def _scored(
    names: Sequence[str], clusters: Ints, found: list[Importance], params: SelectionParams
) -> tuple[FeatureScore, ...]:
    from scipy.stats import norm, rankdata

    gain, shap, permutation = (
        np.mean([getattr(one, name) for one in found], axis=0) for name in ("gain", "shap", "permutation")
    )
    error = np.sqrt(np.sum([one.error**2 for one in found], axis=0)) / len(found)
    helped = np.count_nonzero([one.permutation > 0 for one in found], axis=0)
    rank = np.mean([rankdata(-values) for values in (gain, shap, permutation)], axis=0)
    order = np.lexsort((np.arange(len(names)), rank))
    first: dict[int, int] = {}
    for j in order.tolist():
        first.setdefault(int(clusters[j]), j)
    best = [j for j in order.tolist() if first[int(clusters[j])] == j]
    chance = norm.sf(np.divide(permutation, error, out=np.zeros_like(error), where=error > 0))
    q = np.ones(len(names))
    q[best] = bh(chance[best])
    q = q[[first[int(cluster)] for cluster in clusters]]
    useful = [j for j in best if q[j] <= params.false_share and 2 * helped[j] > len(found)]
    kept = useful[: params.keep]
    kept += [j for j in best if j not in kept][: max(params.least - len(kept), 0)]
    scores = []
    for j in order.tolist():
        if j in kept:
            reason = "helps" if j in useful else "best of those that do not help"
        elif first[int(clusters[j])] != j:
            reason = f"like {names[first[int(clusters[j])]]}"
        else:
            reason = f"beyond the first {params.keep}" if j in useful else "does not help"
        scores.append(
            FeatureScore(
                names[j], int(clusters[j]), float(gain[j]), float(shap[j]), float(permutation[j]), float(error[j]),
                float(q[j]), int(helped[j]), float(rank[j]), j in kept, reason,
            )
        )  # fmt: skip
    return tuple(scores)
