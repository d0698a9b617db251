"""Synthetic markets: what is written holds the signal, no more and no less."""

import dataclasses
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.bars.builder import BarBuilder, build_bars
from scalper_ml.errors import SettingsError
from scalper_ml.ingest import find_sources, read_ticks
from scalper_ml.ingest.synthetic import SyntheticMarket, SyntheticSpec, Texture, simulate, write_synthetic
from scalper_ml.schema import TICKS, us

LARGE = SyntheticSpec(level="A", days=25, trades_per_bar=12, rho=0.15, phi=0.8, seed=11)
SMALL = SyntheticSpec(days=0.5, trades_per_bar=8, seed=3)


@cache
def market(spec: SyntheticSpec) -> SyntheticMarket:
    return simulate(spec)


def bars_of(ticks: pa.Table, interval_us: int) -> pa.Table:
    bars, state = build_bars(ticks, interval_us)
    return pa.concat_tables([bars, BarBuilder.from_state(interval_us, state).finish()])


def hits(signal: np.ndarray, price: np.ndarray, horizon: int) -> tuple[float, float]:
    """Share of h-step moves of `price` in the direction of `signal`, and its standard error for overlapping moves."""
    move = np.log(price[horizon:] / price[:-horizon])
    share = float(np.mean(np.sign(move) == np.sign(signal[: len(move)])))
    return share, 0.5 / np.sqrt(len(move) / horizon)


def columns(table: pa.Table, *names: str) -> list[np.ndarray]:
    return [table[name].to_numpy() for name in names]


@pytest.mark.parametrize("horizon", [1, 3, 5, 15])
def test_the_oracle_reaches_the_closed_form(horizon: int) -> None:
    """The sign of the signal foretells h-bar mid moves as often as the closed form says, within 4 standard errors."""
    signal, mid = columns(market(LARGE).truth, "signal", "mid")
    share, error = hits(signal, mid, horizon)
    assert share == pytest.approx(market(LARGE).optimum[str(horizon)]["da"], abs=4 * error)
    assert share > 0.5 + 4 * error


def test_the_edge_can_be_traded_at_the_next_open() -> None:
    """From the open of the next bar to the one after, prices that printed still move with the signal."""
    bars = bars_of(market(LARGE).ticks, LARGE.interval_us)
    (signal,) = columns(market(LARGE).truth, "signal")
    (opened,) = columns(bars, "open")
    share, error = hits(signal[:-1], opened[1:], 1)
    assert share > market(LARGE).optimum["1"]["da"] - 0.008 - 2 * error
    assert share > 0.5 + 4 * error


def test_returns_have_the_stated_law() -> None:
    """Mid returns have the stated deviation, no autocorrelation beyond the signal's, and the stated correlation."""
    signal, mid = columns(market(LARGE).truth, "signal", "mid")
    move = np.diff(np.log(mid))
    assert move.std() == pytest.approx(LARGE.sigma, rel=0.02)
    assert np.corrcoef(signal[:-1], move)[0, 1] == pytest.approx(LARGE.rho, abs=4 / np.sqrt(len(move)))
    assert np.corrcoef(signal[:-1], signal[1:])[0, 1] == pytest.approx(LARGE.phi, abs=0.02)
    assert signal.std() == pytest.approx(1.0, abs=0.06)
    assert np.corrcoef(signal[1:], move)[0, 1] == pytest.approx(LARGE.rho * LARGE.phi, abs=0.03)


@pytest.mark.parametrize("level", ["A", "null"])
@pytest.mark.parametrize(("price", "notional"), [(100.0, 5_000.0), (43_210.0, 900.0), (0.00002, 300.0)])
def test_the_written_file_holds_the_signal_within_its_bound(
    level: Any, price: float, notional: float, tmp_path: Path
) -> None:
    """From the CSV alone, ingested and made into bars, the flow gives back each bar's signal within the bound."""
    spec = dataclasses.replace(SMALL, level=level, start_price=price, trade_notional=notional)
    path = write_synthetic(tmp_path, spec)
    file = read_ticks(path, symbol=spec.symbol)
    assert file.counts.read == file.counts.accepted
    bars = bars_of(file.ticks, spec.interval_us)
    bought, sold = columns(bars, "buy_volume", "sell_volume")
    truth = simulate(spec).truth
    assert us(bars["ts_us"]).tolist() == us(truth["ts_us"]).tolist()
    error = np.abs(np.log(bought / sold) - truth["signal"].to_numpy())
    bound = json.loads((tmp_path / f"{spec.symbol}_synthetic.truth.json").read_text())["recovery_bound"]
    assert error.max() <= bound < 0.01
    assert np.allclose((bought - sold) / (bought + sold), np.tanh(truth["signal"].to_numpy() / 2), atol=bound)


