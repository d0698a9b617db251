"""Metrics of forecasts of a number, each beside the forecast that knows nothing (METHOD 0.1)."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError
from scalper_ml.validation.bootstrap import block_ids, block_sums, blocks, bootstrap, draw_weights, lcb, p_value, ucb
from scalper_ml.validation.forecasts import diebold_mariano

__all__ = ["qlike", "regression_metrics"]

Floats = npt.NDArray[np.float64]
_DRAWS = 1_000


def qlike(log_variance: npt.ArrayLike, forecast: npt.ArrayLike) -> float:
    """Mean of ``x - ln x - 1`` with x the realised over the forecast variance, both given as logs; 0 is perfect.

    References
    ----------
    Patton (2011), Volatility forecast comparison using imperfect volatility proxies.

    Examples
    --------
    >>> qlike([0.0, 0.0], [0.0, 0.0]), round(qlike([0.0], [math.log(2.0)]), 6)
    (0.0, 0.193147)
    """
    distance = np.asarray(log_variance, dtype=np.float64) - np.asarray(forecast, dtype=np.float64)
    return float((np.exp(distance) - distance - 1.0).mean())


def regression_metrics(
    y: npt.ArrayLike,
    forecast: npt.ArrayLike,
    baseline: npt.ArrayLike,
    *,
    horizon: int = 1,
    seed: int = 0,
    alpha: float = 0.05,
    signed: bool = False,
    log_variance: bool = False,
) -> dict[str, Any]:
    """All metrics of forecasts of a number; plain JSON values, an undefined one None.

    Parameters
    ----------
    y, forecast : (n,)
        Outcomes and forecasts, rows in time order.
    baseline : (n,) or float
        The forecast to beat, known when the model was fitted.
    horizon : int
        Label length in bars: sets time blocks and the lags of the Diebold-Mariano test.
    signed : bool
        Whether the sign of the number is a side: adds directional accuracy.
    log_variance : bool
        Whether the number is the log of a variance: adds QLIKE.

    Returns
    -------
    dict
        ``mse``, ``rmse``, ``mae``, ``bias``; ``rmse_ratio`` to the baseline; ``r2`` against the baseline with its
        block interval, p and the Diebold-Mariano p of "no better than the baseline"; ``r2_mean`` against the mean of
        these very outcomes, as others quote it; ``ic`` (Spearman) with its interval; ``direction`` and ``qlike``.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> y = rng.normal(size=2000)
    >>> found = regression_metrics(y, 0.5 * y + rng.normal(scale=0.5, size=2000), 0.0, signed=True)
    >>> round(found["r2"]["value"], 2), found["r2"]["dm_p"] < 0.01, found["direction"]["ci"][0] > 0.5
    (0.49, True, True)
    """
    actual, said = np.asarray(y, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    base = np.broadcast_to(np.asarray(baseline, dtype=np.float64), actual.shape)
    if actual.ndim != 1 or said.shape != actual.shape or not np.isfinite(said).all() or actual.size == 0:
        raise ContractError(
            f"metrics: found {actual.shape} outcomes and forecasts of shape {said.shape}; expected as many, all finite"
        )
    error, base_error = actual - said, actual - base
    n = blocks(actual.size, horizon)
    spread = float(((actual - actual.mean()) ** 2).mean())
    found: dict[str, Any] = {
        "rows": int(actual.size),
        "n_eff": float(actual.size / horizon),
        "mse": float((error**2).mean()),
        "rmse": math.sqrt(float((error**2).mean())),
        "mae": float(np.abs(error).mean()),
        "mae_base": float(np.abs(base_error).mean()),
        "bias": float(-error.mean()),
        "rmse_base": math.sqrt(float((base_error**2).mean())),
        "r2": _explained(error, base_error, n, horizon, seed, alpha),
        "r2_mean": 1.0 - float((error**2).mean()) / spread if spread > 0 else None,
        "ic": _rank_correlation(actual, said, n, seed, alpha),
    }
    found["rmse_ratio"] = found["rmse"] / found["rmse_base"] if found["rmse_base"] > 0 else None
    if signed:
        found["direction"] = _direction(actual, said, n, seed, alpha)
    if log_variance:
        found["qlike"], found["qlike_base"] = qlike(actual, said), qlike(actual, base)
    return found


def _explained(error: Floats, base_error: Floats, n: int, horizon: int, seed: int, alpha: float) -> dict[str, Any]:
    """Share of the baseline's squared error that is gone."""
    if not (base_error**2).sum() > 0:
        return {"value": None, "ci": None, "p": None, "dm_p": None}
    sums = block_sums(np.column_stack([error**2, base_error**2]), block_ids(error.size, n), n)
    found = _interval(sums, lambda total: 1.0 - total[..., 0] / total[..., 1], n, seed, alpha, null=0.0)
    enough = error.size > max(horizon, 2, math.floor(error.size ** (1 / 3)), horizon - 1)
    test = diebold_mariano(error**2, base_error**2, horizon=horizon) if enough else None
    return found | {"dm_p": None if test is None else test.p_value}


def _rank_correlation(actual: Floats, said: Floats, n: int, seed: int, alpha: float) -> dict[str, Any]:
    """Spearman's correlation, its interval from ranks taken once."""
    from scipy.stats import rankdata

    a, b = rankdata(actual) - (actual.size + 1) / 2, rankdata(said) - (actual.size + 1) / 2
    if not (a**2).sum() > 0 or not (b**2).sum() > 0:
        return {"value": None, "ci": None, "p": None}
    sums = block_sums(np.column_stack([a * b, a * a, b * b]), block_ids(actual.size, n), n)
    return _interval(
        sums, lambda total: total[..., 0] / np.sqrt(total[..., 1] * total[..., 2]), n, seed, alpha, null=0.0
    )


def _direction(actual: Floats, said: Floats, n: int, seed: int, alpha: float) -> dict[str, Any]:
    """How often the sign was right where there was one; `chance`: of guessing each side as often."""
    moved = actual != 0
    up, rise = said[moved] > 0, actual[moved] > 0
    if up.size == 0:
        return {"value": None, "chance": None, "ci": None, "p": None}
    chance = float(up.mean() * rise.mean() + (1 - up.mean()) * (1 - rise.mean()))
    ids = block_ids(actual.size, n)[moved]
    sums = block_sums(np.column_stack([up == rise, np.ones(up.size)]).astype(np.float64), ids, n)
    return {"chance": chance} | _interval(
        sums, lambda total: total[..., 0] / total[..., 1], n, seed, alpha, null=chance
    )


def _interval(sums: Floats, statistic: Any, n: int, seed: int, alpha: float, *, null: float) -> dict[str, Any]:
    value, draws = bootstrap(sums, statistic, draw_weights(n, _DRAWS, seed))
    low, high = lcb(value, draws, alpha / 2, n), ucb(value, draws, alpha / 2, n)
    known = math.isfinite(low) and math.isfinite(high)
    return {
        "value": float(value),
        "ci": [low, high] if known else None,
        "p": p_value(value, null, draws, n) if known else None,
    }
