"""Every labeller there is, under every other future: bars, trades and quotes cut off, scaled, reversed, thinned."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelrules import ruled

from scalper_ml.labels.audit import Labelled, Stream, Streams, label_audit
from scalper_ml.labels.barrier import barrier_labels, tape_barrier_labels
from scalper_ml.labels.executable import executable_labels, mid_fills, side_mid_fills, trade_fills
from scalper_ml.labels.horizon import Barriers, horizon_labels
from scalper_ml.labels.targets import specialist_targets
from scalper_ml.labels.trend import trend_labels

STEP = 60_000_000
RULE: dict[str, Any] = {"horizon": 3, "interval_us": STEP, "k_vol": 0.43, "kappa": 1.0}
LATENCY = 250_000


def market(seed: int, n: int = 90) -> Streams:
    """Bars with holes, trades with pauses and quotes, each a stream of its own."""
    rng = np.random.default_rng(seed)
    start = STEP * np.cumsum(1 + rng.binomial(3, 0.1, n)).astype(np.int64)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    first = np.concatenate([[100.0], close[:-1]])
    span = [rng.exponential(4e-4, n) for _ in range(2)]
    sigma = np.where(np.arange(n) < 5, np.nan, rng.uniform(5e-4, 2e-3, n))
    bars = {
        "open": first, "high": np.maximum(first, close) * np.exp(span[0]), "open_ts_us": start,
        "low": np.minimum(first, close) * np.exp(-span[1]), "sigma": sigma, "cost": np.full(n, 5e-4),
        "side": rng.integers(-1, 2, n),
    }  # fmt: skip
    k = 12 * n
    stamp = np.sort(rng.integers(start[0], start[-1] + STEP, k))
    price = 100 * np.exp(np.cumsum(rng.normal(0, 4e-4, k)))
    aggressor = rng.choice([-1, 1], k)
    trades = {"price": price * (1 + 1e-4 * aggressor), "side": aggressor}
    quotes = {"bid": price * (1 - 1e-4), "ask": price * (1 + 1e-4)}
    return {"bars": Stream(start + STEP, bars), "trades": Stream(stamp, trades), "quotes": Stream(stamp + 7, quotes)}


def of_bars(streams: Streams) -> tuple[dict[str, Any], dict[str, Any]]:
    bars = streams["bars"]
    prices = {name: bars.columns[name] for name in ("open", "high", "low", "open_ts_us")} | {"ts_us": bars.known_us}
    return prices, {**RULE, "sigma": bars.columns["sigma"], "cost": bars.columns["cost"]}


def fixed(streams: Streams, until_us: int) -> Labelled:
    prices, rule = of_bars(streams)
    return horizon_labels(prices["open"], prices["open_ts_us"], prices["ts_us"], **ruled(max_gap_bars=2, **rule))


def binary(streams: Streams, until_us: int) -> Labelled:
    prices, rule = of_bars(streams)
    rule |= {"k_vol": 0.0, "kappa": 0.0}
    return horizon_labels(prices["open"], prices["open_ts_us"], prices["ts_us"], **ruled(max_gap_bars=2, **rule))


def barriers(streams: Streams, until_us: int) -> Labelled:
    prices, rule = of_bars(streams)
    return barrier_labels(**prices, barriers=Barriers(1.0, 1.5, 2), **ruled(max_gap_bars=2, **rule))


def barriers_of_a_side(streams: Streams, until_us: int) -> Labelled:
    prices, rule = of_bars(streams)
    return barrier_labels(**prices, side=streams["bars"].columns["side"], **ruled(max_gap_bars=2, **rule))


def barriers_on_trades(streams: Streams, until_us: int) -> Labelled:
    trades, (prices, rule) = streams["trades"], of_bars(streams)
    tape = (trades.known_us, trades.columns["price"])
    return tape_barrier_labels(prices["ts_us"], *tape, latency_us=LATENCY, **ruled(max_gap_bars=1, **rule))


def _executable(streams: Streams, fills: Any) -> Labelled:
    prices, rule = of_bars(streams)
    return executable_labels(prices["ts_us"], fills, latency_us=LATENCY, **ruled(**rule))


def first_trades(streams: Streams, until_us: int) -> Labelled:
    trades = streams["trades"]
    tape = {"ts_us": trades.known_us, "price": trades.columns["price"]}
    return _executable(streams, partial(trade_fills, wait_us=STEP, **tape))


def mids(streams: Streams, until_us: int) -> Labelled:
    quotes = streams["quotes"]
    book = {"ts_us": quotes.known_us, "bid": quotes.columns["bid"], "ask": quotes.columns["ask"]}
    return _executable(streams, partial(mid_fills, max_age_us=STEP, until_us=until_us, **book))


def mids_of_sides(streams: Streams, until_us: int) -> Labelled:
    trades = streams["trades"]
    tape = {"ts_us": trades.known_us, "price": trades.columns["price"], "side": trades.columns["side"]}
    return _executable(streams, partial(side_mid_fills, max_age_us=STEP, until_us=until_us, **tape))


def trends(streams: Streams, until_us: int) -> Labelled:
    prices, _ = of_bars(streams)
    bars = (prices["open"], prices["open_ts_us"], prices["ts_us"])
    return trend_labels(*bars, interval_us=STEP, shortest=3, longest=7, max_gap_bars=2)


def specialists(streams: Streams, until_us: int) -> Labelled:
    prices, _ = of_bars(streams)
    return specialist_targets(**prices, labels=fixed(streams, until_us), interval_us=STEP)  # type: ignore[arg-type]


LABELLERS: list[Callable[[Streams, int], Labelled]] = [
    fixed, binary, barriers, barriers_of_a_side, barriers_on_trades, first_trades, mids, mids_of_sides, trends,
    specialists,
]  # fmt: skip


@pytest.mark.parametrize("label", LABELLERS)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=12)
def test_no_label_of_any_kind_changes_when_only_the_future_changes(label: Any, seed: int) -> None:
    """Whatever comes after a cut, every label known by then stays to the last bit, and none appears or vanishes."""
    result = label_audit(market(seed), label, cuts=8, seed=seed)
    result.require()
    assert result.compared > 0


def line_end(streams: Streams, until_us: int) -> Labelled:
    """Trend labels that say they are known at the end of the chosen line."""
    labels = trends(streams, until_us)
    return replace(labels, t1=labels.t1 - STEP * (7 - labels.length))  # type: ignore[type-var,attr-defined]


def touch_is_said_at_once(streams: Streams, until_us: int) -> Labelled:
    """Barrier labels that say they are known a bar before the touch."""
    labels = barriers(streams, until_us)
    return replace(labels, t1=labels.t1 - STEP)  # type: ignore[type-var]


def close_of_the_whole_path(streams: Streams, until_us: int) -> Labelled:
    """Targets of a longer path than the label's."""
    prices, rule = of_bars(streams)
    bars = (prices["open"], prices["open_ts_us"], prices["ts_us"])
    longer = horizon_labels(*bars, **ruled(max_gap_bars=2, **{**rule, "horizon": 6}))
    targets = specialist_targets(**prices, labels=longer, interval_us=STEP)
    return replace(targets, t1=targets.t1 - 3 * STEP)


def quotes_by_the_wrong_clock(streams: Streams, until_us: int) -> Labelled:
    """Mids of quotes taken as known three minutes before they were."""
    quotes = streams["quotes"]
    return mids({**streams, "quotes": Stream(quotes.known_us - 3 * STEP, quotes.columns)}, until_us)


@pytest.mark.parametrize("leak", [line_end, touch_is_said_at_once, close_of_the_whole_path, quotes_by_the_wrong_clock])
def test_planted_leaks_of_the_other_kinds_are_found(leak: Any) -> None:
    """Labels that claim to be known before they are: by the length of a line, a touch, a path, a clock."""
    assert not label_audit(market(1), leak, cuts=20).ok
