"""Every rule finds the fault planted for it, with its count and place, and nothing in clean data."""

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.errors import SettingsError
from scalper_ml.quality import RULES, TRADE_RULES, DayFacts, Finding, Limits, day_facts, judge, judge_quotes
from scalper_ml.quality.facts import DAY_US
from scalper_ml.quality.instruments import Instrument
from scalper_ml.quality.judge import severities
from scalper_ml.schema import OBSERVATIONS, stamps

DAY = 19_723 * DAY_US  # 2024-01-01
NONE = OBSERVATIONS.empty_table()
SECOND = 1_000_000
Tape = Callable[..., pa.Table]


def by_day(*tables: pa.Table) -> dict[str, DayFacts]:
    """Facts of some days, under the day they are of."""
    facts = [day_facts(table) for table in tables]
    return {one.day: one for one in facts}


def findings(
    facts: Mapping[str, DayFacts], reasons: Mapping[str, int] | None = None, **given: Any
) -> dict[str, Finding]:
    observations, quotes = given.pop("observations", NONE), given.pop("quotes", {})
    found = [*judge(facts, reasons or {}, observations, **given), *judge_quotes(quotes, {})]
    return {one.rule: one for one in found}


def failed(found: Mapping[str, Finding]) -> set[str]:
    return {name for name, one in found.items() if not one.passed}


def column(table: pa.Table, name: str, values: np.ndarray | pa.Array) -> pa.Table:
    """The table with another column."""
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), pa.array(values))


def changed(table: pa.Table, name: str, rows: Any, values: Any) -> pa.Table:
    """The table with other values in some rows of a column."""
    array = table.column(name).to_numpy().copy()
    array[rows] = values
    return column(table, name, array.astype(np.int8) if name == "side" else array)


def observed(*rows: tuple[str, str, int], seen: dict[str, int] | None = None) -> pa.Table:
    """Observations of (file, sha256, last stamp), some of them with the moment they were first seen at."""
    return pa.Table.from_pylist(
        [
            {"file": name, "sha256": digest, "bytes": 1, "format": "csv", "read": 1, "accepted": 1, "duplicate": 0,
             "quarantined": 0, "first_ts_us": last, "last_ts_us": last, "seen_ts_us": (seen or {}).get(name)}
            for name, digest, last in rows
        ],
        schema=OBSERVATIONS,
    )  # fmt: skip


# ---- each planted fault, and nothing else ------------------------------------------------------------------------


def without_rows(tape: Tape) -> dict[str, Any]:
    ids = np.arange(2_000)
    return {"facts": by_day(tape(ids=ids).filter(pa.array((ids < 700) | (ids >= 710))))}


def across_days(tape: Tape) -> dict[str, Any]:
    ts = DAY_US - 2_000 * SECOND + np.arange(2_000) * SECOND
    first = tape(ids=range(2_000), ts_us=DAY + ts)
    return {"facts": by_day(first, tape(day=1, ids=range(2_007, 4_007)))}


def halted(tape: Tape, ids: range | None) -> dict[str, Any]:
    ts = DAY + np.arange(2_000) * SECOND
    ts[900:] += 4 * 3_600 * SECOND
    return {"facts": by_day(tape(ids=ids, ts_us=ts))}


def interleaved(tape: Tape) -> dict[str, Any]:
    ids = np.arange(2_000)
    ids[1_000:1_005], ids[1_500:1_505] = np.arange(1_500, 1_505), np.arange(1_000, 1_005)
    return {"facts": by_day(tape(ids=ids))}


def same_id_on_two_days(tape: Tape) -> dict[str, Any]:
    ts = DAY + DAY_US - 2_000 * SECOND + np.arange(2_000) * SECOND
    reasons = {"trade_id: repeated with other values than its first row": 2}
    return {"facts": by_day(tape(ids=range(2_000), ts_us=ts), tape(day=1, ids=range(1_999, 3_999))), "reasons": reasons}


def two_sources(tape: Tape) -> dict[str, Any]:
    ts = DAY + 2 * DAY_US - 2_000 * SECOND + np.arange(2_000) * SECOND
    one, two = (tape(ts_us=ts, seed=1), tape(ts_us=ts + DAY_US, seed=1))
    names = pa.array(["test"] * 1_000 + ["other"] * 1_000)
    return {
        "facts": by_day(tape(ts_us=ts - DAY_US), one, column(two, "source", names)) | {},
        "ignore": {"unknown_gaps"},
    }


