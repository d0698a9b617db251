"""What a reader of the asset catalogue wants to know of each layer."""

from dataclasses import dataclass

from scalper_ml.book.quote_quality import RULES as BOOK_RULES
from scalper_ml.context.quality import RULES as CONTEXT_RULES
from scalper_ml.ensembles.base import EnsembleKind
from scalper_ml.ensembles.registry import ensemble_kinds
from scalper_ml.forecasters.base import ForecasterKind
from scalper_ml.forecasters.registry import forecaster_kinds
from scalper_ml.layers.ensembles import ENSEMBLE_CODE
from scalper_ml.layers.forecasts import FORECAST_CODE
from scalper_ml.layers.models import CODE as MODEL_CODE
from scalper_ml.models.base import ModelKind
from scalper_ml.models.registry import model_kinds
from scalper_ml.quality import QUOTE_RULES, TRADE_RULES, severities
from scalper_ml.settings import Settings

__all__ = ["CATALOGUE", "Entry", "warnings_of"]


@dataclass(frozen=True, slots=True)
class Entry:
    """Catalogue entry of a layer: group, kinds, description, what each check means, the sources it depends on."""

    group: str
    kinds: tuple[str, ...]
    description: str
    checks: dict[str, str]
    code: tuple[str, ...]


_BUNDLE_CHECKS = {
    "skill": "Log loss on select beats the base rates (a warning: an honest model of noise does not).",
    "calibrated": "Expected calibration error on select minus its noise floor is at most 0.03 (a warning).",
    "loads": "The sealed bundle loads, verifies every hash and reproduces its golden batch.",
    "deterministic": "Rows predicted one by one, as live, have the bits they have in a batch.",
    "latency": "The median time of one row is at most 5 ms (a warning).",
}


def _model_entry(kind: ModelKind) -> Entry:
    """Every kind is trained the same way, so its entry is made, not written."""
    return Entry(
        "learning",
        tuple(library.replace("sklearn", "scikitlearn") for library in kind.libraries),
        f"{kind.summary} Three classes, early stopping on the purged tail of train where there are rounds, calibrated, "
        "with walk-forward out-of-fold predictions; sealed in a content-addressed bundle.",
        _BUNDLE_CHECKS,
        (*MODEL_CODE, f"models/{kind.name}", "selection", "validation", "schema", "layers/models"),
    )


_FORECAST_CHECKS = _BUNDLE_CHECKS | {
    "skill": "It beats its baseline on select: zero, the mean, HAR or the shares of train (a warning).",
    "calibrated": "Bounds hold the share of outcomes they promise within 5 points, or the calibration error of states "
    "minus its noise floor is at most 0.03 (a warning).",
    "deterministic": "Forecasts made one by one, as live, have the bits they have in a batch.",
}


def _forecast_entry(kind: ForecasterKind) -> Entry:
    return Entry(
        "learning",
        tuple(library.replace("sklearn", "scikitlearn") for library in (*kind.libraries, kind.extra) if library),
        f"{kind.summary} Fitted on train, its bounds or probabilities on calibrate, measured beside its baseline on "
        "select; sealed in a content-addressed bundle.",
        _FORECAST_CHECKS,
        (*FORECAST_CODE, "validation", "schema", "layers/forecasts"),
    )


def _ensemble_entry(kind: EnsembleKind) -> Entry:
    return Entry(
        "learning",
        ("json",),
        f"{kind.summary} Calibrated like any model; its members lie whole inside its sealed bundle. Members that are "
        "missing or stale are named and stop it.",
        _BUNDLE_CHECKS,
        (*ENSEMBLE_CODE, "validation", "schema"),
    )


