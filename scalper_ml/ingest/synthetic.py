"""Synthetic trades whose best possible forecast is known.

Level A: a signal is encoded in the signed flow of every bar and moves the next one; the optimum is a closed form.
Level B: a hidden state tilts the flow and moves the price; the optimum is the exact forward filter.
``null``: the flow of level A, which moves nothing.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv

from scalper_ml.errors import SettingsError
from scalper_ml.ingest.optimum import level_a_optimum
from scalper_ml.ingest.order import Trades
from scalper_ml.ingest.synthetic_hidden import HiddenParams, hidden_market
from scalper_ml.ingest.synthetic_printing import Printed, Quotation
from scalper_ml.ingest.trades import ticks_table
from scalper_ml.schema import stamps, us

__all__ = ["SyntheticMarket", "SyntheticSpec", "simulate", "write_synthetic"]

_VERSION: Final = 1  # of the generator: a change in what it draws is a new version
_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class SyntheticSpec:
    """Everything a synthetic market is made from; the same spec gives the same bytes.

    Attributes
    ----------
    level : {"A", "B", "null"}
    symbol : str
    days : float
    interval_us : int
        Bar length; level B needs whole seconds.
    trades_per_bar : float
        Mean count, at least 4.
    sigma : float
        Standard deviation of 1-bar log returns of the mid, a fraction.
    rho, phi : float
        Level A: correlation of the signal with the next return, and autocorrelation of the signal. A null market
        keeps `phi` and ignores `rho`.
    spread_bps : float
        Full quoted spread.
    start_price : float
    start_us : int
        First microsecond, a multiple of the interval.
    seed : int
    trade_notional : float
        Mean size of a trade in quote currency.
    drift, flow_tilt, decoy_tilt, impact : float
        Level B (METHOD 7.3): rho, kappa, kappa_q and eta.
    dwell_s, decoy_dwell_s : float
        Level B: mean dwell of the hidden states, seconds.
    horizons : tuple of int
        Bars, for the stated optimum.
    deadband_k : float
        Half-width of the neutral class in standard deviations of the h-bar return, for the stated optimum.
    """

    level: Literal["A", "B", "null"] = "A"
    symbol: str = "SYNUSDT"
    days: float = 10
    interval_us: int = 60_000_000
    trades_per_bar: float = 60
    sigma: float = 6e-4
    rho: float = 0.10
    phi: float = 0.90
    spread_bps: float = 1.0
    start_price: float = 100.0
    start_us: int = 1_704_067_200_000_000
    seed: int = 7
    trade_notional: float = 5_000.0
    drift: float = 0.06
    flow_tilt: float = 0.30
    decoy_tilt: float = 0.35
    impact: float = 0.6
    dwell_s: float = 240.0
    decoy_dwell_s: float = 90.0
    horizons: tuple[int, ...] = (1, 3, 5, 15)
    deadband_k: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values that make no market.

        Raises
        ------
        SettingsError
            Names the field, the value and the range.
        """
        limits = {
            "level": (self.level in ("A", "B", "null"), "'A', 'B' or 'null'"),
            "interval_us": (
                self.interval_us > 0 and not (self.level == "B" and self.interval_us % 1_000_000),
                "positive microseconds, and whole seconds in level B",
            ),
            "days": (
                self.interval_us > 0 and 0 < self.days < 1e5 and self.bars >= 2,
                "at least two bars, below 1e5 days",
            ),
            "trades_per_bar": (self.trades_per_bar >= 4, "at least 4"),
            "sigma": (0 < self.sigma < 0.2, "a fraction between 0 and 0.2"),
            "rho": (-1 < self.rho < 1, "between -1 and 1"),
            "phi": (-1 < self.phi < 1, "between -1 and 1"),
            "spread_bps": (0 <= self.spread_bps < 1000, "between 0 and 1000"),
            "start_price": (0 < self.start_price < 1e9, "positive, below 1e9"),
            "start_us": (self.interval_us > 0 and self.start_us % self.interval_us == 0, "a multiple of interval_us"),
            "trade_notional": (self.trade_notional > 0, "positive"),
            "flow_tilt": (abs(self.flow_tilt) + abs(self.decoy_tilt) < 1, "below 1 together with decoy_tilt"),
            "dwell_s": (self.dwell_s > 1 and self.decoy_dwell_s > 1, "above 1 second, both"),
            "horizons": (bool(self.horizons) and min(self.horizons) >= 1, "at least one, each at least 1 bar"),
        }
        for name, (good, expected) in limits.items():
            if not good:
                found = getattr(self, name)
                raise SettingsError(f"synthetic market {self.symbol}: {name} is {found!r}; expected {expected}")

    @property
    def bars(self) -> int:
        """Bars in the market."""
        return int(self.days * _DAY_US) // self.interval_us

    @property
    def edge(self) -> float:
        """`rho`, or 0 in a null market."""
        return 0.0 if self.level == "null" else self.rho

    @property
    def hash(self) -> str:
        """First 16 hex digits of the sha256 over every field and the generator's version."""
        text = json.dumps({"version": _VERSION, **asdict(self)}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class SyntheticMarket:
    """Trades and what lies behind them.

    Attributes
    ----------
    ticks : pyarrow.Table
        Schema `TICKS`, source ``"synthetic"``, no ids.
    truth : pyarrow.Table
        One row a bar: ``ts_us`` (close), ``signal`` (level A and null: a_t, which moves the next bar, or would; level
        B: P(state up) - P(state down) in the next second given all trades up to the close), ``mid`` (at the close);
        level B also ``p_plus`` and ``p_minus``.
    optimum : dict
        Horizon (as text) to the best attainable figures.
    recovery_bound : float or None
        Levels A and null: largest ``|log(buy_volume / sell_volume) - a|`` over the bars, as traded.
    """

    ticks: pa.Table
    truth: pa.Table
    optimum: dict[str, dict[str, float]]
    recovery_bound: float | None


def simulate(spec: SyntheticSpec) -> SyntheticMarket:
    """Draw the market of a spec; the same spec gives the same trades.

    Examples
    --------
    >>> market = simulate(SyntheticSpec(days=0.01, trades_per_bar=10))
    >>> market.truth.num_rows, market.truth.column_names
    (14, ['ts_us', 'signal', 'mid'])
    >>> round(market.optimum["1"]["da"], 4)
    0.5319
    """
    rng = np.random.Generator(np.random.PCG64(spec.seed))
    quotation = Quotation.suited(spec.start_price, spec.trade_notional, spec.spread_bps)
    closes = spec.start_us + spec.interval_us * np.arange(1, spec.bars + 1)
    if spec.level == "B":
        seconds = spec.interval_us // 1_000_000
        hidden = hidden_market(rng, _hidden_params(spec, seconds), quotation, spec.bars, seconds, spec.start_us)
        printed, mid, signal = hidden.printed, hidden.mid, hidden.p_plus - hidden.p_minus
        extra = {"p_plus": hidden.p_plus, "p_minus": hidden.p_minus}
        optimum = {str(h): _realised(signal, mid, h) for h in spec.horizons if h < spec.bars}
        bound = None
    else:
        from scalper_ml.ingest.synthetic_transparent import transparent_market  # scipy.signal takes two seconds

        market = transparent_market(
            rng, quotation, bars=spec.bars, interval_us=spec.interval_us, start_us=spec.start_us,
            trades_per_bar=spec.trades_per_bar, sigma=spec.sigma, rho=spec.edge, phi=spec.phi, start=spec.start_price,
        )  # fmt: skip
        printed, mid, signal, bound, extra = market.printed, market.mid, market.signal, market.recovery_bound, {}
        optimum = {
            str(h): asdict(level_a_optimum(spec.edge, spec.phi, h, deadband_k=spec.deadband_k)) for h in spec.horizons
        }
    truth = pa.table({"ts_us": stamps(closes), "signal": signal, "mid": mid, **extra})
    return SyntheticMarket(_ticks(printed), truth, optimum, bound)


def write_synthetic(folder: Path, spec: SyntheticSpec) -> Path:
    """Write ``<SYMBOL>_synthetic.csv`` and, beside it, ``<SYMBOL>_synthetic.truth.json``; return the CSV's path.

    The CSV has the columns ts (integer microseconds), price, qty and side (buy, sell) and nothing that a market
    would not show. Both files are replaced whole. Nothing is written if they are there, of the same spec and intact.
    """
    folder = Path(folder)
    path, truth_path = (folder / f"{spec.symbol}_synthetic{suffix}" for suffix in (".csv", ".truth.json"))
    if _is_written(path, truth_path, spec):
        return path
    market = simulate(spec)
    folder.mkdir(parents=True, exist_ok=True)
    data = _csv(market.ticks)
    truth: dict[str, Any] = {
        "spec": asdict(spec),
        "spec_hash": spec.hash,
        "generator_version": _VERSION,
        "csv_sha256": hashlib.sha256(data).hexdigest(),
        "trades": market.ticks.num_rows,
        "bars": spec.bars,
        "optimum": market.optimum,
        "optimum_kind": _OPTIMUM_KIND[spec.level],
        "recovery_bound": market.recovery_bound,
        "recovery": None if market.recovery_bound is None else "a = log(buy_volume / sell_volume) of the bar",
    }
    _replace(path, data)
    _replace(truth_path, (json.dumps(truth, indent=2, sort_keys=True) + "\n").encode())
    return path


_OPTIMUM_KIND: Final[Mapping[str, str]] = {
    "A": "closed form, constant sigma, returns between mid closes",
    "null": "closed form, constant sigma, returns between mid closes",
    "B": "exact forward filter on flow and mid per second, realised on this path",
}


def _hidden_params(spec: SyntheticSpec, seconds: int) -> HiddenParams:
    return HiddenParams(
        sigma=spec.sigma / float(np.sqrt(seconds * (1 + spec.impact**2))),
        drift=spec.drift,
        flow_tilt=spec.flow_tilt,
        decoy_tilt=spec.decoy_tilt,
        impact=spec.impact,
        dwell_s=spec.dwell_s,
        decoy_dwell_s=spec.decoy_dwell_s,
        rate=spec.trades_per_bar / seconds,
        start=spec.start_price,
    )


def _realised(signal: np.ndarray, mid: np.ndarray, horizon: int) -> dict[str, float]:
    move = np.log(mid[horizon:] / mid[:-horizon])
    hits = np.sign(move) == np.sign(signal[:-horizon])
    n = len(move)
    da = float(hits.mean())
    return {"horizon": horizon, "da": da, "se": float(np.sqrt(da * (1 - da) / (n / horizon))), "n": n}


def _ticks(printed: Printed) -> pa.Table:
    none = np.full(len(printed.ts_us), -1, dtype=np.int64)
    return ticks_table(Trades(printed.ts_us, printed.price, printed.qty, printed.side, none), "synthetic")


def _csv(ticks: pa.Table) -> bytes:
    side = ticks.column("side").to_numpy()
    words = pa.DictionaryArray.from_arrays((side > 0).astype(np.int32), pa.array(["sell", "buy"])).cast(pa.string())
    table = pa.table({
        "ts": us(ticks.column("ts_us")), "price": ticks.column("price"), "qty": ticks.column("qty"), "side": words,
    })  # fmt: skip
    buffer = io.BytesIO(b"ts,price,qty,side\n")
    buffer.seek(0, io.SEEK_END)
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none", batch_size=1 << 16)
    pa.csv.write_csv(table, buffer, options)
    return buffer.getvalue()


def _is_written(path: Path, truth_path: Path, spec: SyntheticSpec) -> bool:
    if not (path.is_file() and truth_path.is_file()):
        return False
    try:
        truth = json.loads(truth_path.read_bytes())
    except ValueError:
        return False
    known = isinstance(truth, dict) and truth.get("spec_hash") == spec.hash
    return known and truth.get("csv_sha256") == hashlib.sha256(path.read_bytes()).hexdigest()


def _replace(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
