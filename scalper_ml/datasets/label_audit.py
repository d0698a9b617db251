"""The look-ahead audit of labels as datasets are made of them: of bars, and of trades or quotes beside them."""

from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.datasets.labelling import Tape, label_bars
from scalper_ml.labels.audit import LabelAudit, Stream, Streams, label_audit
from scalper_ml.labels.horizon import LabelParams, Labels
from scalper_ml.schema import stamps, us

__all__ = ["audit_labels"]

_PRICES: Final = ("open", "high", "low")
_TAPE: Final = ("price", "side", "bid", "ask")


def audit_labels(
    bars: pa.Table,
    sigma: np.ndarray,
    cost: np.ndarray,
    tape: Tape | None,
    params: LabelParams,
    *,
    cuts: int = 5,
    seed: int = 0,
) -> LabelAudit:
    """Label again with every future after random closes removed or changed, and compare: see `label_audit`.

    Parameters
    ----------
    bars : pyarrow.Table
        Schema BARS.
    sigma, cost : ndarray, shape (n,)
        Volatility of a bar and round-trip cost, known at its close.
    tape : Tape, optional
        What orders are filled at, where that is not the bars.
    params : LabelParams
    """
    columns = {"open_ts_us": us(bars["open_ts_us"]), "sigma": sigma, "cost": cost}
    columns |= {name: bars[name].to_numpy() for name in _PRICES}
    streams = {"bars": Stream(us(bars["ts_us"]), columns)}
    if tape is not None:
        known = slice(int(np.searchsorted(tape.ts_us, columns["open_ts_us"][0])), None)
        values = {name: column[known] for name in _TAPE if (column := getattr(tape, name)) is not None}
        streams["tape"] = Stream(tape.ts_us[known], values)
    return label_audit(streams, partial(_labelled, params), cuts=cuts, seed=seed)


def _labelled(params: LabelParams, streams: Streams, until_us: int) -> Labels:
    """Labels of these bars, and of this tape if there is one, recorded until a moment."""
    stream = streams["bars"]
    prices = {name: stream.columns[name] for name in _PRICES}
    times = {"open_ts_us": stamps(stream.columns["open_ts_us"]), "ts_us": stamps(stream.known_us)}
    tape = None
    if "tape" in streams:
        tape = Tape(streams["tape"].known_us, **streams["tape"].columns, until_us=until_us)
    return label_bars(pa.table({**times, **prices}), stream.columns["sigma"], stream.columns["cost"], params, tape)
