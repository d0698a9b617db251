"""Facts of a day: against naive definitions, under shuffling, and on their own."""

import json
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from realdata import real_data

from scalper_ml.errors import ContractError
from scalper_ml.ingest.synthetic import SyntheticSpec, simulate
from scalper_ml.quality import DayFacts, day_facts, judge
from scalper_ml.quality.facts import DAY_US, FlowSums
from scalper_ml.quality.fold import silence_limit
from scalper_ml.schema import OBSERVATIONS, TICKS, stamps, us

DAY = 19_723 * DAY_US  # 2024-01-01
Tape = Callable[..., pa.Table]

rows = st.lists(
    st.tuples(st.integers(0, 40), st.integers(90, 110), st.integers(1, 5), st.sampled_from([-1, 1])),
    min_size=1, max_size=60,
)  # fmt: skip


def stored(trades: list[tuple[int, int, int, int]], ids: list[int]) -> pa.Table:
    """Trades of (0.7 seconds, price, qty, side) as the store keeps them: by stamp, then id, then as they came."""
    ts, price, qty, side = (np.array(column) for column in zip(*trades, strict=True))
    order = np.lexsort((ids, ts))
    columns = {
        "ts_us": stamps(DAY + ts * 700_000), "price": price / 7, "qty": qty / 3, "side": pa.array(side, pa.int8()),
        "trade_id": pa.array([one if one >= 0 else None for one in ids], pa.int64()), "source": ["test"] * len(ids),
    }  # fmt: skip
    return pa.table(columns, schema=TICKS).take(order)


crowded = st.lists(
    st.tuples(st.integers(0, 2), st.integers(90, 110), st.integers(1, 5), st.sampled_from([-1, 1])),
    min_size=30, max_size=60,
)  # fmt: skip


@given(rows | crowded, st.randoms(use_true_random=False), st.booleans())
def test_the_order_in_which_rows_came_does_not_matter(trades: list, random: object, named: bool) -> None:
    """Shuffled before they are stored, with ids or without, the same trades have the same facts to the bit."""
    numbered = list(zip(trades, range(len(trades)) if named else [-1] * len(trades), strict=True))
    shuffled = numbered.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, two = (day_facts(stored([t for t, _ in part], [i for _, i in part])) for part in (numbered, shuffled))
    assert one == two


@given(rows, st.booleans())
def test_facts_survive_json(trades: list, named: bool) -> None:
    """Written as JSON, without NaN, and read again, facts are equal."""
    facts = day_facts(stored(trades, list(range(len(trades))) if named else [-1] * len(trades)))
    assert DayFacts.from_json(json.loads(json.dumps(facts.to_json(), allow_nan=False))) == facts


@settings(max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 99)), min_size=1, max_size=40, unique_by=lambda r: r[1]))
def test_ids_are_counted_as_a_loop_counts_them(pairs: list[tuple[int, int]]) -> None:
    """Missing ids, holes and late rows equal those of a loop over sets; the gaps hold every missing trade."""
    table = stored([(ts, 100, 1, 1) for ts, _ in pairs], [trade_id for _, trade_id in pairs])
    facts, ids = day_facts(table), table.column("trade_id").to_pylist()
    absent = set(range(min(ids), max(ids) + 1)) - set(ids)
    assert (facts.min_id, facts.max_id, facts.missing_ids) == (min(ids), max(ids), len(absent))
    assert facts.id_holes == sum(1 for one in absent if one - 1 not in absent)
    assert facts.late_ids == sum(1 for k, one in enumerate(ids) if any(other > one for other in ids[:k]))
    ts = us(table.column("ts_us")).tolist()
    late = [ts[k] - ts[j] for k in range(len(ids)) for j in range(k) if ids[j] > ids[k]]
    assert facts.late_ids_us == max(late, default=0)
    assert sum(gap.missing or 0 for gap in facts.gaps) == len(absent)
    assert all(gap.from_ts_us <= gap.to_ts_us for gap in facts.gaps)


def test_facts_of_a_day_do_not_depend_on_other_days(tape: Tape) -> None:
    """A day has the same facts alone and cut from a table of three days, and the same after a neighbour changed."""
    days = [tape(day=k, ids=range(2_000 * k, 2_000 * k + 2_000), seed=k) for k in range(3)]
    whole = pa.concat_tables(days)
    assert [day_facts(whole.slice(2_000 * k, 2_000)) for k in range(3)] == [day_facts(day) for day in days]
    assert {day_facts(day).day for day in days} == {"2024-01-01", "2024-01-02", "2024-01-03"}


