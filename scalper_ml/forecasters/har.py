"""The forecast of volatility to beat: a regression on its own past over three lengths (HAR)."""

from typing import Final

import numpy as np
import numpy.typing as npt

from scalper_ml.models.base import Floats

__all__ = ["HAR_LENGTHS", "fit_har", "past_volatility"]

HAR_LENGTHS: Final = (1, 5, 22)
"""A day, a week and a month of the original, here in horizons, of at least 5 bars each."""

_FLOOR: Final = 1e-14


def past_volatility(close: npt.ArrayLike, horizon: int) -> Floats:
    """Logs of the mean squared return of the last ``max(horizon, 5) * (1, 5, 22)`` bars, known at each close (n, 3).

    Row i uses closes <= i; before there are as many bars, those there are.

    References
    ----------
    Corsi (2009), A simple approximate long-memory model of realized volatility.
    """
    log_close = np.log(np.asarray(close, dtype=np.float64))
    squares = np.concatenate(([0.0], np.cumsum(np.diff(log_close, prepend=log_close[:1]) ** 2)))
    row = np.arange(1, log_close.size + 1)
    out = np.empty((log_close.size, len(HAR_LENGTHS)))
    for j, length in enumerate(HAR_LENGTHS):
        bars = np.minimum(max(horizon, 5) * length, row)
        out[:, j] = np.log(np.maximum((squares[row] - squares[row - bars]) / bars, _FLOOR))
    return out


def fit_har(past: Floats, y: Floats, rows: npt.NDArray[np.int64]) -> Floats:
    """Forecasts (n,) of a least-squares fit of `y` on its past and a constant, fitted on `rows` alone.

    Examples
    --------
    >>> past = np.random.default_rng(0).normal(size=(50, 3))
    >>> y = 1.0 + past @ [0.5, 0.3, 0.1]
    >>> np.abs(fit_har(past, y, np.arange(30)) - y).max() < 1e-12
    np.True_
    """
    A = np.column_stack([np.ones(len(past)), past])
    beta = np.linalg.lstsq(A[rows], y[rows], rcond=None)[0]
    return np.asarray(A @ beta, dtype=np.float64)
