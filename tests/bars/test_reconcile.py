"""Own bars against the venue's klines: equal where they are, and every way to part is seen."""

import dataclasses
import math

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest
from hypothesis import given
from hypothesis import strategies as st
from realdata import real_data

from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.reconcile import COMPARED, BarDifference, reconcile
from scalper_ml.bars.resample import resample
from scalper_ml.errors import ContractError
from scalper_ml.ingest import read_ticks
from scalper_ml.schema import BARS

MINUTE = 60_000_000
XRPETH = "ticks/binance_spot_XRPETH_2019-10-11"


def bars_of(n: int = 400, minutes: int = 20, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    builder = BarBuilder(MINUTE)
    closed = builder.push(
        np.sort(rng.integers(0, minutes * MINUTE, n)), 100 + rng.integers(-400, 400, n) / 100,
        rng.integers(1, 10_000, n) / 1000, rng.choice(np.array([-1, 1], np.int8), n), np.arange(n),
    )  # fmt: skip
    return pa.concat_tables([closed, builder.finish()])


def changed(bars: pa.Table, column: str, row: int, value: float | None) -> pa.Table:
    """The table with one value replaced."""
    values = bars[column].to_pylist()
    values[row] = value
    at = BARS.get_field_index(column)
    return bars.set_column(at, BARS.field(column), pa.array(values, BARS.field(column).type))


@pytest.mark.parametrize(("name", "minutes", "count"), [("1m", 1, 2_469), ("5m", 5, 706)])
def test_real_trades_reconcile_with_the_shipped_klines(name: str, minutes: int, count: int) -> None:
    """2.5 days of XRP/ETH: all bars are in both tables, open, high, low, close and volume equal to the bit."""
    ticks = read_ticks(real_data(f"{XRPETH}/XRP_OLD-trades.json.gz"), symbol="XRPETH").ticks
    builder = BarBuilder(minutes * MINUTE)
    own = pa.concat_tables([builder.push_ticks(ticks), builder.finish()])
    shipped = pa.feather.read_table(real_data(f"{XRPETH}/XRP_ETH-{name}.feather"))
    start = shipped["date"].cast(BARS.field("ts_us").type)
    klines = pa.table(
        {
            "open_ts_us": start,
            "ts_us": pa.compute.add(start, pa.scalar(minutes * MINUTE, pa.duration("us"))),
            **{column: shipped[column] for column in ("open", "high", "low", "close", "volume")},
            **{field.name: pa.nulls(count, field.type) for field in BARS if field.nullable},
            "gap": pa.array([0] * count, pa.int32()),
            "revision": pa.array([0] * count, pa.int32()),
        }
    )
    found = reconcile(own, klines)
    assert found.ok
    assert (found.both, found.only_own, found.only_klines, found.outside) == (count, 0, 0, 0)
    compared = {column.column: (column.compared, column.max_abs) for column in found.columns}
    for column in ("open", "high", "low", "close", "volume"):
        assert compared[column] == (count, 0.0), column
    assert compared["trades"] == compared["vwap"] == (0, 0.0)
    lacking = reconcile(own, klines.filter(np.arange(count) != 700 if count > 700 else np.arange(count) != 7))
    assert (lacking.ok, lacking.only_own, lacking.both) == (False, 1, count - 1)


def test_klines_of_another_length_reconcile_after_resampling() -> None:
    """5m bars of trades equal the 1m bars resampled, all sums within what additions in another order lose."""
    own = bars_of(20_000, 100)
    five = resample(own, MINUTE, 5 * MINUTE)
    with pytest.raises(ContractError, match=r"start at 0 us end at 60000000 us and 300000000 us.*resample"):
        reconcile(own, five)
    rng = np.random.default_rng(1)
    builder = BarBuilder(5 * MINUTE)
    columns = (
        np.sort(rng.integers(0, 100 * MINUTE, 20_000)), 100 + rng.integers(-400, 400, 20_000) / 100,
        rng.integers(1, 10_000, 20_000) / 1000, rng.choice(np.array([-1, 1], np.int8), 20_000), np.arange(20_000),
    )  # fmt: skip
    direct = pa.concat_tables([builder.push(*columns), builder.finish()])
    found = reconcile(direct, five)
    assert found.ok
    volume = next(column for column in found.columns if column.column == "volume")
    assert 0 < volume.max_rel < 1e-13


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=300), st.integers(0, 1_000))
def test_what_addition_loses_is_allowed_and_little_more(sizes: list[int], seed: int) -> None:
    """Decimal volumes added in any order reconcile with their exact sum; ten times the allowance does not."""
    rng = np.random.default_rng(seed)
    qty = np.array(sizes) / 1e8
    builder = BarBuilder(MINUTE)
    for value in rng.permutation(qty):
        builder.push_one(1, 1.0, float(value), 1)
    own = builder.finish()
    exact = sum(sizes) / 1e8
    assert reconcile(own, changed(own, "volume", 0, exact), skip=("vwap",)).ok
    far = exact * (1 + 10 * (len(sizes) + 4) * 2**-53)
    assert not reconcile(own, changed(own, "volume", 0, far)).ok


