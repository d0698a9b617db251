"""Funding, open interest, marks and liquidations of a capture as bitemporal rows."""

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from scalper_ml.book.captures import capture_events
from scalper_ml.book.events import Liquidation, Measure
from scalper_ml.schema import CONTEXT, stamps

__all__ = ["read_capture_context"]

LIQUIDATION: Final = "liquidation_qty"


def read_capture_context(path: Path, symbol: str, *, exchange: str | None = None, clock_offset_us: int = 0) -> pa.Table:
    """Measures of one symbol, as said: a row whenever the venue sends a value, and none in between.

    Parameters
    ----------
    path : Path
    symbol : str
    exchange : str, optional
    clock_offset_us : int

    Returns
    -------
    pyarrow.Table
        Schema `CONTEXT`, sorted by kind, event time and revision. Kinds are those of
        `scalper_ml.book.events.Measure`, and ``liquidation_qty``: the forced orders' quantity of one stamp, positive
        for buying back short positions, negative for selling long ones.

    Notes
    -----
    Another value for the same kind and event time is the next revision; the same value again is no row.
    Liquidations of one stamp are summed, known when the last of them is.
    """
    found: dict[tuple[str, str, int], list[tuple[int, float]]] = {}
    forced: dict[tuple[str, str, int], list[tuple[int, float]]] = {}
    for event in capture_events(Path(path), symbol, exchange=exchange, clock_offset_us=clock_offset_us):
        if isinstance(event, Measure) and np.isfinite(event.value):
            key = (event.kind, event.source, event.event_us)
            said = found.setdefault(key, [])
            if not said or said[-1][1] != event.value:
                said.append((event.known_us, event.value))
        elif isinstance(event, Liquidation):
            key = (LIQUIDATION, event.source, event.event_us)
            forced.setdefault(key, []).append((event.known_us, event.side * event.qty))
    for key, orders in forced.items():
        found[key] = [(max(known for known, _ in orders), sum(qty for _, qty in orders))]
    rows = [
        (kind, event_us, known_us, value, revision, source)
        for (kind, source, event_us), said in sorted(found.items())
        for revision, (known_us, value) in enumerate(said)
    ]
    kinds, event_us, known_us, values, revisions, sources = list(zip(*rows, strict=True)) or [()] * 6
    stamped = [stamps(np.array(column, dtype=np.int64)) for column in (event_us, known_us)]
    return pa.table(
        [pa.array(kinds, pa.string()), *stamped, values, revisions, pa.array(sources, pa.string())], CONTEXT
    )