def insurance_fund(tape: Tape) -> dict[str, Any]:
    table = tape(ids=range(2_000))
    price = table.column("price").to_numpy()
    return {"facts": by_day(changed(table, "price", [300, 301, 1_500], price[[300, 301, 1_500]] * [1.04, 1.05, 0.9]))}


def slipped(tape: Tape) -> dict[str, Any]:
    table = tape(ids=range(2_000))
    price = table.column("price").to_numpy()
    return {"facts": by_day(changed(table, "price", [0, 400, 1_999], price[[0, 400, 1_999]] * [10, 0.01, 0.1]))}


def redenominated(tape: Tape) -> dict[str, Any]:
    table = tape(ids=range(2_000))
    price = table.column("price").to_numpy()
    return {"facts": by_day(changed(table, "price", slice(800, None), price[800:] * 1_000))}


def redenominated_at_midnight(tape: Tape) -> dict[str, Any]:
    ts = DAY + DAY_US - 2_000 * SECOND + np.arange(2_000) * SECOND
    later = tape(ids=range(2_000, 4_000), day=1)
    return {
        "facts": by_day(
            tape(ids=range(2_000), ts_us=ts), column(later, "price", later.column("price").to_numpy() / 100)
        )
    }


def quarantined(tape: Tape) -> dict[str, Any]:
    reasons = {"price: not positive and finite": 3, "qty: not a number": 4, "price: zero or negative": 1}
    return {"facts": by_day(tape(ids=range(2_000))), "reasons": reasons}


def torn(tape: Tape) -> dict[str, Any]:
    reasons = {"3 fields, expected 7": 5, "side: neither buy nor sell": 1}
    return {"facts": by_day(tape(ids=range(2_000))), "reasons": reasons}


def a_week_with_holes(tape: Tape) -> dict[str, Any]:
    hole = [tape(day=k, ids=range(10_000 * k, 10_000 * k + 2_000)) for k in (0, 3, 6)]
    return {"facts": by_day(*hole), "ignore": {"id_gaps"}}


def before_listing(tape: Tape) -> dict[str, Any]:
    return {"facts": by_day(tape(ids=range(2_000))), "instrument": Instrument("X", listed=date(2024, 1, 2))}


def misfiled(tape: Tape) -> dict[str, Any]:
    ts = DAY + DAY_US - 1_990 * SECOND + np.arange(2_000) * SECOND
    return {"facts": by_day(tape(ids=range(2_000), ts_us=ts))}


def ahead(tape: Tape) -> dict[str, Any]:
    facts = by_day(tape(ids=range(2_000)))
    seen = {"a.zip": DAY + SECOND, "b.zip": DAY}
    files = observed(("a.zip", "1", DAY), ("b.zip", "2", DAY + 9 * SECOND), seen=seen)
    return {"facts": facts, "now_us": DAY + 1_000 * SECOND, "observations": files}


def stopped(tape: Tape) -> dict[str, Any]:
    ts = DAY + np.arange(2_000) * SECOND
    ts[1_000:1_600] = ts[1_000]
    ts[1_600:] -= 600 * SECOND - SECOND
    return {"facts": by_day(tape(ids=range(2_000), ts_us=ts))}


def half_in_ms(tape: Tape) -> dict[str, Any]:
    ts = DAY + np.arange(2_000) * SECOND + np.arange(2_000) % 999 + 1
    ts[1_400:1_480] -= ts[1_400:1_480] % 1_000
    return {"facts": by_day(tape(ids=range(2_000), ts_us=ts))}


def every_third_in_ms(tape: Tape) -> dict[str, Any]:
    ts = DAY + np.arange(2_000) * SECOND + np.arange(2_000) % 999 + 1
    ts[::3] -= ts[::3] % 1_000
    return {"facts": by_day(tape(ids=range(2_000), ts_us=ts))}


def inverted(tape: Tape) -> dict[str, Any]:
    table = tape(ids=range(2_000))
    return {"facts": by_day(column(table, "side", -table.column("side").to_numpy()))}


def uploaded_again(tape: Tape) -> dict[str, Any]:
    files = observed(
        ("a.zip", "1" * 64, DAY), ("a.zip", "2" * 64, DAY), ("b.zip", "3" * 64, DAY), ("b.zip", "3" * 64, DAY)
    )
    return {"facts": by_day(tape(ids=range(2_000))), "observations": files}


