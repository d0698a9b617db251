"""Book columns per bar: worked by hand, no look-ahead, the same in chunks."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from realdata import real_data

from scalper_ml.book.captures import capture_events, read_capture_quotes
from scalper_ml.book.depth import BOOK_BARS, QuoteState, book_bars, book_bars_schema, order_flow
from scalper_ml.book.depth_rows import DEPTHS, book_depths, read_book_depth
from scalper_ml.book.events import DepthDiff, Snapshot
from scalper_ml.errors import ContractError, InputError
from scalper_ml.schema import QUOTES, stamps, us

T0 = 1_700_000_000_000_000
Row = tuple[int, float, float, float, float]


def quotes(rows: list[Row]) -> pa.Table:
    """Known at T0 + the first value; bid, bid_qty, ask, ask_qty."""
    columns = [np.array([row[i] for row in rows], dtype=np.float64) for i in range(5)]
    ts = stamps(T0 + columns[0].astype(np.int64))
    return pa.table([ts, ts, *columns[1:], pa.nulls(len(rows), pa.int64()), pa.array(["x"] * len(rows))], QUOTES)


def bars(*edges: int) -> tuple[np.ndarray, np.ndarray]:
    at = T0 + np.array(edges, dtype=np.int64)
    return at[:-1], at[1:]


def test_a_bar_worked_by_hand() -> None:
    """Two quotes in a bar of 100 us, one before it: every column as a pencil gives it."""
    table = quotes([(-10, 99, 2, 101, 2), (20, 100, 3, 101, 1), (60, 100, 1, 102, 1)])
    rows, state = book_bars(*bars(0, 100), table)
    [row] = rows.to_pylist()
    assert row["mid"] == 101.0
    assert row["spread_bps"] == pytest.approx(2 / 101 * 1e4)
    assert (row["imbalance"], row["micro_dev_bps"]) == (0.0, 0.0)
    assert (row["quote_age_us"], row["quote_updates"]) == (40, 2)
    # 20: a better bid of 3, the ask's 2 become 1 (+1); 60: the bid's 3 become 1 (-2), the ask's 1 went up (+1)
    assert row["ofi_qty"] == (3 + 1) + (-2 + 1)
    assert row["spread_tw_bps"] == pytest.approx((2 / 100 * 20 + 1 / 100.5 * 40 + 2 / 101 * 40) / 100 * 1e4)
    assert row["imbalance_tw"] == pytest.approx((0 * 20 + 0.5 * 40 + 0 * 40) / 100)
    assert row["top_qty_tw"] == pytest.approx((2 * 20 + 2 * 40 + 1 * 40) / 100)
    assert state == QuoteState(T0 + 60, 100.0, 1.0, 102.0, 1.0)


def test_the_microprice_leans_to_the_thin_side() -> None:
    """With 3 at the bid and 1 at the ask, the microprice is three quarters of the way to the ask."""
    rows, _ = book_bars(*bars(0, 100), quotes([(1, 100, 3, 104, 1)]))
    assert rows["micro_dev_bps"].to_pylist() == [pytest.approx((103 - 102) / 102 * 1e4)]


def test_a_quote_known_at_the_close_is_in_the_bar_and_one_after_it_is_not() -> None:
    """Known time at the close counts, a microsecond later it is the next bar's."""
    rows, _ = book_bars(*bars(0, 100, 200), quotes([(100, 99, 1, 101, 1), (101, 199, 1, 201, 1)]))
    assert rows["mid"].to_pylist() == [100.0, 200.0]
    assert rows["quote_updates"].to_pylist() == [1, 1]


def test_a_bar_before_the_first_quote_is_null() -> None:
    """No quote known yet: nothing is made up, and the count is 0."""
    rows, state = book_bars(*bars(0, 100, 200), quotes([(150, 99, 1, 101, 1)]))
    first, second = rows.to_pylist()
    assert first["quote_updates"] == 0
    assert all(first[name] is None for name in BOOK_BARS.names if name not in ("ts_us", "quote_updates"))
    assert second["spread_tw_bps"] == pytest.approx(200.0)
    assert state is not None
    empty, nothing = book_bars(*bars(0, 100), quotes([]))
    assert (empty.num_rows, nothing) == (1, None)


def test_overlapping_bars_and_unsorted_quotes_are_refused() -> None:
    """Both would give numbers that mean nothing."""
    with pytest.raises(ContractError, match="overlap"):
        book_bars(np.array([T0, T0 + 50]), np.array([T0 + 100, T0 + 150]), quotes([]))
    with pytest.raises(ContractError, match="not sorted"):
        book_bars(*bars(0, 100), quotes([(2, 99, 1, 101, 1), (1, 99, 1, 101, 1)]))