def test_the_written_file_is_the_simulated_tape(tmp_path: Path) -> None:
    """The CSV has exactly ts, price, qty and side, and reads back to the simulated trades to the bit."""
    path = write_synthetic(tmp_path, SMALL)
    lines = path.read_text().splitlines()
    assert lines[0] == "ts,price,qty,side"
    assert len(lines) == 1 + market(SMALL).ticks.num_rows
    first = lines[1].split(",")
    assert first[0].isdigit()
    assert len(first[0]) == 16
    assert {line.split(",")[3] for line in lines[1:]} == {"buy", "sell"}
    assert max(len(line) for line in lines) < 50  # decimals as a venue prints them, not binary noise
    ticks = read_ticks(path, symbol=SMALL.symbol).ticks
    assert ticks.drop("source").equals(market(SMALL).ticks.drop("source"))
    assert find_sources(tmp_path, SMALL.symbol) == [path]


def test_trades_look_like_a_tape() -> None:
    """Stamps rise strictly inside their bars, both sides are there, counts are about right, sizes have a heavy tail."""
    ticks = market(LARGE).ticks
    assert ticks.schema.equals(TICKS)
    ts_us, qty = us(ticks["ts_us"]), ticks["qty"].to_numpy()
    assert (np.diff(ts_us) >= 0).all()
    assert (ts_us % LARGE.interval_us > 0).all()
    bars = bars_of(ticks, LARGE.interval_us)
    count, buys = columns(bars, "trades", "buy_trades")
    assert bars.num_rows == LARGE.bars
    assert (count >= 4).all()
    assert ((buys > 0) & (buys < count)).all()
    assert count.mean() == pytest.approx(LARGE.trades_per_bar, rel=0.02)
    assert count.var() == pytest.approx(LARGE.trades_per_bar, rel=0.1)
    assert qty.max() > 20 * np.median(qty)
    assert (qty * ticks["price"].to_numpy()).mean() == pytest.approx(LARGE.trade_notional, rel=0.1)


def test_buyers_pay_the_spread() -> None:
    """At a wide spread, printed prices lie half of it above the mid for buyers and below for sellers."""
    spec = dataclasses.replace(SMALL, spread_bps=200.0, sigma=1e-6)
    ticks = market(spec).ticks
    away = np.log(ticks["price"].to_numpy() / spec.start_price)
    side = ticks["side"].to_numpy()
    assert away[side == 1] == pytest.approx(np.log(1.01), abs=2e-4)
    assert away[side == -1] == pytest.approx(np.log(0.99), abs=2e-4)


@pytest.mark.parametrize("horizon", [1, 5])
def test_a_null_market_has_the_flow_and_no_edge(horizon: int) -> None:
    """The null market's flow is as clear as level A's and foretells nothing, at the mid or at the open."""
    spec = dataclasses.replace(LARGE, level="null")
    signal, mid = columns(market(spec).truth, "signal", "mid")
    share, error = hits(signal, mid, horizon)
    assert share == pytest.approx(0.5, abs=4 * error)
    assert market(spec).optimum[str(horizon)]["da"] == 0.5
    (opened,) = columns(bars_of(market(spec).ticks, spec.interval_us), "open")
    share, error = hits(signal[:-1], opened[1:], horizon)
    assert share == pytest.approx(0.5, abs=4 * error)
    assert np.array_equal(signal, market(LARGE).truth["signal"].to_numpy())


def test_the_hidden_market_reaches_its_known_optimum() -> None:
    """Ten days of level B: the exact filter is right as often as in a reference run (.556, .575, .557)."""
    spec = SyntheticSpec(level="B", days=10, sigma=6e-5 * np.sqrt(60 * 1.36), horizons=(1, 5, 15), seed=5)
    known = {"1": (0.556, 4), "5": (0.575, 4), "15": (0.557, 4)}
    for horizon, (da, errors) in known.items():
        best = market(spec).optimum[horizon]
        assert best["da"] == pytest.approx(da, abs=errors * best["se"])
    assert market(spec).optimum["1"]["da"] > 0.5 + 6 * market(spec).optimum["1"]["se"]
    plus, minus = columns(market(spec).truth, "p_plus", "p_minus")
    assert ((plus >= 0) & (minus >= 0) & (plus + minus <= 1)).all()
    assert plus.mean() == pytest.approx(1 / 3, abs=0.06)
    signal, mid = columns(market(spec).truth, "signal", "mid")
    move = np.sign(np.diff(np.log(mid))) * np.sign(signal[:-1])
    confident = np.abs(signal[:-1]) >= np.quantile(np.abs(signal), 0.8)
    assert np.mean(move[confident] > 0) == pytest.approx(0.62, abs=0.04)


