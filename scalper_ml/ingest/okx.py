"""OKX's trade dumps, with the headers of all years, and the answer of its REST call for trades.

Headers of older files are double, English and Chinese in GBK (``trade_id/...``): what stands before the stroke
counts. Spot sizes are base units; sizes of swaps and futures are contracts, whose worth the file does not say.

References
----------
https://www.okx.com/historical-data, https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.base import Head, Layout
from scalper_ml.ingest.headers import is_header, places

__all__ = ["OkxTrades"]

_DUMP: Final = {"id": "tradeid", "side": "side", "qty": "size", "price": "price", "ts": "createdtime"}
_REST: Final = {"id": "tradeid", "side": "side", "qty": "sz", "price": "px", "ts": "ts", "symbol": "instid"}
_INSTRUMENT: Final = re.compile(r"^([A-Za-z0-9]+)-([A-Za-z0-9]+)(-SWAP|-\d{6})?(?=$|-)", re.IGNORECASE)
_HEADER: Final = "[instrument_name,]trade_id,side,size,price,created_time[,source]"
_MARKETS: Final = ("spot", "swap", "futures")


class OkxTrades:
    """Trades of spot, swaps and futures, and the aggregate trades of each."""

    formats: Mapping[str, str] = {
        f"okx-{market}-{kind}": _HEADER for market in _MARKETS for kind in ("trades", "aggtrades")
    }

    def layout(self, head: Head, path: Path, wanted: str | None = None) -> Layout | None:
        """The layout by its header; the market by the instrument's name, in the rows or, with none there, the file's.

        Raises
        ------
        InputError
            If nothing says whether sizes are base units or contracts.
        """
        if not head.typed and not is_header(head.first):
            return None
        names = [name.split("/")[0] for name in head.first]
        found = places(names, _DUMP) or places(names, _REST)
        if found is None:
            return None
        found |= places(names, {"symbol": "instrumentname"}) or {}
        name = wanted or self._name(head, found, path)
        units = "base" if name.startswith("okx-spot") else "contracts"
        return Layout(name, found, has_header=True, units="base" if units == "base" else "contracts")

    def _name(self, head: Head, found: Mapping[str, int], path: Path) -> str:
        named = [row[found["symbol"]] for row in head.rows if len(row) == len(head.first)] if "symbol" in found else []
        matches = [_INSTRUMENT.match(name) for name in (*named[:1], head.name, path.name)]
        best = next((match for match in matches if match is not None), None)
        if best is None:
            raise InputError(
                f"{path}: line 1 is OKX's header, but no column instrument_name and no file name such as "
                f"BTC-USDT-SWAP-trades-... says the market; expected format=one of {list(self.formats)}"
            )
        kind = "aggtrades" if "aggtrades" in f"{head.name} {path.name}".lower() else "trades"
        end = (best.group(3) or "").upper()
        return f"okx-{'swap' if end == '-SWAP' else 'futures' if end else 'spot'}-{kind}"