def test_numbers_of_a_small_day_worked_by_hand(tape: Tape) -> None:
    """Six trades: rows by hour, minutes, stamps, levels and the longest run of one stamp."""
    seconds = np.array([0, 0, 0, 61, 3_600, 86_399])
    table = tape(6, ts_us=DAY + seconds * 1_000_000, price=[1.0, 2, 3, 4, 5, 9], ids=[7, 8, 9, 12, 13, 14])
    facts = day_facts(table)
    assert facts.rows_per_hour == (4, 1, *[0] * 21, 1)
    assert (facts.rows, facts.minutes, facts.stamps, facts.whole_ms) == (6, 4, 4, 4)
    assert (facts.stuck_rows, facts.stuck_ts_us) == (3, DAY)
    assert (facts.price_low, facts.price_high, facts.open_level, facts.close_level) == (1.0, 9.0, 3.5, 3.5)
    assert (facts.min_id, facts.max_id, facts.missing_ids, facts.id_holes) == (7, 14, 2, 1)


def naive_flow(table: pa.Table) -> float:
    """Correlation of imbalance and clipped return over seconds, by dictionaries and numpy's corrcoef."""
    bins: dict[int, list[dict]] = {}
    for row in table.to_pylist():
        row["us"] = int(row["ts_us"].timestamp() * 1e6 + 0.5)
        bins.setdefault(row["us"] // 1_000_000, []).append(row)
    flow, close = [], []
    for key in sorted(bins):
        last = [row["price"] for row in bins[key] if row["us"] == bins[key][-1]["us"]]
        close.append(sum(last) / len(last))
        flow.append(sum(r["side"] * r["qty"] for r in bins[key]) / sum(r["qty"] for r in bins[key]))
    move = np.diff(np.log(close))
    move = np.clip(move / np.median(np.abs(move[np.abs(move) > 1e-12])), -5, 5)
    return float(np.corrcoef(flow[1:], move)[0, 1])


def test_flow_correlates_as_defined() -> None:
    """The sums over a day give the correlation that a loop and numpy give."""
    ticks = simulate(SyntheticSpec(days=0.02, trades_per_bar=90)).ticks
    facts = day_facts(ticks)
    assert facts.flow.correlation == pytest.approx(naive_flow(ticks), abs=1e-9)
    assert facts.flow.z == pytest.approx(naive_flow(ticks) * facts.flow.n**0.5)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-5, 5)), min_size=6, max_size=30), st.integers(1, 5))
def test_sums_of_days_add_up(pairs: list[tuple[float, float]], cut: int) -> None:
    """Sums of two parts are the sums of the whole."""

    def sums(part: list[tuple[float, float]]) -> FlowSums:
        x, y = (np.array(column) for column in zip(*part, strict=True))
        return FlowSums(len(part), x.sum(), y.sum(), x @ x, y @ y, x @ y)

    both, whole = sums(pairs[:cut]) + sums(pairs[cut:]), sums(pairs)
    assert both.n == whole.n
    assert [both.x, both.y, both.xx, both.yy, both.xy] == pytest.approx(
        [whole.x, whole.y, whole.xx, whole.yy, whole.xy], abs=1e-9
    )


def test_ids_of_two_sources_are_not_compared(tape: Tape) -> None:
    """Trades and aggregate trades interleaved have two sequences: the day counts as one without ids."""
    table = tape(4, ids=[10, 500, 11, 501])
    table = table.set_column(5, TICKS.field("source"), pa.array(["a", "b", "a", "b"]))
    facts = day_facts(table)
    assert facts.sources == ("a", "b")
    assert (facts.min_id, facts.without_id, facts.missing_ids) == (None, 4, 0)


def test_rows_without_an_id_among_others_are_counted(tape: Tape) -> None:
    """A day in which some rows lack an id keeps the holes of the others and says how many lack it."""
    table = tape(4).set_column(4, TICKS.field("trade_id"), pa.array([1, None, None, 5], pa.int64()))
    facts = day_facts(table)
    assert (facts.without_id, facts.missing_ids, facts.min_id, facts.max_id) == (2, 3, 1, 5)


def test_the_usual_pause_follows_the_market() -> None:
    """Ten times the pause a random moment falls into, whatever the halts: of a thin market long, of a busy one 60 s."""
    thin = np.full(400, 90_000_000)
    assert silence_limit(thin) == 900_000_000
    assert silence_limit(np.concatenate((thin, np.full(3, 20_000_000_000)))) == 900_000_000
    assert silence_limit(np.full(10_000, 4_000_000)) == 60_000_000
    assert silence_limit(np.empty(0, dtype=np.int64)) == 60_000_000
    assert silence_limit(np.full(9, 5_000_000_000)) == 50_000_000_000