def test_same_spec_same_bytes(tmp_path: Path) -> None:
    """Two folders hold the same bytes for one spec; another seed gives others."""
    names = [f"{SMALL.symbol}_synthetic.csv", f"{SMALL.symbol}_synthetic.truth.json"]
    for level in ("A", "B", "null"):
        spec = dataclasses.replace(SMALL, level=level)
        one, two = (write_synthetic(tmp_path / level / folder, spec).parent for folder in ("one", "two"))
        assert [(one / name).read_bytes() for name in names] == [(two / name).read_bytes() for name in names]
        other = write_synthetic(tmp_path / level / "other", dataclasses.replace(spec, seed=4))
        assert other.read_bytes() != (one / names[0]).read_bytes()


def test_written_again_only_when_something_changed(tmp_path: Path) -> None:
    """An intact file of the same spec is left alone; a cut one, a lost truth or another spec is written anew, whole."""
    path = write_synthetic(tmp_path, SMALL)
    truth = tmp_path / f"{SMALL.symbol}_synthetic.truth.json"
    whole, stamp = path.read_bytes(), path.stat().st_mtime_ns
    assert write_synthetic(tmp_path, SMALL).stat().st_mtime_ns == stamp
    path.write_bytes(whole[:100])
    assert write_synthetic(tmp_path, SMALL).read_bytes() == whole
    truth.write_text("{")
    write_synthetic(tmp_path, SMALL)
    assert json.loads(truth.read_text())["csv_sha256"] == hashlib.sha256(whole).hexdigest()
    write_synthetic(tmp_path, dataclasses.replace(SMALL, rho=0.2))
    assert json.loads(truth.read_text())["spec"]["rho"] == 0.2
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([path.name, truth.name])


def test_the_hash_covers_every_field() -> None:
    """Changing any one field of a spec changes its hash."""
    changed = {"level": "null", "symbol": "X", "horizons": (2,), "interval_us": 30_000_000, "start_us": 60_000_000}
    changed |= {"trend": 0.01, "flip_at": 0.5, "texture": Texture(vol_sd=0.1)}
    hashes = {SMALL.hash}
    led = dataclasses.replace(SMALL, level="null", lead_seed=5, lead_share=0.3)
    hashes |= {led.hash, dataclasses.replace(led, lead_seed=6).hash, dataclasses.replace(led, lead_share=0.2).hash}
    others = [field for field in dataclasses.fields(SMALL) if not field.name.startswith("lead_")]
    for field in others:
        value = getattr(SMALL, field.name)
        other = changed.get(field.name) or (value * 0.9 if isinstance(value, float) else value + 1)
        hashes.add(dataclasses.replace(SMALL, **{field.name: other}).hash)
    assert len(hashes) == 1 + 3 + len(others)


def test_texture_changes_no_direction() -> None:
    """With fat tails, volatility in clusters, jumps and a busy hour the sign of the signal foretells as before."""
    texture = Texture(vol_sd=0.35, shock_df=5, jumps_per_day=4, season=0.4, burst=0.5)
    spec = dataclasses.replace(LARGE, texture=texture)
    signal, mid = columns(market(spec).truth, "signal", "mid")
    assert np.array_equal(signal, market(LARGE).truth["signal"].to_numpy())
    move = np.diff(np.log(mid))
    share, error = hits(signal, mid, 5)
    assert share == pytest.approx(market(spec).optimum["5"]["da"], abs=0.01 + 3 * error)
    assert np.mean((move - move.mean()) ** 4) / move.var() ** 2 > 6
    assert np.corrcoef(np.abs(move[1:]), np.abs(move[:-1]))[0, 1] > 0.15
    assert move.std() == pytest.approx(spec.sigma, rel=0.35)
    count = columns(bars_of(market(spec).ticks, spec.interval_us), "trades")[0]
    assert count.var() / count.mean() > 3


