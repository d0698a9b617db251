"""Context beside the bars: at each close what was known then, and nothing else."""

import numpy as np
import pytest
from contextdata import DAY_0, HOUR, Row, context, level
from hypothesis import given, settings
from hypothesis import strategies as st

from scalper_ml.context import CONTEXT_BARS, context_bars, open_interest_change
from scalper_ml.errors import ContractError
from scalper_ml.schema import us

MINUTE = 60_000_000
KINDS = ("funding_rate", "funding_interval_h", "open_interest", "open_interest_value", "taker_buy_volume",
         "taker_sell_volume", "liquidated_long", "liquidated_short", "mark_price", "long_short_ratio")  # fmt: skip
ROWS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 30), st.integers(0, 20), st.integers(1, 9).map(float)).map(
        lambda row: (row[0], DAY_0 + row[1] * HOUR, DAY_0 + (row[1] + row[2]) * HOUR, row[3])
    ),
    max_size=30,
)
UNITS = ("open_interest", "open_interest_value")
CLOSES = DAY_0 + np.arange(-1, 60) * HOUR


def column(rows: list[Row], closes: np.ndarray, name: str, bar_us: int = HOUR) -> list[float]:
    values: list[float] = context_bars(context(rows), closes, bar_us=bar_us).column(name).to_pylist()
    return values


def hours(*at: float) -> np.ndarray:
    return np.array([DAY_0 + round(hour * HOUR) for hour in at])


@settings(max_examples=25)
@given(ROWS, ROWS, st.integers(0, 55))
def test_no_bar_sees_what_became_known_after_its_close(rows: list[Row], later: list[Row], last: int) -> None:
    """Context known after a close, added, removed or altered, changes no column of that bar or of one before it."""
    close = int(CLOSES[last])
    past = [row for row in rows if row[2] <= close]
    future = [(kind, event, known + close - DAY_0 + 1, value) for kind, event, known, value in later]
    one = context_bars(context(rows), CLOSES[: last + 1], bar_us=HOUR)
    other = context_bars(context(past + future), CLOSES[: last + 1], bar_us=HOUR)
    assert_same(one, other)


@settings(max_examples=25)
@given(ROWS, st.sets(st.integers(0, len(CLOSES) - 1), min_size=1))
def test_a_bar_does_not_depend_on_the_bars_asked_for(rows: list[Row], chosen: set[int]) -> None:
    """Some of the closes give some of the rows, to the last bit."""
    places = np.array(sorted(chosen))
    whole = context_bars(context(rows), CLOSES, bar_us=HOUR).take(places)
    assert_same(whole, context_bars(context(rows), CLOSES[places], bar_us=HOUR))


@settings(max_examples=25)
@given(ROWS, ROWS, st.integers(1, 8))
def test_a_change_of_open_interest_is_of_what_was_known_at_its_ends(
    rows: list[Row], later: list[Row], ahead: int
) -> None:
    """Each is that of a walk over the rows; what becomes known after its end changes no bit of it."""
    begin, old = CLOSES[:50], 6 * HOUR
    end, ages = begin + ahead * HOUR, dict.fromkeys(UNITS, old)
    table = context(rows)
    columns = [us(table["event_ts_us"]).tolist(), us(table["ts_us"]).tolist()]
    walk = list(zip(*(table[name].to_pylist() for name in ("kind", "revision", "value")), *columns, strict=True))

    def known(kind: str, at: int) -> float:
        told = [(event, revision, value) for name, revision, value, event, seen in walk if name == kind and seen <= at]
        event, _, value = max(told, default=(at - old - 1, 0, np.nan))
        return value if at - event <= old else np.nan

    found = open_interest_change(table, begin, end, max_age_us=ages)
    for place, (first, last) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        ratios = [np.log(known(kind, last)) - np.log(known(kind, first)) for kind in UNITS]
        np.testing.assert_equal(found[place], next((ratio for ratio in ratios if np.isfinite(ratio)), np.nan))
    past = [row for row in rows if row[2] <= end[20]]
    future = [(kind, event, seen + int(end[20]) - DAY_0 + 1, value) for kind, event, seen, value in later]
    other = open_interest_change(context(past + future), begin, end, max_age_us=ages)
    np.testing.assert_array_equal(found[:21], other[:21])


