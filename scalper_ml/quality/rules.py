"""Rules that trades and quotes are judged by, each declared once: what it counts, how severe, where it was learnt."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from scalper_ml.quality import checks
from scalper_ml.quality.evidence import Evidence, Outcome

__all__ = ["QUOTE_RULES", "RULES", "SEVERITIES", "TRADE_RULES", "Rule", "Severity"]

Severity = Literal["error", "warn", "ignore"]
"""``error`` blocks what is built on the ticks, ``warn`` shows, ``ignore`` does neither."""

SEVERITIES: Final = ("error", "warn", "ignore")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Attributes
    ----------
    name : str
        Permanent.
    severity : {"error", "warn", "ignore"}
        Unless the settings say otherwise.
    unit : str
        What `count` counts.
    description : str
    source : str
        The thread or text it was learnt from.
    check : callable
        Evidence to outcome; a count of 0 passes.
    about : {"trades", "quotes"}
        What it judges: quotes are judged where they are read, in the layer `book`.
    """

    name: str
    severity: Severity
    unit: str
    description: str
    source: str
    check: Callable[[Evidence], Outcome]
    about: Literal["trades", "quotes"] = "trades"


_RULES: Final = (
    Rule(
        "id_gaps",
        "warn",
        "missing trades",
        "Trade ids jump, within days or between them: trades are missing. Raw futures trades also jump over "
        "insurance-fund and auto-deleveraging fills that the archive leaves out.",
        "binance-public-data #190, #363, #378, #458",
        checks.id_gaps,
    ),
    Rule(
        "exchange_silence",
        "warn",
        "halts",
        "Ids go on across a long time without trades: the venue was halted, nothing is missing.",
        "ccxt #9081; binance-public-data #153, #193",
        checks.exchange_silence,
    ),
    Rule(
        "unknown_gaps",
        "warn",
        "gaps",
        "A long time without trades where no ids say whether trades are missing.",
        "ccxt #26945",
        checks.unknown_gaps,
    ),
    Rule(
        "non_monotonic_ids",
        "error",
        "rows",
        "The order of ids contradicts the order of time by more than a matching engine's jitter.",
        "binance-public-data #12, #339",
        checks.non_monotonic_ids,
    ),
    Rule(
        "conflicting_ids",
        "warn",
        "rows",
        "An id stands for two different trades: the later one is in quarantine, or the days overlap in ids.",
        "binance-public-data #353",
        checks.conflicting_ids,
    ),
    Rule(
        "mixed_sources",
        "error",
        "days",
        "Ticks of several sources in one symbol, e.g. trades and aggregate trades: trades count twice.",
        "ids of trades and aggregate trades are two sequences; binance-public-data #378",
        checks.mixed_sources,
    ),
    Rule(
        "off_market_prints",
        "warn",
        "prints",
        "Prints away from their neighbours that the price returns from, such as insurance-fund fills.",
        "Lean.Brokerages.Binance #28; dev.binance.vision 963, 18342",
        checks.off_market_prints,
    ),
    Rule(
        "decimal_slips",
        "error",
        "prints",
        "Prices away by a power of ten: slipped decimal points, and levels that shift by one and stay.",
        "Lean.Brokerages.Binance #28",
        checks.decimal_slips,
    ),
    Rule(
        "zero_negative_nan",
        "warn",
        "rows",
        "Prices and quantities that are zero, negative, NaN or infinite, in quarantine.",
        "METHOD 10",
        checks.zero_negative_nan,
    ),
    Rule(
        "unreadable_rows",
        "warn",
        "rows",
        "Rows in quarantine for any other reason: no stamp, no number, neither side, torn lines.",
        "binance-public-data #436",
        checks.unreadable_rows,
    ),
    Rule(
        "missing_days",
        "warn",
        "days",
        "Days without a trade between the first and the last while the symbol was listed; days that contiguous ids "
        "prove silent are not counted.",
        "binance-public-data #161, #179, #291, #307",
        checks.missing_days,
    ),
    Rule(
        "outside_listing",
        "warn",
        "rows",
        "Trades on days before the symbol was listed or after it was delisted, as the settings give them.",
        "freqtrade #12383, PR #3939",
        checks.outside_listing,
    ),
    Rule(
        "day_boundary",
        "error",
        "rows",
        "Rows stored under another UTC day than their stamp's.",
        "binance-public-data #339",
        checks.day_boundary,
    ),
    Rule(
        "clock",
        "error",
        "days and files",
        "Stamps ahead of the moment the file was first seen, or of now, by this machine's clock.",
        "METHOD 10, clock skew",
        checks.clock,
    ),
    Rule(
        "stuck_clock",
        "warn",
        "days",
        "One stamp on more rows than trades of one moment can be. Equal stamps as such are no fault.",
        "METHOD 10, clock skew",
        checks.stuck_clock,
    ),
    Rule(
        "units",
        "error",
        "stamps",
        "Milliseconds and microseconds in one day: sub-millisecond digits are 000 on a part of it.",
        "binance-public-data #386, #387, #404",
        checks.units,
    ),
    Rule(
        "side_inverted",
        "error",
        "days",
        "Signed volume runs against the return of its second: the maker flag was read as the aggressor.",
        "binance-public-data #104; ccxt PR #538, #18193",
        checks.side_inverted,
    ),
    Rule(
        "reuploaded_files",
        "warn",
        "files",
        "Files of one name that came with different bytes.",
        "binance-public-data #375, #436",
        checks.reuploaded_files,
    ),
    Rule(
        "qty_outliers",
        "warn",
        "prints",
        "Quantities beyond any usual one by orders of magnitude: contracts or quote units among base units.",
        "METHOD 10",
        checks.qty_outliers,
    ),
    Rule(
        "crossed_quotes",
        "warn",
        "quotes",
        "Quotes whose bid is above their ask.",
        "METHOD 10",
        checks.crossed_quotes,
        about="quotes",
    ),
    Rule(
        "stale_quotes",
        "warn",
        "quotes",
        "Quotes that stood still while trades went through them.",
        "METHOD 10",
        checks.stale_quotes,
        about="quotes",
    ),
)

RULES: Final = {rule.name: rule for rule in _RULES}
"""Rules by name, in the order they are reported."""

TRADE_RULES: Final = {name: rule for name, rule in RULES.items() if rule.about == "trades"}
QUOTE_RULES: Final = {name: rule for name, rule in RULES.items() if rule.about == "quotes"}
"""The rules by what they judge."""