CATALOGUE: dict[str, Entry] = {
    "ticks": Entry(
        "market_data",
        ("parquet", "pyarrow"),
        "Every trade of a symbol: stamp, price, quantity and aggressor side (+1 buyer, -1 seller), sorted and unique, "
        "a file a day. Rows that cannot be trusted stand in quarantine with file, line and reason.",
        {
            "schema": "The trades have the contract's columns and types, and there is at least one.",
            "files_read": "Every file could be read: one that is damaged, or of another source, blocks until it is "
            "repaired, replaced or removed.",
            "accounting": "Accepted + duplicate + quarantined rows equal the rows read.",
            "readable": "At most half of the rows were rejected.",
            "quarantine_empty": "No row had to be rejected (a warning, not a stop).",
            "withdrawn": "What a replaced file had given could be taken back (a warning that names the days).",
            **{name: rule.description for name, rule in TRADE_RULES.items()},
        },
        ("ingest", "quality", "schema", "layers/rule_checks", "layers/ticks"),
    ),
    "bars": Entry(
        "market_data",
        ("parquet", "numba"),
        "Time bars stamped with their close, the moment they became known. Trades go through one bar builder, the same "
        "live; klines enter here, and columns they cannot fill are null and say so.",
        {
            "schema": "The bars have the contract's columns and types.",
            "ordered": "Closes increase and every bar has the configured length.",
            "prices": "0 < low <= open, close <= high on every bar.",
            "gaps": "No interval without a bar (a warning: quiet markets have some).",
            "quarantine_empty": "No kline row had to be rejected (a warning).",
            "reconciled": "The venue's klines, where a folder of them is named, hold the same bars (a warning).",
        },
        ("bars", "ingest", "schema", "kernel", "layers/bars"),
    ),
    "event_bars": Entry(
        "market_data",
        ("parquet", "numba"),
        "Bars that end with a trade: every so many trades, base units or quote units, or so much imbalance "
        "between buyers and sellers. Through the same builder as time bars; stamped with the last trade.",
        {
            "any": "Every kind of bar has at least one (a warning).",
            "ordered": "Bars end in time order.",
        },
        ("bars", "ingest", "schema", "kernel", "layers/bars"),
    ),
    "context": Entry(
        "market_data",
        ("parquet", "pyarrow"),
        "Every feed beside the trades of a symbol - funding, open interest, ratios, taker volume, liquidations - with "
        "the time a value is about, the time it was known, and every later revision as a row of its own.",
        {
            "schema": "The values have the contract's columns and types.",
            "accounting": "Accepted + duplicate + quarantined values equal the values read.",
            "files_found": "There are files of the symbol (a warning, with those that hold candles and are not read).",
            **{name: text for name, (_, text) in CONTEXT_RULES.items() if name != "stale"},
        },
        ("context", "ingest", "schema", "layers/context", "layers/feed_files"),
    ),
    "context_bars": Entry(
        "market_data",
        ("parquet", "pyarrow"),
        "At the close of each bar, what was known then of the symbol's context: NaN where nothing was, or only "
        "something too old, and never a revision before it was made.",
        {
            "schema": "The rows have the contract's columns and types.",
            "no_future": "Rows built again from the context as it was seen at their closes are equal bit by bit.",
            "filled": "Some column has values (a warning that names the empty ones).",
            "stale": CONTEXT_RULES["stale"][1],
        },
        ("context", "schema", "layers/context", "layers/context_bars"),
    ),
    "book": Entry(
        "market_data",
        ("parquet", "pyarrow"),
        "At the close of each bar, the top of the book and the depth around it as known then, and the order flow and "
        "the time-weighted spread of the bar; from raw captures and from dumps of quotes and depth.",
        {
            "schema": "The rows have the contract's columns and types.",
            "accounting": "Accepted + duplicate + quarantined rows equal the rows read.",
            "files_found": "There are files of the symbol (a warning).",
            "rejected": "No row had to be rejected (a warning).",
            "no_future": "Rows built again from what was known at their closes are equal bit by bit.",
            **{name: rule.description for name, rule in QUOTE_RULES.items()},
            **{name: text for name, (_, text) in BOOK_RULES.items()},
        },
        ("book", "ingest", "quality", "schema", "layers/book", "layers/feed_files", "layers/rule_checks"),
    ),
    "market": Entry(
        "features",
        ("parquet",),
        "What the other coins did in the bar that just closed: mean return, breadth, dispersion and the lead coin's "
        "return, each coin leaving itself out.",
        {
            "schema": "The market columns have the contract's types.",
            "coins_present": "Every configured coin has bars (a warning that names the missing ones).",
        },
        ("bars/market", "schema", "layers/market"),
    ),
    "features": Entry(
        "features",
        ("parquet", "numba"),
        "The feature matrix of a symbol, one row a bar, from kernels that run the same offline, resumed and live; the "
        "carried state lies beside it, so that a live builder starts warm.",
        {
            "schema": "The columns are those of the feature set, in its order.",
            "no_nan_after_warmup": "No NaN or infinity in any row after warm-up.",
            "no_future": "Cutting, scaling, reversing or erasing the future leaves every earlier value bit-identical.",
            "online_parity": "A sample of the partition's own ticks (bars, where klines gave them) through the live "
            "builder gives the stored vectors: no bit differs.",
        },
        ("features", "kernel", "schema", "layers/features", "layers/feature_growth", "layers/feature_parity"),
    ),
    "datasets": Entry(
        "learning",
        ("parquet",),
        "Labels with the interval [t0, t1] in which each was decided, purged chronological roles "
        "(train, calibrate, select, score), uniqueness weights and a scaler fitted on train alone.",
        {
            "min_rows": "At least the configured number of label rows.",
            "class_balance": "No class takes more than the configured share of train.",
            "no_nan": "No value is missing in a labelled row.",
            "roles_disjoint": "No label's interval reaches into the next role.",
            "labels_no_future": "No label changes when what comes after its end is removed or altered.",
        },
        ("datasets", "labels", "backtest/costs", "backtest/engine", "schema", "layers/datasets"),
    ),
    **{f"models/{kind.name}": _model_entry(kind) for kind in model_kinds().values()},
    **{f"ensembles/{kind.name}": _ensemble_entry(kind) for kind in ensemble_kinds().values()},
    **{f"models/{kind.name}": _forecast_entry(kind) for kind in forecaster_kinds().values()},
    "ensembles/ridge_stack": Entry(
        "learning",
        ("json",),
        "A ridge regression over forecasters of one number, learnt from their out-of-fold forecasts and drawn towards "
        "even shares; the members lie whole inside its sealed bundle.",
        _FORECAST_CHECKS,
        (*FORECAST_CODE, "validation", "schema", "layers/forecasts"),
    ),
    "meta_labels": Entry(
        "learning",
        ("parquet",),
        "Every side that one model took out of fold, with what it earned net of costs and whether it was worth taking: "
        "what a second model learns confidence from.",
        {
            "out_of_fold": "No side was taken on rows its model was fitted on.",
            "both_outcomes": "Some sides paid and some did not (a warning).",
        },
        ("labels", "schema", "layers/meta_labels"),
    ),
    "candidates": Entry(
        "learning",
        ("json",),
        "The one model or ensemble of a symbol x horizon that will be scored, chosen on select, with the comparison "
        "that chose it.",
        {"on_select_only": "Nothing but the select role was looked at."},
        ("models/candidate", "layers/candidates"),
    ),
    "backtests": Entry(
        "decisions",
        ("parquet", "numba"),
        "The candidate's out-of-sample trades on the score role, filled after the signal bar and net of fees, "
        "spread and slippage, with the quality score and the gates it passed or failed.",
        {
            "out_of_sample": "Every trade lies in the score role, after everything the model was fitted on.",
            "accounting": "Gross - fees - spread - slippage = net on every trade.",
            "gates": "The score's significance gates hold (a warning that names the reason codes).",
        },
        ("backtest", "gate", "validation", "layers/backtests"),
    ),
    "placebo": Entry(
        "decisions",
        ("json",),
        "What the score says of random signals on the coin's own returns, resampled in blocks and without costs: "
        "nothing can be known there, so everything but REJECTED is the score's own error.",
        {"rejected": "Every placebo is REJECTED (a warning)."},
        ("gate", "validation", "layers/placebo"),
    ),
    "thresholds": Entry(
        "decisions",
        ("json",),
        "What the gate publishes: per coin and horizon the tier, the minimum confidence and the action; what was not "
        "scored or not accepted is NO_TRADE.",
        {
            "complete": "Every configured coin x horizon has a verdict.",
            "all_scored": "Every one has been scored (a warning).",
        },
        ("gate", "layers/thresholds"),
    ),
    "decisions": Entry(
        "decisions",
        ("parquet",),
        "What bots and replays decided on every bar of a symbol and why, a row a horizon, and what they traded on "
        "paper; brought together from the journals of the loops. Empty until one has run.",
        {"explained": "Every decision has a reason."},
        ("live/decisions", "live/broker", "live/journal", "layers/decisions"),
    ),
    "champions": Entry(
        "decisions",
        ("json",),
        "The pointer the bot follows, with its history; no champion means no trade.",
        {"has_champion": "An accepted model stands behind this symbol x horizon (a warning)."},
        ("champions", "layers/champions", "layers/champion_record", "layers/outcomes"),
    ),
    "drift/features": Entry(
        "drift",
        ("parquet",),
        "How far the champion's features have moved from those it was made from: PSI and KS of the newest window, each "
        "beside a limit calibrated on the feature's own past. Moved inputs alone are watched and retrain nothing.",
        {"inputs_stable": "Less than 30 % of the twenty leading features are beyond their limits (a warning)."},
        ("drift/inputs", "layers/drift"),
    ),
    "drift/predictions": Entry(
        "drift",
        ("parquet",),
        "Accuracy that the champion's probabilities expect of themselves, known without labels, beside the accuracy "
        "that came: an early sign, by day.",
        {"as_expected": "The two are at most three standard errors apart over the newest labels (a warning)."},
        ("drift/estimate", "layers/drift"),
    ),
    "drift/performance": Entry(
        "drift",
        ("parquet",),
        "The champion's outcomes since it was scored, one after the other: CUSUM of hits and of R, tests of the edge, "
        "drawdown. Its state tells the sensors whether to retrain, and stops trading where the edge is gone.",
        {"edge_holds": "No alarm has fired since this champion was scored (a warning that names them)."},
        ("drift", "layers/drift", "layers/outcomes"),
    ),
}