price = st.integers(1, 40).map(float)
size = st.integers(1, 9).map(float)
quote_rows = st.lists(st.tuples(st.integers(-50, 600), price, size, price, size), max_size=40).map(
    lambda rows: sorted(rows, key=lambda row: row[0])
)
edges = st.sets(st.integers(0, 500), min_size=3, max_size=12).map(sorted)


@given(quote_rows, edges)
def test_each_row_equals_a_plain_loop(rows: list[Row], at: list[int]) -> None:
    """Counts, order flow and time-weighted means equal those of a loop over single microseconds and quotes."""
    table, _ = book_bars(*bars(*at), quotes(rows))
    for begin, end, row in zip(at[:-1], at[1:], table.to_pylist(), strict=True):
        known = [quote for quote in rows if quote[0] <= end]
        inside = [i for i, quote in enumerate(rows) if begin < quote[0] <= end]
        assert row["quote_updates"] == len(inside)
        if not known:
            assert row["ofi_qty"] is None
            continue
        assert row["mid"] == (known[-1][1] + known[-1][3]) / 2
        flow = 0.0
        for i in inside:
            if i:
                (_, b0, q0, a0, s0), (_, b1, q1, a1, s1) = rows[i - 1], rows[i]
                flow += q1 * (b1 >= b0) - q0 * (b1 <= b0) - s1 * (a1 <= a0) + s0 * (a1 >= a0)
        assert row["ofi_qty"] == pytest.approx(flow)
        tops = []
        for moment in range(begin, end):  # what stands during [moment, moment + 1)
            standing = [quote for quote in rows if quote[0] <= moment]
            tops += [(standing[-1][2] + standing[-1][4]) / 2] if standing else []
        assert row["top_qty_tw"] == (pytest.approx(np.mean(tops)) if tops else None)


@given(quote_rows, edges, st.data())
def test_cutting_the_bars_into_chunks_gives_the_same_bytes(rows: list[Row], at: list[int], data: st.DataObject) -> None:
    """Any cut at a close, with the state handed on, gives the rows of one piece."""
    opens, closes = bars(*at)
    table = quotes(rows)
    whole, last = book_bars(opens, closes, table)
    cut = data.draw(st.integers(0, len(opens)))
    known = us(table["ts_us"])
    split = int(np.searchsorted(known, closes[cut - 1], side="right")) if cut else 0
    first, state = book_bars(opens[:cut], closes[:cut], table.slice(0, split))
    second, end = book_bars(opens[cut:], closes[cut:], table.slice(split), before=state)
    assert pa.concat_tables([first, second]).equals(whole)
    assert end == last


@given(quote_rows, edges, st.data())
def test_a_quote_known_after_the_close_never_changes_the_row(
    rows: list[Row], at: list[int], data: st.DataObject
) -> None:
    """Whatever is changed or added after a close, the rows up to it stay the same to the bit."""
    opens, closes = bars(*at)
    bar = data.draw(st.integers(0, len(opens) - 1))
    cutoff = int(closes[bar]) - T0
    kept = [row for row in rows if row[0] <= cutoff]
    other = data.draw(quote_rows)
    later = [(cutoff + 1 + abs(row[0]), *row[1:]) for row in other]
    changed = quotes(kept + sorted(later, key=lambda row: row[0]))
    before, _ = book_bars(opens, closes, quotes(rows))
    after, _ = book_bars(opens, closes, changed)
    assert after.slice(0, bar + 1).equals(before.slice(0, bar + 1))


def test_order_flow_of_the_four_moves_of_each_side() -> None:
    """A better bid adds its size, a worse one takes the old size away; the ask is the mirror."""
    bid = np.array([100.0, 101.0, 100.0, 100.0])
    ask = np.array([105.0, 105.0, 104.0, 106.0])
    flow = order_flow(bid, np.array([5.0, 7.0, 4.0, 4.0]), ask, np.array([3.0, 3.0, 2.0, 9.0]))
    assert flow.tolist() == [0.0, 7.0, -7.0 - 2.0, 2.0]


def diff(at: int, prev: int, last: int, bids: list[tuple[float, float]]) -> DepthDiff:
    return DepthDiff(1, "x", "S", T0 + at, T0 + at, prev, last, bids, [])


BOOK = Snapshot(1, "x", "S", T0, T0, 1, [(99.0, 1.0), (95.0, 2.0)], [(101.0, 4.0), (106.0, 8.0)])


