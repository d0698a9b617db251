"""The market as one coin sees it: what the other coins did in the bar that just closed."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from scalper_ml.errors import ContractError
from scalper_ml.schema import MARKET, conform, stamps, us

__all__ = ["market_table"]


def market_table(bars: Mapping[str, pa.Table], interval_us: int, lead: str) -> pa.Table:
    """Leave-one-out market columns of every coin at every close at which another coin has a return.

    Parameters
    ----------
    bars : mapping of symbol to BARS table
        All of the same interval.
    interval_us : int
        Length of a bar.
    lead : str
        The coin that `lead_ret` follows; on itself `lead_ret` is 0, and NaN where the lead has no return.

    Returns
    -------
    pyarrow.Table
        MARKET, sorted by symbol and stamp. A coin's return counts where the bar before it is the
        interval just before: nothing is carried over a hole. Rows without any other coin are absent.

    Notes
    -----
    Row t uses closes at t and one interval before, all known at t.
    """
    if lead not in bars:
        raise ContractError(f"market: lead coin {lead!r} has no bars; coins with bars: {sorted(bars)}")
    symbols = sorted(bars)
    axis = np.unique(np.concatenate([us(bars[symbol]["ts_us"]) for symbol in symbols]))
    returns = np.full((len(axis), len(symbols)), np.nan)
    for column, symbol in enumerate(symbols):
        ts, close = us(bars[symbol]["ts_us"]), bars[symbol]["close"].to_numpy()
        adjacent = np.flatnonzero(np.diff(ts) == interval_us) + 1
        returns[np.searchsorted(axis, ts[adjacent]), column] = np.log(close[adjacent] / close[adjacent - 1])
    present = np.isfinite(returns)
    parts = []
    for column, symbol in enumerate(symbols):
        others = np.delete(np.arange(len(symbols)), column)
        n = present[:, others].sum(axis=1)
        rows = np.flatnonzero((n > 0) & np.isin(axis, us(bars[symbol]["ts_us"])))
        R, known = returns[np.ix_(rows, others)], present[np.ix_(rows, others)]
        filled = np.where(known, R, 0.0)
        mean = filled.sum(axis=1) / n[rows]
        spread = np.where(known, R - mean[:, None], 0.0)
        own_lead = returns[rows, symbols.index(lead)]
        parts.append(
            pa.table(
                {
                    "ts_us": stamps(axis[rows]),
                    "symbol": pa.array([symbol] * len(rows), pa.string()),
                    "mkt_n": n[rows].astype(np.float64),
                    "mkt_ret": mean,
                    "mkt_up": ((filled > 0) & known).sum(axis=1) / n[rows],
                    "mkt_disp": np.sqrt((spread**2).sum(axis=1) / n[rows]),
                    "lead_ret": np.zeros(len(rows)) if symbol == lead else own_lead,
                }
            )
        )
    return conform(pa.concat_tables(parts), MARKET, "market")