def contracts(tape: Tape) -> dict[str, Any]:
    return {"facts": by_day(changed(tape(ids=range(2_000)), "qty", [5, 1_000], [1e6, 2e6]))}


def quoted(tape: Tape, what: str) -> dict[str, Any]:
    return {"facts": by_day(tape(ids=range(2_000))), "quotes": {"rows": 100, what: 7}}


PLANTED: list[tuple[str, Callable[[Tape], dict[str, Any]], int, str]] = [
    ("id_gaps", without_rows, 10, "2024-01-01T00:11:39Z and 2024-01-01T00:11:50Z (ids 699 and 710): 10 missing"),
    ("id_gaps", across_days, 7, "2024-01-01T23:59:59Z and 2024-01-02T00:00:00Z (ids 1999 and 2007): 7 missing"),
    ("exchange_silence", lambda t: halted(t, range(2_000)), 1, "00:14:59Z and 2024-01-01T04:15:00Z (ids 899"),
    ("unknown_gaps", lambda t: halted(t, None), 1, "2024-01-01T00:14:59Z and 2024-01-01T04:15:00Z: 14401 s"),
    ("non_monotonic_ids", interleaved, 500, "2024-01-01T00:25:04Z: 504 s after a higher id"),
    ("conflicting_ids", same_id_on_two_days, 3, "2024-01-02: lowest id 1999, but 2024-01-01 reaches 1999"),
    ("mixed_sources", two_sources, 1, "2024-01-03: ['other', 'test']"),
    ("off_market_prints", insurance_fund, 3, "2024-01-01T00:05:00Z: 10"),
    ("decimal_slips", slipped, 3, "2024-01-01T00:06:40Z: 1.00029 against 100.037"),
    ("decimal_slips", redenominated, 1, "2024-01-01: 1 within the day"),
    ("decimal_slips", redenominated_at_midnight, 1, "2024-01-02: from 100.132 to 1.00002"),
    ("zero_negative_nan", quarantined, 8, ""),
    ("unreadable_rows", torn, 6, ""),
    ("missing_days", a_week_with_holes, 4, "2024-01-02 to 2024-01-03"),
    ("outside_listing", before_listing, 2_000, "2024-01-01: 2000 rows"),
    ("day_boundary", misfiled, 10, "2024-01-01: 10 rows of other days"),
    ("clock", ahead, 2, "2024-01-01: 2024-01-01T00:33:19Z"),
    ("stuck_clock", stopped, 1, "2024-01-01T00:16:40Z: 600 of 2000 rows"),
    ("units", half_in_ms, 80, "80 in a row from 2024-01-01T00:23:20Z"),
    ("units", every_third_in_ms, 667, "667 of 2000 stamps in whole ms"),
    ("side_inverted", inverted, 1, "2024-01-01: -0."),
    ("reuploaded_files", uploaded_again, 1, "a.zip: sha256 111111111111, 222222222222"),
    ("qty_outliers", contracts, 2, "2024-01-01T00:00:05Z: 1e+06 against"),
    ("crossed_quotes", lambda t: quoted(t, "crossed"), 7, ""),
    ("stale_quotes", lambda t: quoted(t, "stale"), 7, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "plant", "count", "place"), PLANTED, ids=[f"{p[0]}-{k}" for k, p in enumerate(PLANTED)]
)
def test_a_planted_fault_is_found(
    tape: Tape, rule: str, plant: Callable[[Tape], dict[str, Any]], count: int, place: str
) -> None:
    """The fault of each rule is found by that rule, with its count and its place, and by no other rule."""
    given = plant(tape)
    allowed = given.pop("ignore", set())
    found = findings(given.pop("facts"), given.pop("reasons", None), **given)
    assert found[rule].count == count, found[rule]
    assert not place or any(place in example for example in found[rule].examples), found[rule].examples
    assert failed(found) - allowed == {rule}
    assert found[rule].blocks == (RULES[rule].severity == "error")


def test_every_rule_has_a_planted_fault() -> None:
    """No rule enters the registry without a test that it finds something."""
    assert {rule for rule, *_ in PLANTED} == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_what_it_is(name: str) -> None:
    """Each rule names its unit, its meaning and where it was learnt, and starts at a severity that exists."""
    rule = RULES[name]
    assert rule.name == name
    assert rule.severity in ("error", "warn")
    assert rule.unit
    assert rule.source
    assert rule.description.endswith(".")