def test_depth_of_the_rebuilt_book_is_as_known_at_the_moment() -> None:
    """Moments before the snapshot have no row, a change known a microsecond later does not count, gaps are silent."""
    events = [BOOK, diff(10, 1, 2, [(99.0, 3.0)]), diff(31, 7, 8, [(99.5, 1.0)])]
    at = T0 + np.array([-1, 9, 10, 30, 31])
    rows = book_depths(events, at, [200.0, 500.0, 2000.0])
    of_band = {
        row["band_bps"]: row for row in rows.to_pylist() if us(stamps(at))[2] == int(row["ts_us"].timestamp() * 1e6)
    }
    near = rows.filter(pa.compute.equal(rows["band_bps"], 200.0))
    assert us(near["ts_us"]).tolist() == (T0 + np.array([9, 10, 30])).tolist()
    assert near["bid_qty"].to_pylist() == [1.0, 3.0, 3.0]
    assert near["ask_notional"].to_pylist() == [404.0] * 3
    assert (of_band[500.0]["bid_qty"], of_band[500.0]["ask_qty"]) == (5.0, 4.0)
    assert (of_band[2000.0]["bid_qty"], of_band[2000.0]["ask_qty"]) == (None, None)  # beyond what the book knows
    assert rows.schema == DEPTHS


DUMP = "timestamp,percentage,depth,notional\n"


def test_binance_s_depth_dump_pairs_bids_and_asks_and_is_known_after_its_second(tmp_path: Path) -> None:
    """Negative percentages are bids; a missing side is null; bad and repeated rows are counted."""
    path = tmp_path / "BTCUSDT-bookDepth-2025-05-19.csv"
    rows = [
        "2025-05-19 11:07:31,-1,2294.5,191369991.2",
        "2025-05-19 11:07:31,1,2097.25,176607765.2",
        "2025-05-19 11:07:31,-0.20,400,33000000",
        "2025-05-19 11:07:31,1,2097.25,176607765.2",
        "2025-05-19 11:07:31,1,9,9",
        "2025-05-19 11:07:31,x,1,1",
        "2025-05-19 11:07:31,2,-1,1",
        "never,2,1,1",
        "2025-05-19",
    ]
    path.write_text(DUMP + "\n".join(rows) + "\n")
    file = read_book_depth(path)
    assert file.depths["band_bps"].to_pylist() == [20.0, 100.0]
    assert file.depths["bid_qty"].to_pylist() == [400.0, 2294.5]
    assert file.depths["ask_qty"].to_pylist() == [None, 2097.25]
    assert (us(file.depths["ts_us"]) - us(file.depths["event_ts_us"])).tolist() == [1_000_000] * 2
    assert (file.counts.read, file.counts.accepted, file.counts.duplicate, file.counts.quarantined) == (9, 3, 1, 5)
    assert file.quarantine["line"].to_pylist() == [6, 7, 8, 9, 10]
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="expected the header"):
        read_book_depth(tmp_path / "other.csv")


def test_depth_columns_are_as_of_known_time_and_not_too_old() -> None:
    """The row takes the last depth known at its close, null before the first and where its event is too old."""
    ts, event = stamps(T0 + np.array([50, 150])), stamps(T0 + np.array([40, 140]))
    nothing = [0.0, 0.0]
    depths = pa.table([ts, event, [10.0, 10.0], [1.0, 2.0], nothing, [3.0, 4.0], nothing, ["x", "x"]], DEPTHS)
    rows, _ = book_bars(*bars(0, 49, 149, 150, 241), quotes([]), depths=depths, bands_bps=[10], depth_age_us=109)
    assert rows["bid_depth_10bps"].to_pylist() == [None, 1.0, 2.0, 2.0]
    assert rows["ask_depth_10bps"].to_pylist() == [None, 3.0, 4.0, 4.0]
    assert rows.schema == book_bars_schema([10])
    aged, _ = book_bars(*bars(0, 250), quotes([]), depths=depths, bands_bps=[10], depth_age_us=109)
    assert aged["bid_depth_10bps"].to_pylist() == [None]
    with pytest.raises(ContractError, match="without depths"):
        book_bars(*bars(0, 250), quotes([]), bands_bps=[10])


def test_bars_of_a_real_capture_agree_with_the_rebuilt_book() -> None:
    """At ten-second closes, the mid of the quotes lies within the book's own quotes, and depth grows with the band."""
    path = real_data("feeds/binance/spot/ethusdt_20240808.gz")
    table = read_capture_quotes(path, "ETHUSDT").quotes
    known = us(table["ts_us"])
    edge = np.arange(known[0] // 10**7 + 2, known[-1] // 10**7, dtype=np.int64) * 10**7
    depths = book_depths(capture_events(path), edge[1:], [1.0, 5.0])
    rows, _ = book_bars(edge[:-1], edge[1:], table, depths=depths, bands_bps=[1.0, 5.0], depth_age_us=1_000_000)
    assert rows.num_rows == len(edge) - 1 > 20
    assert rows["quote_updates"].to_numpy().sum() == ((known > edge[0]) & (known <= edge[-1])).sum()
    near, far = rows["bid_depth_1bps"].to_numpy(), rows["bid_depth_5bps"].to_numpy()
    assert (near > 0).all()
    assert (far > near).all()
    assert rows["spread_bps"].to_numpy() == pytest.approx(0.01 / 2683 * 1e4, rel=0.5)
