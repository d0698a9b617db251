"""Backtest reports as far as the gate reads them, and a stand-in for the bundles of a warehouse."""

from collections.abc import Mapping
from typing import Any

from scalper_ml.gate.tiers import TIERS

NOW_US = 1_769_385_600_000_000  # 2026-01-26T00:00:00Z, six days after the scored data


class Bundles:
    """Says of every bundle what it was told to say, and remembers what it was asked."""

    def __init__(self, refused: Exception | None = None) -> None:
        self.refused = refused
        self.asked: list[tuple[str, int, str, str]] = []

    def __call__(self, symbol: str, horizon: int, published: Mapping[str, Any]) -> Mapping[str, Any]:
        if published["action"] != "NO_TRADE":
            self.asked.append((symbol, horizon, published["layer"], published["bundle_id"]))
            if self.refused:
                raise self.refused
        return published


def report(symbol, horizon, score, *, reason=None, timeframe="15m", p=1e-6, floors=None, dsr=0.99, guard=False) -> dict:
    """A report as far as the document reads it; a score below 50 failed a gate."""
    reasons = [reason or ("accepted" if score >= 50 else "expectancy_not_significant")]
    plain = {"trades_taken": 150, "expectancy_r": 0.2}
    at = {tier.name: {"min_confidence": max(0.6, tier.min_confidence), **plain} for tier in TIERS}
    return {
        "symbol": symbol,
        "horizon": horizon,
        "timeframe": timeframe,
        "report_id": f"{symbol}{horizon}",
        "lineage": {"bundle_id": "b" * 64, "layer": "models/xgb_classifier", "calendar": True},
        "period": {"end": "2026-01-20T00:00:00+00:00"},
        "threshold": {"threshold": 0.6},
        "score": {
            "score_0_100": score,
            "raw_score": score - 5,
            "reasons": reasons,
            "p_value": p if score >= 50 else 0.5,
            "version": "3",
            "seed": 7,
            "inputs_hash": "feed",
        },
        "metrics": {
            "trades_taken": 200,
            "expectancy_r": 0.1,
            "balanced_accuracy": 0.4,
            "expectancy_r_latency_1": 0.05,
        },
        "suspicious": [],
        "robustness": {"deflated": {"dsr": dsr}, "volatility_guard": {"triggered": guard}},
        "at_tier_floors": at | (floors or {}),
    }


FAMILY = {
    "symbols": ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"],
    "horizons": [1, 3],
    "version": "v1",
    "timeframe": "15m",
}
