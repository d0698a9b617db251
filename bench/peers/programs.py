"""What each side runs, in a process of its own: it reads ``sys.argv[1]`` and prints CPU seconds of each part as JSON.

Importing and, where a part says so, reading are not timed. CPU seconds are those of the process, threads included.
"""

from typing import Final

__all__ = [
    "BARS_MINUTES",
    "FREQAI",
    "FREQTRADE",
    "NAUTILUS",
    "OURS_BACKTEST",
    "OURS_BARS",
    "OURS_FEATURES",
    "QLIB",
    "TICKS_A_BAR",
    "VECTORBT",
]

BARS_MINUTES: Final = 1
TICKS_A_BAR: Final = 1000

_TIMED: Final = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
took = {}
class part:
    def __init__(self, name): self.name = name
    def __enter__(self): self.at = time.process_time()
    def __exit__(self, *_): took[self.name] = time.process_time() - self.at
"""

OURS_BARS: Final = f"""{_TIMED}
from pathlib import Path
import numpy as np
from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.spec import BarSpec
from scalper_ml.ingest import read_ticks
from scalper_ml.schema import us
def columns(ticks):
    return us(ticks["ts_us"]), *(ticks[name].to_numpy() for name in ("price", "qty", "side", "trade_id"))
def minutes(arrays):
    return (builder := BarBuilder({BARS_MINUTES * 60_000_000})).push(*arrays), builder.finish()
warm = tuple(np.ones(9, dtype=kind) for kind in (np.int64, float, float, np.int8, np.int64))
minutes(warm), BarBuilder(BarSpec("tick", {TICKS_A_BAR})).push(*warm)  # the kernels are compiled or loaded
with part("file to minutes"):
    arrays = columns(read_ticks(Path(sys.argv[1]), symbol="BTCUSDT").ticks)
    minutes(arrays)
with part("minutes"):
    minutes(arrays)
with part("ticks"):
    BarBuilder(BarSpec("tick", {TICKS_A_BAR})).push(*arrays)
print(json.dumps(took))
"""

FREQTRADE: Final = f"""{_TIMED}
import pandas as pd
from freqtrade.data.converter import trades_to_ohlcv
with part("file to minutes"):
    names = ["id", "price", "amount", "first", "last", "timestamp", "maker", "best"]
    trades = pd.read_csv(sys.argv[1], header=None, names=names, usecols=["id", "price", "amount", "timestamp", "maker"])
    trades = trades.drop_duplicates("id").sort_values("timestamp")
    trades["date"] = pd.to_datetime(trades["timestamp"], unit="ms", utc=True)
    trades_to_ohlcv(trades, "{BARS_MINUTES}m")
with part("minutes"):
    trades_to_ohlcv(trades, "{BARS_MINUTES}m")
print(json.dumps(took))
"""

NAUTILUS: Final = f"""{_TIMED}
import pandas as pd
from nautilus_trader.data.aggregation import TickBarAggregator
from nautilus_trader.model.data import BarType
from nautilus_trader.persistence.wranglers import TradeTickDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
names = ["trade_id", "price", "quantity", "first", "last", "timestamp", "buyer_maker", "best"]
frame = pd.read_csv(sys.argv[1], header=None, names=names, usecols=[0, 1, 2, 5, 6])
frame = frame.drop_duplicates("trade_id").sort_values("timestamp", kind="stable")
frame["trade_id"] = frame["trade_id"].astype(str)
frame.index = pd.to_datetime(frame.pop("timestamp"), unit="ms", utc=True)
instrument = TestInstrumentProvider.btcusdt_binance()
ticks = TradeTickDataWrangler(instrument).process(frame)
bars = []
kind = BarType.from_str("BTCUSDT.BINANCE-{TICKS_A_BAR}-TICK-LAST-INTERNAL")
aggregator = TickBarAggregator(instrument, kind, bars.append)
with part("ticks"):
    for tick in ticks:
        aggregator.handle_trade_tick(tick)
assert abs(len(bars) - len(ticks) / {TICKS_A_BAR}) <= 1
print(json.dumps(took))
"""

OURS_FEATURES: Final = f"""{_TIMED}
import numpy as np
from bench.features import market
from scalper_ml.features.engine import compute
from scalper_ml.features.registry import feature_set
fs = feature_set(["klines", "trades", "market", "calendar"])
X, ts = market(len(np.load(sys.argv[1] + "/close.npy")))
compute(fs, X[:2000], ts[:2000])
with part("features"):
    compute(fs, X, ts)
took["values"] = len(X) * len(fs.names)
took["columns"] = len(fs.names)
print(json.dumps(took))
"""

QLIB: Final = f"""{_TIMED}
from pathlib import Path
import numpy as np, pandas as pd
root, folder = Path(sys.argv[1]), Path(sys.argv[1]) / "qlib"
stamps = pd.date_range("2020-01-01", periods=len(np.load(root / "close.npy")), freq="1min")
for name in ("calendars", "instruments", "features/btc"):
    (folder / name).mkdir(parents=True, exist_ok=True)
