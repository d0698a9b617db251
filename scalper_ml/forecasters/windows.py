"""Which rows a forecaster that looks back may be asked about, and what it sees there, without a copy."""

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from scalper_ml.errors import ContractError
from scalper_ml.forecasters.base import Rows
from scalper_ml.models.base import Floats

__all__ = ["window_ends", "windows_of"]


def window_ends(ts_us: npt.NDArray[np.int64], part: npt.NDArray[np.int64], lookback: int, interval_us: int) -> Rows:
    """Rows whose last `lookback` rows are consecutive bars of one part.

    Parameters
    ----------
    ts_us : (n,)
        Closes of the rows, ascending, of one coin.
    part : (n,)
        What no window may reach across, by number: the role or fold of a row; below 0 a row belongs to none.
    lookback : int
        Rows of a window, its own the last.
    interval_us : int
        From one bar to the next.

    Examples
    --------
    >>> ts = np.array([0, 1, 2, 3, 7, 8, 9, 10])
    >>> window_ends(ts, np.array([0, 0, 0, 0, 0, 0, 1, 1]), 2, 1)
    array([1, 2, 3, 5, 7])
    """
    n = ts_us.size
    breaks = np.ones(n, dtype=np.bool_)
    breaks[1:] = (np.diff(ts_us) != interval_us) | (part[1:] != part[:-1])
    begins = np.maximum.accumulate(np.where(breaks, np.arange(n), 0))
    return np.flatnonzero((np.arange(n) - begins >= lookback - 1) & (part >= 0))


def windows_of(X: Floats, lookback: int) -> Floats:
    """Every run of `lookback` rows as a view (n - lookback + 1, lookback, f); window i ends at row i + lookback - 1.

    Raises
    ------
    ContractError
        There are fewer rows than one window has.

    Examples
    --------
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> windows_of(X, 2).tolist(), np.shares_memory(X, windows_of(X, 2))
    ([[[0.0, 1.0], [2.0, 3.0]], [[2.0, 3.0], [4.0, 5.0]]], True)
    """
    if len(X) < lookback:
        raise ContractError(f"windows: found {len(X)} rows; expected at least {lookback}, as many as a window has")
    return sliding_window_view(X, lookback, axis=0).swapaxes(1, 2)
