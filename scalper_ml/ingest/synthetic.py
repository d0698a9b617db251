"""Synthetic trades whose best possible forecast is known.

Level A: a signal is encoded in the signed flow of every bar and moves the next one; the optimum is a closed form.
Level B: a hidden state tilts the flow and moves the price; the optimum is the exact forward filter.
``null``: the flow of level A, which moves nothing.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv

from scalper_ml.durable import atomic_write
from scalper_ml.ingest.optimum import Optimum, level_a_optimum
from scalper_ml.ingest.order import Trades
from scalper_ml.ingest.stylised import stylised_facts
from scalper_ml.ingest.synthetic_hidden import HiddenParams, hidden_market
from scalper_ml.ingest.synthetic_printing import Printed, Quotation
from scalper_ml.ingest.synthetic_spec import GENERATOR_VERSION, SyntheticSpec, Texture
from scalper_ml.ingest.trades import ticks_table
from scalper_ml.schema import stamps, us

if TYPE_CHECKING:
    from scalper_ml.ingest.synthetic_transparent import TransparentMarket

__all__ = ["SyntheticMarket", "SyntheticSpec", "Texture", "simulate", "write_synthetic"]


@dataclass(frozen=True, slots=True)
class SyntheticMarket:
    """Trades and what lies behind them.

    Attributes
    ----------
    ticks : pyarrow.Table
        Schema `TICKS`, source ``"synthetic"``, no ids.
    truth : pyarrow.Table
        One row a bar: ``ts_us`` (close), ``signal`` (level A and null: a_t, which moves the next bar, or would, of the
        sign it moves it by; level B: P(state up) - P(state down) in the next second given all trades up to the
        close), ``mid`` (at the close); level B also ``p_plus`` and ``p_minus``. Of a market that follows another,
        ``signal`` is the leader's newest return and ``flow`` the a_t that its own flow tells; with a texture, ``sigma``
        is the volatility of the bar.
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
        market, signal, sigma = _transparent(rng, spec, quotation)
        printed, mid, bound = market.printed, market.mid, market.recovery_bound
        extra = {"sigma": sigma} if not spec.texture.plain else {}
        extra |= {} if spec.lead_seed is None else {"flow": market.flow}
        optimum = {str(h): asdict(_closed_form(spec, h)) for h in spec.horizons}
    truth = pa.table({"ts_us": stamps(closes), "signal": signal, "mid": mid, **extra})
    return SyntheticMarket(_ticks(printed), truth, optimum, bound)


def _transparent(
    rng: np.random.Generator, spec: SyntheticSpec, quotation: Quotation
) -> "tuple[TransparentMarket, np.ndarray, np.ndarray]":
    """The market, what moves the bar after each bar, and the volatility of each bar."""
    from scalper_ml.ingest.synthetic_texture import motion_of  # scipy.signal takes two seconds
    from scalper_ml.ingest.synthetic_transparent import transparent_market

    signal = None
    if spec.leader is not None:
        leader, _, _ = _transparent(np.random.Generator(np.random.PCG64(spec.leader.seed)), spec.leader, quotation)
        signal = leader.unit
    cause = None if signal is None else np.concatenate(([0.0], signal[:-1]))
    motion = motion_of(spec, cause)
    market = transparent_market(
        rng, quotation, motion, interval_us=spec.interval_us, start_us=spec.start_us,
        trades_per_bar=spec.trades_per_bar, rho=spec.edge, phi=spec.phi, start=spec.start_price,
    )  # fmt: skip
    moves = (market.flow if signal is None else signal) * np.append(motion.sign[1:], motion.sign[-1])
    return market, moves, motion.sigma


def _closed_form(spec: SyntheticSpec, horizon: int) -> Optimum:
    phi = spec.phi if spec.lead_seed is None else 0.0  # returns of a leader follow one another without memory
    return level_a_optimum(spec.edge, phi, horizon, deadband_k=spec.deadband_k)


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
    data = csv_bytes(market.ticks)
    facts = stylised_facts(market.ticks, market.truth["mid"].to_numpy(), spec.interval_us, spec.start_us)
    truth: dict[str, Any] = {
        "spec": asdict(spec),
        "spec_hash": spec.hash,
        "generator_version": GENERATOR_VERSION,
        "csv_sha256": hashlib.sha256(data).hexdigest(),
        "trades": market.ticks.num_rows,
        "bars": spec.bars,
        "optimum": market.optimum,
        "optimum_kind": _OPTIMUM_KIND[spec.level],
        "facts": {fact.name: fact.to_dict() for fact in facts},
        "recovery_bound": market.recovery_bound,
        "recovery": None if market.recovery_bound is None else "a = log(buy_volume / sell_volume) of the bar",
    }
    atomic_write(path, data)
    atomic_write(truth_path, (json.dumps(truth, indent=2, sort_keys=True) + "\n").encode())
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


def csv_bytes(ticks: pa.Table) -> bytes:
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