text = stamps.strftime("%Y-%m-%d %H:%M:%S")
(folder / "calendars/1min.txt").write_text("\\n".join(text))
(folder / "instruments/all.txt").write_text(f"btc\\t{{text[0]}}\\t{{text[-1]}}")
for name in ("open", "high", "low", "close", "volume", "vwap"):
    values = np.concatenate([[0.0], np.load(root / (name + ".npy"))]).astype("<f")  # the first is the place of the rest
    values.tofile(folder / f"features/btc/{{name}}.1min.bin")
import logging, qlib
from qlib.contrib.data.loader import Alpha158DL
from qlib.data import D
qlib.init(provider_uri={{"1min": str(folder)}}, kernels=1, joblib_backend=None, expression_cache=None,
          dataset_cache=None, logging_level=logging.ERROR)
fields, names = Alpha158DL.get_feature_config()
D.features(["btc"], fields[:2], freq="1min")
from qlib.data.cache import H
H.clear()
with part("features"):
    frame = D.features(["btc"], fields, freq="1min")
assert frame.shape == (len(stamps), len(names)), frame.shape
took["values"] = frame.size
took["columns"] = len(names)
print(json.dumps(took))
"""

FREQAI: Final = f"""{_TIMED}
from pathlib import Path
import numpy as np, pandas as pd
from freqtrade.templates.FreqaiExampleStrategy import FreqaiExampleStrategy
root = Path(sys.argv[1])
bars = pd.DataFrame({{name: np.load(root / (name + ".npy")) for name in ("open", "high", "low", "close", "volume")}})
bars["date"] = pd.date_range("2020-01-01", periods=len(bars), freq="1min", tz="UTC")
strategy = FreqaiExampleStrategy.__new__(FreqaiExampleStrategy)
def expanded(bars, periods=(10, 20, 50, 100), shifts=2):
    parts = []
    for period in periods:
        found = strategy.feature_engineering_expand_all(bars.copy(), period, {{}})
        parts.append(found.filter(like="%-").rename(columns=lambda name: name.replace("-period", f"-{{period}}")))
    parts.append(strategy.feature_engineering_expand_basic(bars.copy(), {{}}).filter(like="%-"))
    basis = pd.concat(parts, axis=1)
    return pd.concat([basis, *(basis.shift(n).add_suffix(f"_shift-{{n}}") for n in range(1, shifts + 1))], axis=1)
expanded(bars[:2000])
with part("features"):
    frame = expanded(bars)
took["values"] = frame.size
took["columns"] = frame.shape[1]
print(json.dumps(took))
"""

OURS_BACKTEST: Final = f"""{_TIMED}
from pathlib import Path
import numpy as np
from scalper_ml.backtest.costs import BPS
from scalper_ml.backtest.events import Orders, Tape, walk
root = Path(sys.argv[1])
given = dict(np.load(root / "backtest.npz"))
n = given["close"].size
start = np.arange(n, dtype=np.int64) * 60_000_000
tape = Tape(start, start + 60_000_000, *(given[name] for name in ("open", "high", "low", "close")))
at, hold, fee = given["at"], int(given["hold"]), float(given["fee"])
def run(tape):
    decided = tape.end[at]
    orders = Orders.takers(decided, decided, tape.end[at + hold], given["side"], stop=0.01, target=0.01)
    fills = walk(tape, orders)
    pnl = given["side"] * (fills.exit_price - fills.entry_price) - fee * (fills.exit_price + fills.entry_price)
    return fills, pnl
run(tape)
with part("backtest"):
    fills, pnl = run(tape)
np.savez(root / "ours.npz", entry=at, exit=fills.exit_at, price=fills.exit_price, pnl=pnl, timed=fills.reason == 1)
print(json.dumps(took))
"""

VECTORBT: Final = f"""{_TIMED}
from pathlib import Path
import numpy as np, pandas as pd, vectorbt as vbt
root = Path(sys.argv[1])
given = dict(np.load(root / "backtest.npz"))
n = given["close"].size
frame = {{name: pd.Series(given[name]) for name in ("open", "high", "low", "close")}}
at, hold, side = given["at"], int(given["hold"]), given["side"]
signals = {{name: np.zeros(n, bool) for name in ("entries", "short_entries", "exits", "short_exits")}}
signals["entries"][at[side > 0]] = True
signals["short_entries"][at[side < 0]] = True
signals["exits"][at[side > 0] + hold] = True
signals["short_exits"][at[side < 0] + hold] = True
signals = {{name: pd.Series(one) for name, one in signals.items()}}
def run():
    return vbt.Portfolio.from_signals(
        frame["close"], **signals, open=frame["open"], high=frame["high"], low=frame["low"], size=1.0,
        fees=float(given["fee"]), sl_stop=0.01, tp_stop=0.01, init_cash=1e9, freq="1min")
run()
with part("backtest"):
    portfolio = run()
trades = portfolio.trades.records
closed = trades[trades["status"] == 1]
np.savez(root / "vectorbt.npz", entry=closed["entry_idx"].to_numpy(), exit=closed["exit_idx"].to_numpy(),
         price=closed["exit_price"].to_numpy(), pnl=closed["pnl"].to_numpy())
print(json.dumps(took))
"""
