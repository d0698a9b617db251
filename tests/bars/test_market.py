"""The market table: each coin sees the others, nothing is carried over a hole."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.bars.market import market_table
from scalper_ml.errors import ContractError
from scalper_ml.schema import MARKET, stamps

MINUTE = 60_000_000


def closes(minutes: list[int], prices: list[float]) -> pa.Table:
    """The two columns of bars that the market reads."""
    return pa.table({"ts_us": stamps(np.array(minutes, np.int64) * MINUTE), "close": pa.array(prices, pa.float64())})


def rows(table: pa.Table, symbol: str) -> list[dict]:
    """Rows of one coin with the minute of the close."""
    found = table.to_pandas().query("symbol == @symbol")
    return [{**row, "minute": int(row["ts_us"].timestamp() // 60)} for row in found.to_dict("records")]


def test_worked_example() -> None:
    """Two others that move +10 % and -10 %: mean, breadth and spread of their log returns, the coin left out."""
    bars = {"A": closes([1, 2], [100, 400]), "B": closes([1, 2], [10, 11]), "C": closes([1, 2], [10, 9])}
    (row,) = rows(market_table(bars, MINUTE, lead="B"), "A")
    up, down = np.log(1.1), np.log(0.9)
    assert (row["minute"], row["mkt_n"], row["mkt_up"]) == (2, 2.0, 0.5)
    assert row["mkt_ret"] == pytest.approx((up + down) / 2, rel=1e-12)
    assert row["mkt_disp"] == pytest.approx((up - down) / 2, rel=1e-12)
    assert row["lead_ret"] == pytest.approx(up, rel=1e-12)
    assert rows(market_table(bars, MINUTE, lead="B"), "B")[0]["lead_ret"] == 0.0


def test_nothing_is_carried_over_a_hole() -> None:
    """A return counts only where the interval before has a bar; a coin alone in time has no row."""
    bars = {"A": closes([1, 2, 3, 4], [1, 1, 1, 1]), "B": closes([1, 2, 4], [1, 2, 8])}
    assert [row["minute"] for row in rows(market_table(bars, MINUTE, lead="A"), "A")] == [2]


def test_lead_must_have_bars() -> None:
    """A lead coin without bars is refused by name, with the coins there are."""
    with pytest.raises(ContractError, match=r"'X' has no bars.*\['A'\]"):
        market_table({"A": closes([1], [1])}, MINUTE, lead="X")


@given(st.integers(0, 10_000), st.integers(2, 6), st.floats(0.0, 0.5))
def test_agrees_with_pandas(seed: int, coins: int, holes: float) -> None:
    """Every column equals a pandas computation on the joined closes."""
    rng = np.random.default_rng(seed)
    symbols = [f"C{i}" for i in range(coins)]
    bars, series = {}, {}
    for symbol in symbols:
        minutes = [0, *(m for m in range(1, 40) if rng.random() >= holes)]
        prices = np.exp(np.cumsum(rng.normal(0, 0.01, len(minutes)))).tolist()
        bars[symbol], series[symbol] = closes(minutes, prices), pd.Series(prices, index=minutes)
    frame = pd.DataFrame(series).reindex(range(40))
    returns = np.log(frame).diff()
    table = market_table(bars, MINUTE, lead="C0")
    assert table.schema.equals(MARKET)
    for symbol in symbols:
        others = returns.drop(columns=symbol)
        expected = others[(others.notna().sum(axis=1) > 0) & frame[symbol].notna()]
        found = pd.DataFrame(rows(table, symbol))
        if expected.empty:
            assert found.empty
            continue
        assert found["minute"].tolist() == expected.index.tolist()
        np.testing.assert_allclose(found["mkt_ret"], expected.mean(axis=1), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(found["mkt_disp"], expected.std(axis=1, ddof=0), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(found["mkt_up"], (expected > 0).sum(axis=1) / expected.notna().sum(axis=1))
        assert found["mkt_n"].tolist() == expected.notna().sum(axis=1).tolist()


@given(st.integers(0, 10_000), st.integers(5, 35))
def test_the_past_does_not_change_with_the_future(seed: int, cut: int) -> None:
    """Rows up to a cut are bit-identical when everything after it is removed."""
    rng = np.random.default_rng(seed)
    prices = {s: np.exp(np.cumsum(rng.normal(0, 0.01, 40))) for s in ("A", "B", "C")}
    whole = market_table({s: closes(list(range(40)), p.tolist()) for s, p in prices.items()}, MINUTE, lead="A")
    short = market_table({s: closes(list(range(cut)), p[:cut].tolist()) for s, p in prices.items()}, MINUTE, lead="A")
    for symbol in prices:
        assert rows(short, symbol) == rows(whole, symbol)[: cut - 1]
