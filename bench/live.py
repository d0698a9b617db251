"""The running loop: how fast a file is replayed, how long a decision takes, and whether memory grows.

Latency is measured in virtual time: trades arrive when they happened, each is worked on as soon as the one before is
done, and what its work took is measured, in CPU time. So a burst at the end of a bar, when all coins close, waits as it
would live.
"""

import gc
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.measure import Figure
from scalper_ml.bars.builder import BarBuilder
from scalper_ml.features.registry import FeatureSet
from scalper_ml.ingest.order import Trades
from scalper_ml.layers.datasets import project_costs
from scalper_ml.layers.models import bundle_of
from scalper_ml.live.feed import Message, TapeFeed
from scalper_ml.live.gate import OpenGate
from scalper_ml.live.journal import Journal
from scalper_ml.live.lane import Lane, LaneRules
from scalper_ml.live.loop import Loop
from scalper_ml.live.run import drive
from scalper_ml.live.signal_model import SignalModel
from scalper_ml.live.start import project_features
from scalper_ml.models.bundle import Model
from scalper_ml.project import Project
from scalper_ml.scenarios.play import play
from scalper_ml.settings import Settings

COINS = 32
TICKS_A_SECOND = 2_000
BAR_US = 2_000_000
SECONDS = 30
KINDS = ("xgb_classifier", "lgb_classifier", "cat_classifier")


def trained(folder: Path) -> tuple[FeatureSet, Model, Project]:
    """The full feature set of trades, and an ensemble of the three boosters trained on two planted days."""
    market = {"level": "A", "sigma_bps": 25.0, "rho": 0.3, "phi": 0.9, "spread_bps": 1.0, "seed": 11}
    values = {
        "profile": "bench", "symbols": ["AUSDT"], "horizons": [3], "bars": {"interval": "1m"},
        "source": {"kind": "synthetic", "folder": "ticks", "days": 2, "trades_per_bar": 12,
                   "markets": {"AUSDT": market}},
        "features": {}, "labels": {"k_vol": 0.43, "kappa": 1.0, "max_gap_bars": 3},
        "splits": {"min_rows": 500, "test_size": 0.3, "calibrate_size": 0.1, "select_size": 0.15, "folds": 2,
                   "scaler": "zscore", "max_class_share": 0.95, "seed": 7},
        "training": {"kinds": list(KINDS)}, "ensembles": {"kinds": ["weighted_average"]},
        "backtest": {"fee_bps": 1.0, "spread_bps": 1.0, "impact": 0.5, "notional": 1000.0, "risk_per_trade": 0.005},
        "gate": {"version": "v1", "file": "gate.json", "draws": 200, "seed": 7},
        "drift": {"drift_threshold": 0.1, "max_age_days": 30}, "storage": {"root": "warehouse"},
    }  # fmt: skip
    project = Project(Settings.model_validate(values), folder)
    play(project, until="ensembles/weighted_average")
    model = bundle_of(project, "ensembles/weighted_average", {"symbol": "AUSDT", "horizon": 3})
    return project_features(project, "AUSDT"), model, project


def tape(n: int, per_second: float, seed: int) -> Trades:
    """A random walk with trades at random moments."""
    rng = np.random.default_rng(seed)
    ts = np.cumsum(rng.exponential(1e6 / per_second, n)).astype(np.int64)
    price = 100 * np.exp(np.cumsum(2e-5 * rng.normal(size=n)))
    side = np.where(rng.random(n) < 0.5, 1, -1).astype(np.int8)
    return Trades(ts, price, rng.lognormal(size=n), side, np.arange(n, dtype=np.int64))


def lane(symbol: str, fs: FeatureSet, model: Model, project: Project, interval_us: int) -> Lane:
    """One coin through the loop, everything let through at a coin flip's confidence."""
    rules = LaneRules(interval_us, project_costs(project), OpenGate(0.55))
    return Lane(symbol, fs, {3: SignalModel(model, fs)}, rules)


def replayed(per_bar: int, n: int, fs: FeatureSet, model: Model, project: Project) -> tuple[float, float]:
    """Trades a CPU second through the loop, and through the bar builder alone."""
    trades = tape(n, per_bar / 60, 1)
    best = []
    for _ in range(3):
        loop = Loop({"AUSDT": lane("AUSDT", fs, model, project, 60_000_000)})
        gc.collect()
        started = time.process_time()
        drive(loop, TapeFeed({"AUSDT": trades}))
        best.append(n / (time.process_time() - started))
    started = time.process_time()
    BarBuilder(60_000_000).push(trades.ts_us, trades.price, trades.qty, trades.side, trades.trade_id)
    return statistics.median(best), n / max(time.process_time() - started, 1e-9)


