"""Days of ticks with known content."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.quality.facts import DAY_US
from scalper_ml.schema import TICKS, stamps

DAY = 19_723 * DAY_US  # 2024-01-01
Tape = Callable[..., pa.Table]


@pytest.fixture(name="tape")
def make_tape() -> Tape:
    """A function that makes ticks: by default 2,000 of a quiet market, a trade a second from the start of a day."""

    def tape(
        n: int = 2_000,
        *,
        day: int = 0,
        ids: Sequence[int] | np.ndarray | range | None = None,
        seed: int = 1,
        **given: Any,
    ) -> pa.Table:
        rng = np.random.default_rng(seed)
        side = rng.choice(np.array([-1, 1], dtype=np.int8), n)
        level = 100.0 * np.exp(np.cumsum(rng.normal(0, 2e-5, n) + 2e-5 * side))
        columns = {
            "ts_us": DAY + day * DAY_US + np.arange(n, dtype=np.int64) * 1_000_000,
            "price": np.round(level + 0.005 * side, 3),
            "qty": np.round(rng.lognormal(0, 1, n), 3) + 0.001,
            "side": side,
        } | given
        columns = {name: np.array(values) for name, values in columns.items()}
        known = pa.nulls(n, pa.int64()) if ids is None else pa.array(np.asarray(ids, dtype=np.int64))
        return pa.table(
            {
                **columns,
                "ts_us": stamps(columns["ts_us"]),
                "side": pa.array(columns["side"], pa.int8()),
                "trade_id": known,
                "source": pa.array(["test"] * n),
            },
            schema=TICKS,
        )

    return tape
