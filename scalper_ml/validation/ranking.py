"""How well probabilities order outcomes: area under the ROC curve."""

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError

__all__ = ["roc_auc"]


def roc_auc(p: npt.ArrayLike, hit: npt.ArrayLike) -> float | None:
    """Chance that a row that was hit had the larger `p` than one that was not; ties count half. No skill gives 0.5.

    Parameters
    ----------
    p : (n,)
        Probability, or any score.
    hit : (n,)
        Whether it happened, 0 or 1.

    Returns
    -------
    float or None
        None where all rows or none were hit.

    Examples
    --------
    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    from scipy.stats import rankdata

    score, happened = np.asarray(p, dtype=np.float64), np.asarray(hit, dtype=np.bool_)
    if score.ndim != 1 or score.shape != happened.shape:
        raise ContractError(
            f"ROC: found {score.shape} scores and {happened.shape} outcomes; expected one of each a row"
        )
    hits = int(happened.sum())
    if hits in (0, happened.size):
        return None
    ranks = rankdata(score)
    return float((ranks[happened].sum() - hits * (hits + 1) / 2) / (hits * (happened.size - hits)))