# ---- what is no fault --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [range(2_000), None])
def test_clean_ticks_pass_every_rule(tape: Tape, ids: range | None) -> None:
    """A quiet market with or without ids has no fault, and every rule says so."""
    found = findings(by_day(tape(ids=ids)), now_us=DAY + DAY_US)
    assert list(found) == [*TRADE_RULES, "crossed_quotes", "stale_quotes"]
    assert failed(found) == set()


def test_equal_stamps_are_no_fault(tape: Tape) -> None:
    """Hundreds of trades of one millisecond, and equal rows without ids, are normal: no rule counts them."""
    ts = DAY + np.arange(2_000) // 400 * SECOND
    assert failed(findings(by_day(tape(ts_us=ts, ids=range(2_000))))) == set()
    row = {"price": np.full(2_000, 5.0), "qty": np.full(2_000, 2.0), "side": np.ones(2_000)}
    assert failed(findings(by_day(tape(ts_us=ts, **row)))) == set()


def test_a_crash_is_no_off_market_print(tape: Tape) -> None:
    """A price that falls by 30 % in a minute and comes back in ten, through trades, is the market."""
    fall = np.concatenate((np.zeros(900), np.linspace(0, -0.36, 60), np.linspace(-0.36, 0, 600), np.zeros(440)))
    table = tape(ids=range(2_000))
    table = column(table, "price", table.column("price").to_numpy() * np.exp(fall))
    assert failed(findings(by_day(table))) == set()


@pytest.mark.parametrize("row", [5, 1_000, 1_992])
def test_a_jump_that_stays_is_no_off_market_print(tape: Tape, row: int) -> None:
    """A move of 8 % from one trade to the next that the price does not return from is the market, at midnight too."""
    table = tape(ids=range(2_000))
    table = changed(table, "price", slice(row, None), table.column("price").to_numpy()[row:] * 1.08)
    assert failed(findings(by_day(table))) == set()


def test_a_wide_spread_is_no_off_market_print(tape: Tape) -> None:
    """A thin coin quoted 1 % wide, hit from one side most of the time, prints at both quotes without a fault."""
    buys = np.arange(2_000) % 9 == 0
    price, side = np.where(buys, 1.01, 1.0), np.where(buys, 1, -1)
    found = findings(by_day(tape(ids=range(2_000), price=price, side=side)))
    assert failed(found) == set()


def test_ids_may_contradict_stamps_within_the_jitter(tape: Tape) -> None:
    """Neighbours a second apart in the wrong order are counted in the values, and fail only under a lower limit."""
    ids = np.arange(2_000)
    ids[[50, 51]] = 51, 50
    facts = by_day(tape(ids=ids))
    found = findings(facts)["non_monotonic_ids"]
    assert (found.passed, found.count, found.values["rows"]) == (True, 0, 1)
    strict = findings(facts, limits=Limits(id_jitter_us=999_999))["non_monotonic_ids"]
    assert (strict.passed, strict.count) == (False, 1)


def test_days_that_ids_prove_silent_are_not_missing(tape: Tape) -> None:
    """Two days without a trade between contiguous ids are one halt of the venue, not two missing days."""
    found = findings(by_day(tape(ids=range(2_000)), tape(day=3, ids=range(2_000, 4_000))))
    assert failed(found) == {"exchange_silence"}
    assert found["missing_days"].values["silent"] == 2


def test_days_outside_the_listing_are_not_missing(tape: Tape) -> None:
    """Wanted days before the listing and after the delisting are not asked for; those between are."""
    facts = by_day(tape(day=1, ids=range(2_000)))
    coin = Instrument("X", listed=date(2024, 1, 2), delisted=date(2024, 1, 4))
    wanted = (date(2023, 12, 1), date(2024, 1, 31))
    found = findings(facts, instrument=coin, expected=wanted)["missing_days"]
    assert (found.count, found.values["days"]) == (2, ["2024-01-03", "2024-01-04"])
    assert findings(facts, expected=wanted)["missing_days"].count == 61


def test_a_switch_to_microseconds_at_midnight_is_no_fault(tape: Tape) -> None:
    """A venue that stamps in microseconds from one day on mixes no units; the days of each are counted."""
    ts = DAY + DAY_US - 2_000 * SECOND + np.arange(2_000) * SECOND
    found = findings(
        by_day(tape(ids=range(2_000), ts_us=ts), tape(ids=range(2_000, 4_000), ts_us=ts + 2_000 * SECOND + 7))
    )
    assert failed(found) == set()
    assert found["units"].values == {"days_in_us": 1, "days_in_ms": 1}