_WARNS: dict[str, frozenset[str]] = {
    "ticks": frozenset({"quarantine_empty", "withdrawn"}),
    "bars": frozenset({"gaps", "quarantine_empty", "reconciled"}),
    "event_bars": frozenset({"any"}),
    "market": frozenset({"coins_present"}),
    "context": frozenset({"files_found"}),
    "context_bars": frozenset({"filled"}),
    "book": frozenset({"files_found", "rejected"}),
    "models": frozenset({"skill", "calibrated", "latency"}),
    "ensembles": frozenset({"skill", "calibrated", "latency"}),
    "meta_labels": frozenset({"both_outcomes"}),
    "backtests": frozenset({"gates"}),
    "placebo": frozenset({"rejected"}),
    "thresholds": frozenset({"all_scored"}),
    "champions": frozenset({"has_champion"}),
    "drift": frozenset({"inputs_stable", "as_expected", "edge_holds"}),
}


def warnings_of(layer: str, settings: Settings) -> frozenset[str]:
    """Checks of a layer whose failure is shown and stops nothing, as the settings have it."""
    own: dict[str, str] = {}
    if layer == "ticks":
        own = dict(severities(settings.quality.severities))
    elif layer in ("context", "context_bars"):
        own = {**{name: rule[0] for name, rule in CONTEXT_RULES.items()}, **settings.context.severities}
    elif layer == "book":
        own = {**{name: rule[0] for name, rule in BOOK_RULES.items()}, **settings.book.severities}
        own |= severities(settings.quality.severities)
    return _WARNS.get(layer.split("/")[0], frozenset()) | {name for name, one in own.items() if one != "error"}