def latencies(fs: FeatureSet, model: Model, project: Project) -> list[float]:
    """Sorted milliseconds from the arrival of the trade that closes a bar to the verdict; warm from the start."""
    symbols = [f"C{place:02d}USDT" for place in range(COINS)]
    each = TICKS_A_SECOND / COINS
    begin_us, n = (fs.warmup + 60) * BAR_US, int(each * SECONDS)
    tapes = {}
    for place, symbol in enumerate(symbols):
        before, after = tape(12 * (fs.warmup + 60), 12e6 / BAR_US, 50 + place), tape(n, each, 10 + place)
        early = before.take(before.ts_us < begin_us)
        late = Trades(after.ts_us + begin_us, *(getattr(after, name) for name in ("price", "qty", "side", "trade_id")))
        tapes[symbol] = early, late
    clock = {"free_ns": 0, "arrived_ns": 0, "began": 0}

    def now_ns() -> int:
        return max(clock["free_ns"], clock["arrived_ns"]) + time.process_time_ns() - clock["began"]

    loop = Loop({s: lane(s, fs, model, project, BAR_US) for s in symbols}, now_ns=now_ns)
    arrivals = []
    for place, (symbol, (early, late)) in enumerate(tapes.items()):
        loop.push(Message(symbol, early))
        arrivals += [(int(ts_us), place, at) for at, ts_us in enumerate(late.ts_us.tolist())]
    loop.take()
    found: list[float] = []
    gc.collect()
    gc.freeze()
    for ts_us, place, at in sorted(arrivals):
        clock["arrived_ns"], clock["began"] = ts_us * 1000, time.process_time_ns()
        trades = tapes[symbols[place]][1].take(slice(at, at + 1))
        loop.push(Message(symbols[place], trades, arrived_ns=clock["arrived_ns"]))
        clock["free_ns"] = now_ns()
        for one in loop.take().decided:
            if one.ts_us[0] > begin_us:  # the bars before it begins are thin, and the first may hold their end
                assert np.isfinite(one.confidence).all(), "not warm"
                found.append((one.latency_us or 0) / 1000)
    gc.unfreeze()
    return sorted(found)


def memory(fs: FeatureSet, model: Model, project: Project, folder: Path) -> tuple[float, float]:
    """Peak megabytes after a quarter of a day of trades with a journal, and after the whole day."""
    trades = tape(24 * 60 * 200, 200 / 60, 3)
    loop, journal = Loop({"AUSDT": lane("AUSDT", fs, model, project, 60_000_000)}), Journal(folder)
    peaks = []
    for quarter in range(4):
        part = trades.take(slice(quarter * len(trades) // 4, (quarter + 1) * len(trades) // 4))
        drive(loop, TapeFeed({"AUSDT": part}, chunk=500), journal=journal, due=lambda: True, finish=False)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return peaks[0], peaks[-1]


def run() -> list[Figure]:
    """All figures of the loop."""
    with tempfile.TemporaryDirectory() as name:
        fs, model, project = trained(Path(name))
        thin, thin_bars = replayed(20, 200_000, fs, model, project)
        dense, dense_bars = replayed(1_000, 3_000_000, fs, model, project)
        one = [model.predict_proba(np.zeros((1, len(model.names)))) for _ in range(20)]
        started = time.process_time()
        for _ in range(100):
            model.predict_proba(np.zeros((1, len(model.names))))
        row_ms = (time.process_time() - started) * 10
        assert len(one) == 20
        waits = latencies(fs, model, project)
        early, late = memory(fs, model, project, Path(name) / "journal")
    what = f"{len(fs.names)} features, three boosters"
    return [
        Figure(f"replay, 1,000 trades a bar, {what}", dense, "trades/s", "bars alone", dense_bars, dense / dense_bars,
               "300,000"),
        Figure(f"replay, 20 trades a bar, {what}", thin, "trades/s", "bars alone", thin_bars, thin / thin_bars,
               "300,000"),
        Figure(f"decision, {COINS} coins at {TICKS_A_SECOND:,} trades/s: p50", waits[len(waits) // 2], "ms",
               "one row of the ensemble", row_ms, waits[len(waits) // 2] / row_ms),
        Figure("decision: p99", waits[int(len(waits) * 0.99)], "ms", "32 rows of the ensemble", COINS * row_ms,
               waits[int(len(waits) * 0.99)] / (COINS * row_ms), "20 ms"),
        Figure("peak memory after a day, with a journal", late, "MB", "after 6 hours", early, late / early, "1.0"),
    ]  # fmt: skip
