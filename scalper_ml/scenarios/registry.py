"""The scenarios: one entry each, with its markets, its parameters and what must be found (METHOD 7.4)."""

import difflib
from dataclasses import replace
from typing import Any, Final

import numpy as np

from scalper_ml.errors import SettingsError
from scalper_ml.ingest.synthetic_spec import SyntheticSpec, Texture
from scalper_ml.scenarios import ensembled, guards, nothing, skill, turned
from scalper_ml.scenarios.facts import measure_facts
from scalper_ml.scenarios.scenario import Must, Scenario

__all__ = ["RECOMMENDED", "SCENARIOS", "scenario"]

_A: Final = SyntheticSpec(level="A", sigma=25e-4, trades_per_bar=12, spread_bps=1.0, seed=1)
_NULL: Final = replace(_A, level="null")
_B: Final = SyntheticSpec(level="B", sigma=6e-5 * float(np.sqrt(60 * 1.36)), trades_per_bar=60, seed=1)
_B_20S: Final = replace(_B, interval_us=20_000_000, sigma=6e-5 * float(np.sqrt(20 * 1.36)), trades_per_bar=20)
_FREE: Final = {"fee_bps": 0.0, "spread_bps": 0.0, "impact": 0.0}
_FEW: Final = {"families": ["flow", "volatility"]}
_GENERIC: Final = {"families": ["momentum", "flow", "volatility"]}
_REJECTED: Final = Must("verdict", "the gate's verdict", equals="REJECTED")
_QUICK: Final[dict[str, Any]] = {"features": _FEW, "training": {"xgb_classifier": {"max_rounds": 80}}}
RECOMMENDED: Final[dict[str, dict[str, Any]]] = {
    "selection": {"enabled": True},
    "training": {"kinds": ["logistic_classifier", "xgb_classifier", "lgb_classifier", "cat_classifier"]},
    "ensembles": {"kinds": ["weighted_average", "stacking"]},
}
"""What docs/models.md recommends to train with; skill is measured with it."""

_AVERAGED: Final = {name: RECOMMENDED[name] for name in ("training", "ensembles")}

_FEW_KINDS: Final[dict[str, Any]] = {
    **_QUICK,
    "training": {**_QUICK["training"], "kinds": ["logistic_classifier", "xgb_classifier"]},
    "ensembles": {"kinds": ["weighted_average"]},
}

