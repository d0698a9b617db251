"""Small markets for tests of backtests and gates: bars, the dataset of every bar, and predictions."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import ndtr

from scalper_ml.schema import BARS, DATASET, PREDICTIONS, conform, stamps

MINUTE = 60_000_000
START = 1_704_067_200_000_000  # 2024-01-01T00:00:00Z


@dataclass(frozen=True)
class Market:
    """One coin: bars, dataset and predictions of the roles select and score."""

    bars: pa.Table
    dataset: pa.Table
    predictions: pa.Table
    horizon: int

    def with_predictions(self, P: np.ndarray) -> "Market":
        """The same market, predicted by `P` (rows, 3)."""
        return Market(self.bars, self.dataset, predictions_of(self.dataset, P), self.horizon)


def bars_of(open_, close, *, keep=None, quote_volume=1e9, volume=1e6) -> pa.Table:
    """One-minute bars from opens and closes (n,); `keep` (n,) drops bars, leaving gaps."""
    open_, close = np.asarray(open_, float), np.asarray(close, float)
    n = open_.size
    keep = np.ones(n, bool) if keep is None else np.asarray(keep, bool)
    index = np.flatnonzero(keep)
    gap = np.diff(index, prepend=-1) - 1
    gap[0] = 0
    null = pa.nulls(index.size)
    columns = {
        "open_ts_us": stamps(START + index * MINUTE),
        "ts_us": stamps(START + (index + 1) * MINUTE),
        "open": open_[index],
        "high": np.maximum(open_, close)[index],
        "low": np.minimum(open_, close)[index],
        "close": close[index],
        "volume": np.full(index.size, float(volume)),
        "quote_volume": null if quote_volume is None else np.full(index.size, float(quote_volume)),
        "gap": gap.astype(np.int32),
        "revision": np.zeros(index.size, np.int32),
    }
    return conform(pa.table({name: columns.get(name, null) for name in BARS.names}), BARS, "bars")


def dataset_of(bars: pa.Table, *, horizon, sigma=0.001, deadband=0.0005, select=0.5, max_gap=0) -> pa.Table:
    """A dataset row for every bar with an entry and an exit, by a plain loop over the rule; roles select, score."""
    open_ts, ts = (bars.column(c).cast(pa.int64()).to_pylist() for c in ("open_ts_us", "ts_us"))
    open_ = bars.column("open").to_pylist()
    sigmas = np.broadcast_to(np.asarray(sigma, float), len(ts))
    rows = []
    exit_bar = 0
    for i in range(len(ts) - 1):
        due = ts[i] + horizon * MINUTE
        exit_bar = max(exit_bar, i + 1)
        while exit_bar < len(ts) and open_ts[exit_bar] < due:
            exit_bar += 1
        if exit_bar == len(ts):
            break
        if max(open_ts[i + 1] - ts[i], open_ts[exit_bar] - due) > max_gap * MINUTE:
            continue
        rows.append((i, ts[exit_bar], open_[i + 1], open_[exit_bar], sigmas[i]))
    index, t1, entry, leave, sigma_row = (np.array(column) for column in zip(*rows, strict=True))
    ret = np.log(leave / entry)
    band = deadband if np.ndim(deadband) == 0 else np.asarray(deadband)[index]
    signal_ts = np.array(ts)[index]
    split = signal_ts[int(select * len(rows))]
    role = np.where(signal_ts >= split, "score", np.where(t1 < split, "select", "purged"))
    columns = {
        "ts_us": stamps(signal_ts),
        "t0_us": stamps(signal_ts),
        "t1_us": stamps(t1),
        "y": np.where(ret > band, 2, np.where(ret < -band, 0, 1)).astype(np.int8),
        "y_binary": np.sign(ret).astype(np.int8),
        "ret": ret,
        "entry_price": entry,
        "exit_price": leave,
        "deadband": np.broadcast_to(band, ret.shape),
        "cost": np.zeros(ret.size),
        "sigma": sigma_row,
        "weight": np.ones(ret.size),
        "role": role.tolist(),
    }
    return conform(pa.table(columns), DATASET, "dataset")


def predictions_of(dataset: pa.Table, P: np.ndarray, fold: int = -1) -> pa.Table:
    """Predictions `P` (rows of the dataset, 3) as a table; purged rows are left out."""
    n = dataset.num_rows
    columns = [dataset.column("ts_us"), dataset.column("role"), np.full(n, fold, np.int32), *np.asarray(P, float).T]
    table = pa.table(dict(zip(PREDICTIONS.names, columns, strict=True)))
    roles = np.array(dataset.column("role").to_pylist())
    return conform(table.filter(pa.array(roles != "purged")), PREDICTIONS, "predictions")


def lean(p_long) -> np.ndarray:
    """Probabilities (n, 3) with P(NEUTRAL) = 0.3 and P(LONG)/(P(LONG)+P(SHORT)) = `p_long`."""
    p_long = np.asarray(p_long, float)
    return np.column_stack([0.7 * (1 - p_long), np.full(p_long.size, 0.3), 0.7 * p_long])


def signal_market(n, *, rho, horizon, seed, phi=0.97, drift=0.0, sigma_1=6e-4, select=0.3) -> tuple[Market, np.ndarray]:
    """A market whose next returns follow a persistent signal with correlation `rho` per bar.

    ``r = sigma_t (rho s + sqrt(1 - rho^2) t5)``, log sigma AR(.98, .12), s AR(phi). Returns the
    market, predicted by the signal through the normal law of the horizon's return, and the signal at
    each dataset row.
    """
    rng = np.random.default_rng(seed)
    s, log_vol = _ar(phi, np.sqrt(1 - phi**2), n, rng), _ar(0.98, 0.12, n, rng)
    shock = rng.standard_t(5, n) / np.sqrt(5 / 3)
    vol = sigma_1 * np.exp(log_vol - 0.5 * 0.12**2 / (1 - 0.98**2))
    known = np.concatenate([[0.0], s[:-1]])
    step = vol * (drift + rho * known + np.sqrt(1 - rho**2) * shock)
    log_price = np.concatenate([[0.0], np.cumsum(step)])
    price = 100.0 * np.exp(log_price)
    bars = bars_of(price[:-1], price[1:])
    dataset = dataset_of(bars, horizon=horizon, sigma=vol, deadband=0.5 * vol * np.sqrt(horizon), select=select)
    rows = np.searchsorted(bars.column("ts_us").cast(pa.int64()).to_numpy(), dataset.column("ts_us").cast(pa.int64()))
    signal = s[rows]
    mean = rho * signal * (1 - phi**horizon) / (1 - phi) / np.sqrt(horizon)
    long, short = ndtr(mean - 0.5), ndtr(-mean - 0.5)  # beyond the deadband
    p_long = long / (long + short) if rho else 0.5 + 0.01 * np.tanh(signal)
    return Market(bars, dataset, predictions_of(dataset, lean(p_long)), horizon), signal


def _ar(phi: float, scale: float, n: int, rng: np.random.Generator) -> np.ndarray:
    x = np.empty(n)
    x[0] = rng.standard_normal() * scale / np.sqrt(1 - phi**2)
    noise = scale * rng.standard_normal(n)
    for i in range(1, n):
        x[i] = phi * x[i - 1] + noise[i]
    return x