def test_what_is_no_day_is_refused(tape: Tape) -> None:
    """No rows, stamps that decrease and a limit below ten seconds are refused, saying where."""
    with pytest.raises(ContractError, match="no rows"):
        day_facts(TICKS.empty_table())
    with pytest.raises(ContractError, match=r"row 1 \(2024-01-01T00:00:00Z\) is stamped before the row above"):
        day_facts(tape(2, ts_us=[DAY + 1, DAY]))
    with pytest.raises(ContractError, match="silence_s is 9; expected at least 10"):
        day_facts(tape(2), silence_s=9)
    other = {("lines" if key == "rows" else key): value for key, value in day_facts(tape(2)).to_json().items()}
    with pytest.raises(ContractError, match=r"missing keys \['rows'\], unexpected \['lines'\]"):
        DayFacts.from_json(other)


def test_facts_are_small(tape: Tape) -> None:
    """The facts of a day with 900 separate holes in its ids stay below 40 kB."""
    facts = day_facts(tape(900, ids=range(0, 1_800, 2)))
    assert len(json.dumps(facts.to_json())) < 40_000
    assert (facts.missing_ids, len(facts.gaps)) == (899, 200)


# ---- real and synthetic data raise no alarm ----------------------------------------------------------------------

REAL = {
    "XRPETH": "ticks/binance_spot_XRPETH_2019-10-11/XRP_ETH-trades.feather",
    "BTC-USD": "ticks/coinbase_BTC-USD_2023-09-05T16_trades_with_dups.csv.gz",
    "BTCUSDT": "ticks/tardis_binance-futures_BTCUSDT_2020-02-22_trades.csv.gz",
    "BTCUSDT spot": "ticks/binance_spot_BTCUSDT_2021-01-08_trades.parquet",
    "ETHUSDT": "ticks/binance_ETHUSDT_2023-02-02_1000trades.csv",
}


def facts_of(ticks: pa.Table) -> dict[str, DayFacts]:
    days = us(ticks.column("ts_us")) // DAY_US
    starts = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    facts = [day_facts(ticks.slice(a, b - a)) for a, b in pairwise(starts)]
    return {one.day: one for one in facts}


@pytest.mark.parametrize("name", REAL)
def test_real_ticks_raise_no_alarm(name: str) -> None:
    """Real trades of four venues, thin and busy, with ids and without, pass every rule."""
    from scalper_ml.ingest import read_ticks

    file = read_ticks(real_data(REAL[name]), symbol=name.split()[0])
    facts = facts_of(file.ticks)
    assert sum(one.rows for one in facts.values()) == file.counts.accepted
    assert {f.rule: f for f in judge(facts, {}, OBSERVATIONS.empty_table()) if not f.passed} == {}
    assert sum((one.flow for one in facts.values()), FlowSums()).correlation > 0.1


@pytest.mark.parametrize("name", REAL)
def test_real_ticks_with_inverted_sides_are_found(name: str) -> None:
    """The same trades with the maker flag read as the aggressor are called inverted, where seconds are enough."""
    from scalper_ml.ingest import read_ticks

    ticks = read_ticks(real_data(REAL[name]), symbol=name.split()[0]).ticks
    ticks = ticks.set_column(3, TICKS.field("side"), pa.array(-ticks.column("side").to_numpy()))
    found = {f.rule: f for f in judge(facts_of(ticks), {}, OBSERVATIONS.empty_table())}
    enough = found["side_inverted"].values["seconds"] > 100
    assert {rule for rule, f in found.items() if not f.passed} == ({"side_inverted"} if enough else set())


@pytest.mark.parametrize("level", ["A", "B", "null"])
def test_synthetic_markets_raise_no_alarm(level: str) -> None:
    """The planted markets are clean data: three days of each pass every rule."""
    facts = facts_of(simulate(SyntheticSpec(level=level, days=3)).ticks)  # type: ignore[arg-type]
    assert len(facts) == 3
    assert [f for f in judge(facts, {}, OBSERVATIONS.empty_table()) if not f.passed] == []


def test_stamps_of_a_test_tape_are_what_they_claim(tape: Tape) -> None:
    """The tape of these tests starts on 2024-01-01."""
    assert tape(1).column("ts_us").combine_chunks().equals(stamps(np.array([DAY])))