SCENARIOS: Final[dict[str, Scenario]] = {
    one.name: one
    for one in (
        Scenario(
            "level_a",
            "a signal in the flow of every bar, optimum in closed form",
            {"FASTUSDT": replace(_A, rho=0.15, phi=0.80), "SLOWUSDT": replace(_A, rho=0.10, phi=0.90)},
            (
                Must("edge_FASTUSDT", "share of the Bayes edge, DA* .570", low=0.95, fast=(0.80, None)),
                Must("edge_SLOWUSDT", "share of the Bayes edge, DA* .558", low=0.95, fast=(0.60, None)),
            ),
            skill.measure_transparent,
            settings=RECOMMENDED,
            days=60,
            fast_days=8,
            fast=_FEW_KINDS,
            seeds=(0, 1, 2),
        ),
        Scenario(
            "level_b",
            "a hidden state behind flow and price, its exact filter given as a feature",
            {"HIDEUSDT": _B},
            (
                Must("alone_1", "share of the filter's edge, filter alone, horizon 1", low=0.97, fast=(0.60, None)),
                Must("alone_5", "the same, horizon 5", low=0.97, fast=(0.60, None)),
                Must("beside_1", "filter beside all features, horizon 1", low=0.97, fast=(0.50, None)),
                Must("beside_5", "the same, horizon 5", low=0.97, fast=(0.50, None)),
            ),
            skill.measure_hidden,
            settings={**RECOMMENDED, "horizons": [1, 5]},
            days=45,
            fast_days=8,
            fast=_FEW_KINDS,
            seeds=(0, 1, 2, 3),  # 50,000 bars to be measured on
        ),
        Scenario(
            "average",
            "level B without its filter: what windows of 20 s to 80 min and the averaged ensemble find",
            {"HIDEUSDT": _B_20S},
            (
                Must("average_3", "share of the filter's edge, 1 minute", low=0.85, fast=(0.40, None)),
                Must("average_15", "the same, 5 minutes", low=0.85, fast=(0.40, None)),
                Must("average_45", "the same, 15 minutes", low=0.75, fast=(0.20, None)),
            ),
            ensembled.measure_average,
            settings={
                "training": RECOMMENDED["training"],
                "ensembles": {"kinds": ["weighted_average"]},
                "features": _GENERIC,
                "horizons": [3, 15, 45],
            },
            days=60,  # of which 30 are train
            fast_days=30,
            fast=_FEW_KINDS,
            seeds=(0, 1, 2, 3),
        ),
        Scenario(
            "stack",
            "the market of null, and a stack of models of it",
            {"NULLUSDT": _NULL},
            (Must("brier", "largest Brier score of the sides of the stack", high=0.253, fast=(None, 0.27)),),
            ensembled.measure_stack_of_nothing,
            settings={**_AVERAGED, "horizons": [5]},
            days=30,
            fast={**_FEW_KINDS, "ensembles": {"kinds": ["stacking"]}},
            seeds=(0, 1, 2),
        ),
        Scenario(
            "null",
            "the flow of level A, and nothing that follows it",
            {"NULLUSDT": _NULL},
            (
                Must("chance_inside", "replicates with chance in the 99 % interval of balanced accuracy", low=1.0),
                Must("brier", "largest Brier score of the sides", high=0.253, fast=(None, 0.27)),
                _REJECTED,
            ),
            nothing.measure_null,
            days=30,
            fast=_QUICK,
            seeds=(0, 1, 2),
        ),
        Scenario(
            "bounce",
            "a spread of 2.6 bp and nothing else",
            {"WIDEUSDT": replace(_B, drift=0.0, flow_tilt=0.0, decoy_tilt=0.0, impact=0.0, spread_bps=2.6,
                                 sigma=6e-5 * float(np.sqrt(60)), start_price=50_000.0)},
            (
                Must("last_1s", "last-trade labels foretold by the last side, 1 s: .750", 0.74, 0.76),
                Must("last_60s", "the same, 60 s: .606", 0.596, 0.616, fast=(0.58, 0.63)),
                Must("last_300s", "the same, 300 s: .549", 0.524, 0.574, fast=(0.50, 0.60)),
                Must("mid_60s", "labels of mids foretold, 60 s", 0.48, 0.52, fast=(0.46, 0.54)),
                Must("net_bps", "bp a trade earned by it where it is executed", high=0.0),
                _REJECTED,
            ),
            nothing.measure_bounce,
            settings={"horizons": [1], "backtest": {"fee_bps": 0.0, "spread_bps": 2.6, "impact": 0.0}},
            days=10,
            fast_days=3,
            fast=_QUICK,
        ),
        Scenario(
            "drift",
            "a trend and no signal",
            {"RISEUSDT": replace(_NULL, trend=0.045)},
            (
                Must("always_long_earns", "R a trade of always-long, without costs", low=0.05, fast=(-0.2, None)),
                Must("always_long", "always-long", equals="REJECTED by the BA gate"),
                _REJECTED,
            ),
            nothing.measure_drift,
            settings={"horizons": [15], "backtest": _FREE},
            days=30,
            fast=_QUICK,
        ),
        Scenario(
            "volonly",
            "volatility that can be foretold, direction that cannot",
            {"WILDUSDT": replace(_NULL, texture=Texture(vol_sd=0.5, fast_half_life=120.0, shock_df=5.0))},
            (
                Must("r2", "R2 of log realised volatility on score", low=0.30, fast=(0.15, None)),
                Must("r2_share", "share of what the true volatility explains", low=0.80, fast=(0.6, None)),
                _REJECTED,
            ),
            nothing.measure_volatility,
            settings={"horizons": [15], "labels": {"targets": True}},
            days=30,
            fast=_QUICK,
        ),
        Scenario(
            "flip",
            "a signal that turns round half-way",
            {"FLIPUSDT": replace(_A, rho=0.20, flip_at=0.5)},
            (
                Must("delay", "labels from the turn to the first alarm, median", 0.0, 700.0),
                Must("quiet", "streams of 5,000 labels without a turn that ask for no retrain", low=0.95),
                Must("earned", "R from the turn until trading is stopped, median", low=-10.0, fast=(-40.0, None)),
            ),
            turned.measure_flip,
            settings={"horizons": [1], "backtest": _FREE, **_QUICK},
            days=8,
            fast_days=4,
            seeds=tuple(range(20)),
        ),
        Scenario(
            "leak",
            "a feature that is the next bar's return and noise",
            {"LEAKUSDT": replace(_NULL, seed=5)},
            (
                Must("audit", "the build of the features", equals="stopped by no_future"),
                Must("models", "models trained on it", high=0.0),
                Must("leakage_table", "features beyond plausibility, were the audit passed by", equals="canary"),
            ),
            guards.measure_leak,
            settings={"horizons": [1]},
            days=6,
            fast_days=2,
            fast=_QUICK,
        ),
        Scenario(
            "leadlag",
            "a coin that does what another did 20 s before",
            {
                "LEADUSDT": replace(_NULL, interval_us=20_000_000, sigma=15e-4, trades_per_bar=20, seed=2),
                "LATEUSDT": replace(_NULL, interval_us=20_000_000, sigma=15e-4, trades_per_bar=20, seed=3,
                                    lead_seed=2, lead_share=0.30),
            },
            (
                Must("edge_with", "share of the edge with features of other coins", low=0.80, fast=(0.50, None)),
                Must("edge_without", "standard errors from chance without them", -2.58, 2.58),
            ),
            skill.measure_followers,
            settings={"horizons": [1]},
            days=12,
            fast_days=2,
            fast={"features": {"families": ["volatility", "cross"]}, "training": _QUICK["training"]},
        ),
        Scenario(
            "cost",
            "an edge smaller than its costs",
            {"COSTUSDT": replace(_A, sigma=4e-4, rho=0.20, start_price=2500.0)},
            (
                Must("accuracy_p", "p of balanced accuracy", high=0.01, fast=(None, 0.05)),
                _REJECTED,
                Must("reason", "because", equals="expectancy_not_significant"),
            ),
            guards.measure_cost,
            settings={"horizons": [3]},
            days=30,
            fast_days=8,
            fast=_QUICK,
        ),
        Scenario(
            "thin",
            "a strong edge and fewer than 100 trades",
            {"THINUSDT": replace(_A, rho=0.30)},
            (
                Must("trades", "trades on score", high=99.0),
                _REJECTED,
                Must("reason", "because", equals="too_few_trades"),
            ),
            guards.measure_thin,
            settings={"horizons": [15], "splits": {"test_size": 0.30}},
            days=3,
            fast_days=3,
            fast=_QUICK,
        ),
        Scenario(
            "faults",
            "duplicates, disorder, a restart inside a bar, five hours missing",
            {"TORNUSDT": replace(_A, rho=0.20, seed=4)},
            (
                Must("bars", "bars of the damaged files", equals="identical"),
                Must("features", "features of the damaged files", equals="identical"),
                Must("model", "the model's predictions", equals="identical"),
                Must("hole", "intervals flagged as missing", 300.0, 300.0),
                Must("beside_hole", "what does not touch the hole", equals="identical"),
                Must("cold", "bars after the hole without features", low=1.0),
                Must("labels_across", "labels across the hole", high=0.0),
            ),
            guards.measure_faults,
            settings={"horizons": [3]},
            days=6,
            fast_days=4,
            fast=_QUICK,
        ),
        Scenario(
            "texture",
            "fat tails, volatility and trades in clusters, a busy hour: the stylised facts",
            {"REALUSDT": replace(_A, sigma=6e-4, spread_bps=2.0, trades_per_bar=30, texture=Texture(
                vol_sd=0.35, slow_half_life=4320.0, shock_df=8.0, jumps_per_day=4.0, jump_sigmas=2.0, season=0.4,
                burst=0.5, branching=0.7))},
            (Must("facts", "stylised facts in range, of 11 (flow moves no price of its bar)", 10.0, fast=(9.0, None)),),
            measure_facts,
            days=30,
            fast_days=5,
        ),
    )
}  # fmt: skip
"""Every scenario by name, in the order in which they are played."""


def scenario(name: str) -> Scenario:
    """The scenario called `name`.

    Raises
    ------
    SettingsError
        There is none; the message lists those that exist.

    Examples
    --------
    >>> scenario("null").markets["NULLUSDT"].edge
    0.0
    """
    if name not in SCENARIOS:
        near = difflib.get_close_matches(name, SCENARIOS) or list(SCENARIOS)
        raise SettingsError(f"scenario {name!r} is unknown; expected one of {near}")
    return SCENARIOS[name]
