"""A small market with features, for datasets."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.schema import BARS, stamps

MINUTE = 60_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    bars: pa.Table
    values: np.ndarray
    warm: np.ndarray
    names: tuple[str, ...]


def make_market(n: int = 3000, seed: int = 1, drift: float = 0.0, hole: tuple[int, int] | None = None) -> Market:
    """A random walk with two features of noise and its EWMA volatility; `hole` removes these intervals."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(drift, 1e-3, n)
    price = 100 * np.exp(np.cumsum(returns))
    slot = np.arange(n)
    if hole:
        slot = np.where(slot >= hole[0], slot + hole[1] - hole[0], slot)
    start = 1_704_067_200_000_000 + MINUTE * slot
    columns = dict.fromkeys(BARS.names)
    numbers = {name: price for name in ("open", "high", "low", "close")}
    bars = pa.table(
        {
            **{name: pa.nulls(n, BARS.field(name).type) for name in columns},
            **numbers,
            "open_ts_us": stamps(start),
            "ts_us": stamps(start + MINUTE),
            "volume": np.ones(n),
            "gap": pa.array(np.diff(slot, prepend=-1) - 1, type=pa.int32()),
            "revision": pa.array(np.zeros(n), type=pa.int32()),
        }
    ).cast(BARS)
    sigma = np.empty(n)
    square = 1e-6
    for i, value in enumerate(returns):
        square = 0.97 * square + 0.03 * value**2
        sigma[i] = square**0.5
    values = np.column_stack([rng.normal(size=n), sigma, rng.normal(5, 2, size=n)])
    warm = np.arange(n) >= 100
    values[~warm, 2] = np.nan  # the others are warm earlier than the set
    return Market(bars, values, warm, ("noise_a", "ewma_vol_97", "noise_b"))


@pytest.fixture(scope="session")
def market() -> Market:
    return make_market()


@pytest.fixture(scope="session")
def new_market():  # type: ignore[no-untyped-def]
    return make_market