def assert_same(one, other) -> None:
    assert one.schema.equals(other.schema)
    for name in one.column_names:
        np.testing.assert_array_equal(one.column(name).to_numpy(), other.column(name).to_numpy(), err_msg=name)


def test_without_context_everything_is_unknown() -> None:
    """All NaN, never 0, and no nulls: an absent feed looks the same whatever the future brings."""
    table = context_bars(context([]), CLOSES, bar_us=HOUR)
    assert table.schema.equals(CONTEXT_BARS)
    for name in CONTEXT_BARS.names[1:]:
        assert np.isnan(table.column(name).to_numpy()).all(), name


def test_the_rate_is_the_settled_one_with_its_age_and_the_next_settlement() -> None:
    """Rates at 0, 8, 16 h known 4 ms late: at 8:00 sharp still the first; 8 h intervals from the second on."""
    rows = level("funding_rate", [0.1, 0.2, 0.3], step=8 * HOUR, delay=4000)
    at = hours(0, 1, 8, 8.5, 15, 16.5)
    assert column(rows, at, "funding_rate")[1:] == [0.1, 0.1, 0.2, 0.2, 0.3]
    assert column(rows, at, "funding_age_h")[1:] == [1, 8, 0.5, 7, 0.5]
    np.testing.assert_array_equal(column(rows, at, "funding_interval_h"), [np.nan, np.nan, np.nan, 8, 8, 8])
    np.testing.assert_array_equal(column(rows, at, "hours_to_funding"), [np.nan, np.nan, np.nan, 7.5, 1, 7.5])


def test_the_stated_interval_goes_before_the_seen_one() -> None:
    """The dump says 4 h at the second settlement: the next one is 4 h later, though the last step was 8 h."""
    rows = level("funding_rate", [0.1, 0.2], step=8 * HOUR)
    rows += level("funding_interval_h", [8.0, 4.0], step=8 * HOUR)
    assert column(rows, hours(1, 9), "hours_to_funding") == [7, 3]


def test_a_settlement_that_is_missing_does_not_lengthen_the_interval() -> None:
    """Settlements at 0, 8, 24 h: at 24 h the shorter of the two last steps counts, and at 17 h the next is at 24."""
    rows = [("funding_rate", DAY_0 + h * HOUR, DAY_0 + h * HOUR, 0.1) for h in (0, 8, 24)]
    assert column(rows, hours(16, 17, 25), "hours_to_funding") == [0, 7, 7]


def test_a_dead_funding_feed_is_no_funding() -> None:
    """More than 25 h after the last settlement every funding column is NaN."""
    rows = level("funding_rate", [0.1, 0.2], step=8 * HOUR)
    for name in CONTEXT_BARS.names[1:8]:
        assert np.isnan(column(rows, hours(34), name)[0]), name
    assert column(rows, hours(33), "funding_rate") == [0.2]