def test_one_inverted_day_of_many_is_found(tape: Tape) -> None:
    """A file read with its sides inverted does not hide among right ones."""
    ts = DAY + DAY_US - 2_000 * SECOND + np.arange(2_000) * SECOND
    days = [tape(ids=range(2_000 * k, 2_000 * k + 2_000), ts_us=ts + k * DAY_US, seed=k) for k in range(5)]
    days[3] = column(days[3], "side", -days[3].column("side").to_numpy())
    found = findings(by_day(*days))["side_inverted"]
    assert (found.count, found.values["correlation"] > 0) == (1, True)
    assert found.examples[0].startswith("2024-01-04: -")


def test_unrelated_sides_are_not_called_inverted(tape: Tape) -> None:
    """Sides drawn at random correlate with nothing: of 40 such days none is called inverted."""
    rng = np.random.default_rng(3)
    for seed in range(40):
        side = rng.choice([-1, 1], 2_000)
        table = tape(ids=range(2_000), seed=seed, price=100 * np.exp(np.cumsum(rng.normal(0, 1e-4, 2_000))), side=side)
        assert findings(by_day(table))["side_inverted"].passed


def test_each_quarantined_row_is_counted_once(tape: Tape) -> None:
    """The three rules that count quarantined rows share them out without rest, whatever the reasons say."""
    reasons = {
        "price: not a number": 1, "price: not positive and finite": 2, "qty: not positive and finite": 4, "side: ?": 8,
        "trade_id: repeated in another file with other values than its first row": 16, "ts: before 2000": 32, "": 64,
    }  # fmt: skip
    found = findings(by_day(tape(ids=range(2_000))), reasons)
    counts = [found[name].count for name in ("zero_negative_nan", "conflicting_ids", "unreadable_rows")]
    assert counts == [7, 16, 104]
    assert sum(counts) == sum(reasons.values())


# ---- severities and form -----------------------------------------------------------------------------------------


def test_severities_of_the_settings_win(tape: Tape) -> None:
    """A rule raised to error blocks, one that is ignored is not reported, the others keep their own."""
    facts = without_rows(tape)["facts"]
    found = {one.rule: one for one in judge(facts, {}, NONE, {"id_gaps": "error", "clock": "ignore"})}
    assert found["id_gaps"].blocks
    assert set(TRADE_RULES) - set(found) == {"clock"}
    assert not findings(facts)["id_gaps"].blocks


def test_an_unknown_rule_or_severity_is_refused() -> None:
    """A misspelt rule is named with the nearest one, a severity with the ones there are."""
    with pytest.raises(SettingsError, match="'id_gap' is unknown; did you mean 'id_gaps'"):
        severities({"id_gap": "warn"})
    with pytest.raises(SettingsError, match="found severity 'fatal'; expected one of"):
        severities({"id_gaps": "fatal"})


def test_findings_are_json(tape: Tape) -> None:
    """What is found, with its values and examples, can be written as JSON without NaN and read back equal."""
    for found in findings(insurance_fund(tape)["facts"], now_us=DAY).values():
        assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()


def test_no_ticks_at_all_are_judged() -> None:
    """Without a day every rule still answers, and only wanted days are missing."""
    assert failed(findings({})) == set()
    found = findings({}, expected=(date(2024, 1, 1), date(2024, 1, 3)))
    assert failed(found) == {"missing_days"}
    assert found["missing_days"].count == 3


def test_the_moment_of_first_sight_is_held_against_each_file() -> None:
    """Of files only those that it is known when they were first seen are held against it, with two seconds to spare."""
    rows = (("a", "1", DAY + 2 * SECOND), ("b", "2", DAY + 2 * SECOND + 1), ("c", "3", DAY + DAY_US))
    files = observed(*rows, seen={"a": DAY, "b": DAY})
    found = findings({}, observations=files)["clock"]
    assert (found.count, found.values["checked"]) == (1, 2)
    assert found.examples == ("b: 2024-01-01T00:00:02.000001Z, first seen 2024-01-01T00:00:00Z",)
    assert stamps(np.array([DAY])).type == files.column("last_ts_us").type
