"""Raw captures of websockets: the trades among their messages.

Lines are ``<local ns> {json}``, or cryptofeed's JSON envelopes; venues are those of `scalper_ml.book.dialects`. A
trade is stamped with the venue's time of it. Messages of other kinds and symbols are no rows, and not counted.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from scalper_ml.book.capture_rows import Rows
from scalper_ml.book.captures import capture_events
from scalper_ml.book.dialects import DIALECTS
from scalper_ml.book.events import Damage, Trade
from scalper_ml.book.framing import is_capture
from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Contract, Head, Layout, Units
from scalper_ml.ingest.lines import Columns, Fault

__all__ = ["CaptureTrades", "Captured", "captured_trades"]

_ANY: Final = "capture"
_BATCH: Final = 1 << 15
_LINES: Final = "lines '<local ns> {json}', or cryptofeed's envelopes"
_INVERSE: Final = re.compile(r"(PI|FI)_|[A-Z]+-(PERPETUAL|\d{1,2}[A-Z]{3}\d{2})$")
_COUNTED: Final = re.compile(r"-SWAP$|-\d{6}$")


class CaptureTrades:
    """Captures of any venue with a dialect; the format is told by the trades, such as ``binance-usdm-capture``.

    Aggregate trades end in ``-agg``.
    """

    formats: Mapping[str, str] = {"*-capture": _LINES, "*-capture-agg": _LINES}

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its first line; of which format the trades are, the messages say."""
        if head.typed or not is_capture(",".join(head.first).encode()):
            return None
        return Layout(wanted or _ANY, {}, has_header=False, messages=True)


@dataclass(frozen=True, slots=True)
class Captured:
    """Some trades of a capture as columns, and what a quantity of them counts."""

    format: str
    columns: Columns
    units: Units
    contract: Contract | None


def captured_trades(path: Path, symbol: str, wanted: str | None = None) -> Iterator[Captured]:
    """Trades of a symbol in a capture, in the order of its lines; at least one batch, which may be empty.

    Parameters
    ----------
    path : Path
    symbol : str
        Separators and case do not count.
    wanted : str, optional
        The format whose trades are meant: needed where a capture has the symbol in several markets or kinds. It also
        names the venue where the capture does not, and is not Binance's.

    Raises
    ------
    InputError
        If the capture never mentions the symbol, or has its trades in several formats and none is wanted.
    """
    rows, faults = _rows(), list[Fault]()
    sources, others = set[str](), set[str]()
    name = spelled = ""
    for event in capture_events(path, symbol, exchange=_venue(wanted)):
        if event.symbol:
            spelled = spelled or event.symbol
        if isinstance(event, Damage):
            if event.kind in ("line", "trade"):
                faults.append(Fault(event.line, event.reason, event.raw))
            continue
        sources |= {event.source} if event.symbol else set()
        if not isinstance(event, Trade):
            continue
        if wanted not in (None, event.source):
            others.add(event.source)
            continue
        if name and event.source != name:
            raise InputError(
                f"{path}: line {event.line}: {symbol} in 2 formats {sorted((name, event.source))}; expected one, for "
                "both would count twice - choose by format="
            )
        name = event.source
        rows.add(event.event_us, event.line, event.trade_id, event.side, event.price, event.qty)
        if len(rows) >= _BATCH:
            yield _captured(name, spelled, rows, faults)
            rows, faults = _rows(), []
    if not spelled:
        first = f"; line {faults[0].line} cannot be read - {faults[0].reason}" if faults else ""
        raise InputError(
            f"{path}: nothing of symbol {symbol!r} in it{' as ' + wanted if wanted else ''}; expected its trades{first}"
        )
    if wanted and not name and (others or not any(wanted.startswith(source) for source in sources)):
        found = sorted(others or sources)
        raise InputError(f"{path}: no {symbol} of format {wanted!r} in it; found {found} - choose one of them")
    yield _captured(name or wanted or min(sources, default=_ANY), spelled, rows, faults)


def _venue(wanted: str | None) -> str | None:
    """The dialect of a format; None where the capture says it or is Binance's."""
    names = [name for name in DIALECTS if wanted and wanted.startswith(name.split("_")[0].lower() + "-")]
    return names[0] if names else None


def _rows() -> Rows:
    return Rows(ts="q", line="q", id="q", side="b", price="d", qty="d")


def _captured(name: str, spelled: str, rows: Rows, faults: list[Fault]) -> Captured:
    ids = rows["id"]
    values = {role: pa.array(rows[role]) for role in ("ts", "price", "qty", "side")}
    values["id"] = pa.array(ids, mask=ids < 0)
    return Captured(name, Columns(values, rows["line"], faults), *_worth(name, spelled))


def _worth(name: str, symbol: str) -> tuple[Units, Contract | None]:
    """What quantities count, by the venue's market and the instrument's name."""
    if name.startswith("binance-coinm"):
        return "contracts", Contract(100.0 if symbol.startswith("BTCUSD_") else 10.0, inverse=True)
    if name.startswith("bybit-inverse") or (name.startswith(("kraken", "deribit")) and _INVERSE.match(symbol)):
        return "contracts", Contract(1.0, inverse=True)
    if name.startswith("okx") and _COUNTED.search(symbol):
        return "contracts", None
    return ("unknown", None) if name == _ANY else ("base", None)
