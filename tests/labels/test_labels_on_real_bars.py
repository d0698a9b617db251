"""Labels of real markets against pandas and a dictionary of opens."""

import math

import numpy as np
import pandas as pd
from pyarrow import csv
from realdata import real_data

from scalper_ml.labels.horizon import horizon_labels
from scalper_ml.labels.rule import LabelRule

FIVE = 300_000_000
MINUTE = 60_000_000


def test_half_a_year_of_real_bars_is_labelled_as_shifted_opens() -> None:
    """On 5m BTC bars without gaps labels are pandas' shifted opens, with pandas' EWMA volatility as sigma."""
    frame = csv.read_csv(real_data("ohlcv/binance_spot_5m_2024H1/BTCUSDT.csv.gz")).to_pandas()
    price = frame["open"].astype(float)
    start = frame["timestamp"].to_numpy(dtype=np.int64) * 1000
    returns = np.log(frame["close"]).diff()
    sigma = np.sqrt((returns**2).ewm(alpha=0.03).mean()).where(lambda s: s.index >= 200)
    for horizon in (1, 15):
        labels = horizon_labels(
            price, start, start + FIVE, rule=LabelRule(horizon, FIVE, 0.43, 0.5), sigma=sigma, cost=0.0012
        )
        ret = np.log(price.shift(-1 - horizon) / price.shift(-1))
        band = np.maximum(0.43 * sigma * math.sqrt(horizon), 0.0006)
        oracle = pd.DataFrame({"ret": ret, "band": band}).dropna()
        y = np.where(oracle["ret"] > oracle["band"], 2, np.where(oracle["ret"] < -oracle["band"], 0, 1))
        assert labels.row.tolist() == oracle.index.tolist()
        np.testing.assert_allclose(labels.ret, oracle["ret"], rtol=0, atol=1e-15)
        assert labels.y.tolist() == y.tolist()
        assert set(np.unique(y)) == {0, 1, 2}
        assert labels.dropped == {"not_warm": 200, "no_entry": 1, "no_exit": horizon, "gap": 0}


def test_minutes_without_trades_are_gaps() -> None:
    """On real 1m bars with missing minutes a label exists exactly where the opens it needs do."""
    horizon = 3
    frame = csv.read_csv(real_data("ohlcv/bitfinex_1m_gappy/BTCUSD_2016.csv.gz")).to_pandas()
    frame = frame.sort_values("timestamp").drop_duplicates("timestamp").head(20_000)
    start = frame["timestamp"].to_numpy(dtype=np.int64) * 1000
    price = frame["open"].to_numpy(dtype=float)
    labels = horizon_labels(
        price,
        start,
        start + MINUTE,
        rule=LabelRule(horizon, MINUTE, 0.43, 1.0),
        sigma=np.full(price.size, 1e-3),
        cost=0.0,
    )
    opens = dict(zip(start.tolist(), price.tolist(), strict=True))
    oracle = {
        row: math.log(opens[t + (1 + horizon) * MINUTE] / opens[t + MINUTE])
        for row, t in enumerate(start.tolist())
        if t + MINUTE in opens and t + (1 + horizon) * MINUTE in opens
    }
    assert labels.row.tolist() == list(oracle)
    np.testing.assert_allclose(labels.ret, list(oracle.values()), rtol=0, atol=1e-15)
    assert labels.dropped["gap"] > 1000