def test_the_last_day_and_the_last_thirty_rates() -> None:
    """Sum of the three rates of a day; mean and deviation from the thirtieth rate on, equal to numpy's."""
    rates = np.random.default_rng(7).normal(0, 1e-4, 40)
    rows = level("funding_rate", rates.tolist(), step=8 * HOUR)
    at = DAY_0 + np.arange(40) * 8 * HOUR
    table = context_bars(context(rows), at, bar_us=MINUTE)
    day = [rates[max(0, i - 2) : i + 1].sum() for i in range(40)]
    np.testing.assert_allclose(table.column("funding_24h").to_numpy(), day, rtol=1e-12)
    mean, sd = (table.column(name).to_numpy() for name in ("funding_mean_30", "funding_sd_30"))
    assert np.isnan(mean[:29]).all()
    windows = np.lib.stride_tricks.sliding_window_view(rates, 30)
    np.testing.assert_allclose(mean[29:], windows.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(sd[29:], windows.std(axis=1), rtol=1e-12)


def test_a_revised_rate_enters_the_sums_when_it_is_known() -> None:
    """The second of three rates is revised at 20 h: the day's sum changes then and not before."""
    rows = [
        *level("funding_rate", [1.0, 2.0, 3.0], step=8 * HOUR),
        ("funding_rate", DAY_0 + 8 * HOUR, DAY_0 + 20 * HOUR, 5.0),
    ]
    assert column(rows, hours(16, 19, 20), "funding_24h") == [6, 6, 9]
    assert column(rows, hours(16, 19, 20), "funding_rate") == [3, 3, 3]


def test_open_interest_changes_by_what_was_known_an_hour_ago() -> None:
    """The logarithm of now over then, of base units; of quote units where base units are not given."""
    rows = level("open_interest", [100.0, 110.0, 121.0], delay=5 * MINUTE)
    quote = level("open_interest_value", [100.0, 200.0, 400.0], delay=5 * MINUTE)
    at = hours(0, 1, 1.1, 2.1)
    change = [np.nan, np.nan, np.log(1.1), np.log(1.1)]
    np.testing.assert_allclose(column(rows, at, "open_interest_change_1h"), change)
    np.testing.assert_allclose(column(rows + quote, at, "open_interest_change_1h"), change)
    np.testing.assert_allclose(column(quote, at, "open_interest_change_1h")[2:], [np.log(2)] * 2)
    np.testing.assert_allclose(column(rows, at, "open_interest_age_h"), [np.nan, 1, 0.1, 0.1])


def test_the_taker_ratio_is_the_venues_or_that_of_its_volumes() -> None:
    """Bought over sold; NaN where nothing was sold; the venue's own number goes first."""
    volumes = level("taker_buy_volume", [3.0, 4.0]) + level("taker_sell_volume", [2.0, 0.0])
    np.testing.assert_array_equal(column(volumes, hours(0.5, 1.5), "taker_buy_sell_ratio"), [1.5, np.nan])
    stated = level("taker_buy_sell_ratio", [0.7, 0.8])
    assert column(volumes + stated, hours(0.5, 1.5), "taker_buy_sell_ratio") == [0.7, 0.8]


def test_liquidations_are_summed_over_the_bar_in_which_they_became_known() -> None:
    """In ``(close - bar, close]`` of known time; the other side is 0 while the feed lives, NaN before and after."""
    rows = [
        ("liquidated_long", DAY_0, DAY_0 + 1_000_000, 5.0),
        ("liquidated_long", DAY_0, DAY_0 + MINUTE, 6.0),
        ("liquidated_long", DAY_0 + MINUTE - 1, DAY_0 + MINUTE + 1, 7.0),
    ]
    at = DAY_0 + np.array([0, 1, 2, 3]) * MINUTE
    np.testing.assert_array_equal(column(rows, at, "liquidated_long", MINUTE), [np.nan, 11, 7, 0])
    np.testing.assert_array_equal(column(rows, at, "liquidated_short", MINUTE), [np.nan, 0, 0, 0])
    assert np.isnan(column(rows, hours(26), "liquidated_long", MINUTE)[0])


def test_further_kinds_are_columns_of_their_own_name() -> None:
    """A kind of a long table, as of each close; asking for one that is there anyway is refused."""
    rows = level("dvol", [55.0, 56.0])
    table = context_bars(context(rows), hours(0.5, 1.5, 9), bar_us=HOUR, kinds=["dvol"])
    np.testing.assert_array_equal(table.column("dvol").to_numpy(), [55.0, 56.0, np.nan])
    with pytest.raises(ContractError, match="mark_price"):
        context_bars(context(rows), hours(1), bar_us=HOUR, kinds=["mark_price"])


def test_closes_that_do_not_increase_are_refused() -> None:
    """The message says which."""
    with pytest.raises(ContractError, match="close 1 is"):
        context_bars(context([]), hours(1, 1), bar_us=HOUR)