@pytest.mark.parametrize("column", COMPARED)
def test_one_other_value_is_found(column: str) -> None:
    """A value changed by a thousandth, or by one trade, is counted, measured and named."""
    own = bars_of()
    value = own[column][3].as_py()
    klines = changed(own, column, 3, value + 1 if isinstance(value, int) else value * 1.001)
    found = reconcile(own, klines)
    assert not found.ok
    (line,) = [line for line in found.columns if line.differing]
    assert (line.column, line.compared, line.differing) == (column, own.num_rows, 1)
    theirs = klines[column][3].as_py()
    assert line.max_abs == abs(theirs - value)
    assert line.max_rel == abs(theirs - value) / theirs
    assert found.examples == (BarDifference(3 * MINUTE, column, value, theirs),)
    assert reconcile(own, klines, skip=(column,)).ok


def test_bars_of_one_table_only_are_counted_within_the_common_time() -> None:
    """A bar missing inside is a fault of the table that lacks it; bars before and after it are not judged."""
    own = bars_of()
    klines = own.filter(np.isin(np.arange(20), [0, 1, 2, 5, 19], invert=True))
    found = reconcile(own, klines)
    assert (found.both, found.only_own, found.only_klines, found.outside) == (15, 1, 0, 4)
    assert found.first_only_own == (5 * MINUTE,)
    assert not found.ok
    turned = reconcile(klines, own)
    assert (turned.only_own, turned.only_klines, turned.first_only_klines) == (0, 1, (5 * MINUTE,))
    assert reconcile(own.slice(0, 12), own.slice(4)).ok


def test_tables_without_a_common_bar_are_not_equal() -> None:
    """Nothing compared is no success: empty and separate tables are not ok."""
    own = bars_of()
    for klines in (BARS.empty_table(), own.slice(10)):
        found = reconcile(own.slice(0, 10), klines)
        assert (found.ok, found.both, found.only_own) == (False, 0, 0)
    assert reconcile(own.slice(0, 10), own.slice(10)).outside == 20


def test_a_value_one_side_lacks_is_not_compared() -> None:
    """Null against a value is no difference, and the figures say how many bars were compared."""
    own = bars_of()
    found = reconcile(own, changed(own, "buy_volume", 2, None))
    assert found.ok
    assert {line.compared for line in found.columns if line.column == "buy_volume"} == {own.num_rows - 1}


def test_rounded_money_is_allowed_by_the_trade() -> None:
    """Quote volume may be off by the venue's step for each trade, not by more, and prices by nothing."""
    own = bars_of()
    n, quote = own["trades"][4].as_py(), own["quote_volume"][4].as_py()
    assert reconcile(own, changed(own, "quote_volume", 4, quote + 0.9e-8 * n)).ok
    assert not reconcile(own, changed(own, "quote_volume", 4, quote + 1.2e-8 * n)).ok
    assert not reconcile(own, changed(own, "quote_volume", 4, quote + 0.9e-8 * n), quote_step=0.0).ok
    high = own["high"][4].as_py()
    assert not reconcile(own, changed(own, "high", 4, math.nextafter(high, math.inf))).ok


def test_examples_come_in_time_order_and_stop() -> None:
    """The first differences in time are named, whatever their columns."""
    own = klines = bars_of()
    for row, column in ((9, "open"), (2, "volume"), (5, "close"), (7, "open")):
        klines = changed(klines, column, row, 1.0)
    found = reconcile(own, klines, skip=("vwap",), examples=3)
    assert [(example.open_ts_us // MINUTE, example.column) for example in found.examples] == [
        (2, "volume"), (5, "close"), (7, "open")
    ]  # fmt: skip
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.both = 0  # type: ignore[misc]


def test_tables_that_cannot_be_compared_are_refused() -> None:
    """Unsorted bars and unknown columns to skip are contract errors."""
    own = bars_of()
    with pytest.raises(ContractError, match="klines: bar 1 does not follow bar 0"):
        reconcile(own, own.take([1, 0]))
    with pytest.raises(ContractError, match=r"skip names \['spread'\]"):
        reconcile(own, own, skip=("spread",))