@pytest.mark.parametrize(("branching", "window_s"), [(0.5, 60), (0.7, 60), (0.7, 600)])
def test_trades_that_excite_one_another_have_the_dispersion_of_a_hawkes_process(
    branching: float, window_s: int
) -> None:
    """Variance over mean of counts is ``k - (k - 1) (1 - exp(-x)) / x``, k = (1 - n)^-2, x = (1 - n) window / delay."""
    delay_s = 1 / 0.15
    texture = Texture(branching=branching, excitation_s=delay_s)
    spec = SyntheticSpec(level="null", days=8, trades_per_bar=60, texture=texture)
    ts = us(market(spec).ticks["ts_us"])
    count = np.bincount((ts - spec.start_us) // (window_s * 1_000_000))
    assert count.mean() == pytest.approx(window_s, rel=0.04)
    k, x = (1 - branching) ** -2, (1 - branching) * window_s / delay_s
    assert count.var() / count.mean() == pytest.approx(k - (k - 1) * (1 - np.exp(-x)) / x, rel=0.15)


def test_excited_trades_tell_the_signal_as_well() -> None:
    """Trades in clusters: every bar has four or more, inside it and in order, and its flow tells the signal."""
    spec = dataclasses.replace(SMALL, texture=Texture(branching=0.9))
    found = market(spec)
    ts = us(found.ticks["ts_us"])
    assert (np.diff(ts) >= 0).all()
    offset, bar = (ts - spec.start_us) % spec.interval_us, (ts - spec.start_us) // spec.interval_us
    assert offset.min() > 0
    assert np.bincount(bar, minlength=spec.bars).min() >= 4
    bars = bars_of(found.ticks, spec.interval_us)
    told = np.log(bars["buy_volume"].to_numpy() / bars["sell_volume"].to_numpy())
    assert found.recovery_bound is not None
    assert np.abs(told - found.truth["signal"].to_numpy()).max() <= found.recovery_bound


def test_a_trend_is_a_drift_of_the_mid() -> None:
    """The mean return is the stated share of a standard deviation; nothing else changes."""
    spec = dataclasses.replace(LARGE, level="null", trend=0.05)
    still, moving = (np.diff(np.log(market(one).truth["mid"].to_numpy())) for one in (
        dataclasses.replace(spec, trend=0.0), spec))  # fmt: skip
    assert moving - still == pytest.approx(np.full(len(still), 0.05 * spec.sigma), abs=1e-12)


def test_a_flipped_signal_moves_prices_the_other_way() -> None:
    """After the stated share of the market the flow foretells the opposite; the truth's signal stays right."""
    spec = dataclasses.replace(LARGE, flip_at=0.5)
    signal, mid = columns(market(spec).truth, "signal", "mid")
    flow = market(LARGE).truth["signal"].to_numpy()
    half = spec.bars // 2
    assert np.array_equal(signal[: half - 1], flow[: half - 1])
    assert np.array_equal(signal[half:], -flow[half:])
    share, error = hits(flow[half:], mid[half:], 1)
    assert share == pytest.approx(1 - market(spec).optimum["1"]["da"], abs=4 * error)
    assert hits(signal, mid, 1)[0] > 0.5 + 4 * hits(signal, mid, 1)[1]


def test_a_follower_does_what_its_leader_did() -> None:
    """A bar's return follows the leader's a bar before with the stated correlation; the own flow tells nothing."""
    spec = dataclasses.replace(LARGE, level="null", lead_seed=5, lead_share=0.4)
    assert spec.leader is not None
    leader = np.diff(np.log(market(spec.leader).truth["mid"].to_numpy()))
    signal, mid, flow = columns(market(spec).truth, "signal", "mid", "flow")
    move = np.diff(np.log(mid))
    assert np.corrcoef(leader[:-1], move[1:])[0, 1] == pytest.approx(0.4, abs=4 / np.sqrt(len(move)))
    assert np.corrcoef(signal[1:], leader)[0, 1] == pytest.approx(1.0, abs=1e-9)
    assert np.corrcoef(flow[:-1], move)[0, 1] == pytest.approx(0.0, abs=4 / np.sqrt(len(move)))
    share, error = hits(signal, mid, 1)
    assert share == pytest.approx(market(spec).optimum["1"]["da"], abs=4 * error)


@pytest.mark.parametrize(
    "change",
    [
        {"level": "C"}, {"days": 0}, {"days": float("nan")}, {"sigma": 0.0}, {"sigma": float("nan")},
        {"rho": 1.0}, {"phi": -1.0},
        {"trades_per_bar": 3}, {"start_price": 0}, {"start_us": 1}, {"horizons": ()}, {"flow_tilt": 0.7},
        {"interval_us": 0}, {"interval_us": 1_500_000, "level": "B"},
        {"trend": 1.0}, {"trend": 0.1, "level": "B"}, {"flip_at": 1.0}, {"flip_at": 0.5, "level": "null"},
        {"lead_share": 0.3}, {"lead_seed": 3, "lead_share": 0.3}, {"texture": Texture(vol_sd=0.1), "level": "B"},
    ],
)  # fmt: skip
def test_a_spec_that_makes_no_market_is_refused(change: dict[str, Any]) -> None:
    """A value outside its range is a SettingsError with the symbol, the field, the value and the range."""
    with pytest.raises(SettingsError, match=f"synthetic market SYNUSDT: {next(iter(change))} is"):
        dataclasses.replace(SMALL, **change)


@pytest.mark.parametrize("change", [{"shock_df": 2.0}, {"vol_sd": -0.1}, {"season": 1.0}, {"fast_half_life": 0.0}])
def test_a_texture_out_of_range_is_refused(change: dict[str, float]) -> None:
    """A value outside its range is a SettingsError with the field, the value and the range."""
    with pytest.raises(SettingsError, match=f"synthetic market: {next(iter(change))} is"):
        Texture(**change)
