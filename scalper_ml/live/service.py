"""What the prediction API answers, without the web: champions, predictions of rows and of ticks, verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalper_ml.errors import InputError, InsufficientDataError, SettingsError, WarehouseError
from scalper_ml.features.registry import FeatureSet
from scalper_ml.ingest.order import Trades
from scalper_ml.layers.base import keys_of
from scalper_ml.live.feed import Message, come_after
from scalper_ml.live.gate import Gate
from scalper_ml.live.lane import Lane, LaneRules, NoChampion
from scalper_ml.live.loop import Loop
from scalper_ml.live.signal_model import SignalModel
from scalper_ml.live.start import Warm, champion_of, lane_rules, project_features, recorded_beside, warm_state
from scalper_ml.models.bundle import check_features
from scalper_ml.models.decision import decision_of
from scalper_ml.project import Project

__all__ = ["PredictionService", "trades_from"]


class PredictionService:
    """Answers for one project; follows the champion pointers and what was built last.

    Parameters
    ----------
    project : Project
    gate : Gate
    """

    def __init__(self, project: Project, gate: Gate) -> None:
        self.project, self.gate = project, gate
        self._rules: LaneRules = lane_rules(project, gate, "api")
        self._features: dict[str, tuple[str, FeatureSet]] = {}
        self._models: dict[tuple[str, int], tuple[str, SignalModel | NoChampion]] = {}
        self._warm: dict[str, tuple[str, Warm]] = {}

    def champions(self) -> list[dict[str, Any]]:
        """What stands behind every configured symbol x horizon, or why nothing does."""
        settings, found = self.project.settings, []
        for symbol in settings.symbols:
            for horizon in settings.horizons:
                try:
                    champion = self._champion(symbol, horizon)
                except WarehouseError as error:
                    champion = NoChampion(str(error))
                standing = self.gate.standing(symbol, horizon)
                ready = isinstance(champion, SignalModel)
                found.append(
                    {
                        "symbol": symbol,
                        "horizon": horizon,
                        "bundle_id": champion.bundle_id if isinstance(champion, SignalModel) else None,
                        "kind": str(champion.metadata["kind"]) if isinstance(champion, SignalModel) else None,
                        "action": standing.action,
                        "min_confidence": standing.min_confidence,
                        "reason": standing.reason if ready else self._why(champion),
                    }
                )
        return found

    def verdict(self, symbol: str, horizon: int, confidence: float) -> dict[str, Any]:
        """What the gate says to a signal of this confidence."""
        keys_of(self.project.settings, symbol=symbol, horizon=horizon)
        standing = self.gate.standing(symbol, horizon)
        enough = confidence >= standing.min_confidence
        return {
            "should_trade": standing.trades and enough,
            "action": standing.action,
            "reason": standing.reason if enough or not standing.trades else "below_min_confidence",
            "min_confidence": standing.min_confidence,
            "size_factor": standing.size_factor,
        }

    def of_features(self, symbol: str, horizon: int, features: Mapping[str, float], price: float) -> dict[str, Any]:
        """The decision on one row of features, by name.

        Raises
        ------
        SettingsError
            The symbol or horizon is not configured.
        InsufficientDataError
            There is no champion.
        FeatureSetError, ContractError
            Features are missing, unknown or not finite.
        """
        champion = self._ready(symbol, horizon)
        if champion.state() is not None:
            raise InsufficientDataError(
                f"{symbol} x {horizon}: the champion scales by the rows before; send ticks, not one row of features"
            )
        own = champion.model.names
        given = [name for name in own if name in features] + sorted(set(features) - set(own))
        check_features(champion.metadata["feature_set"], names=given)
        row = np.array([[features[name] for name in own]], dtype=np.float64)
        P = champion.model.predict_proba(row)[0]
        least = self.gate.standing(symbol, horizon).min_confidence
        decision = decision_of(P, price=price, moves=champion.metadata["moves"], min_confidence=least)
        return {
            "symbol": symbol,
            "horizon": horizon,
            "bundle_id": champion.bundle_id,
            **decision.to_dict(),
            "gate": self.verdict(symbol, horizon, decision.confidence),
        }

    def of_ticks(self, symbol: str, horizon: int, trades: Trades) -> dict[str, Any]:
        """The decision on the last bar that these trades close, going on from the saved bars and features.

        Raises
        ------
        SettingsError, WarehouseError, ContractError
            As for the loop.
        InputError
            A trade is not after the saved ones, or is stamped before the one before it.
        InsufficientDataError
            There is no champion, or no bar was closed.
        """
        champion = self._ready(symbol, horizon)
        at = self._warm_state(symbol)
        _check_order(trades, at)
        fs = self._feature_set(symbol)
        if champion.state() is not None:
            champion = SignalModel(champion.model, fs)
            champion.follow(at.values, at.warm)
        lane = Lane(
            symbol, fs, {horizon: champion}, self._rules, bar_state=at.bar_state, feature_state=at.feature_state,
            recorded=recorded_beside(self.project, symbol, fs),
        )  # fmt: skip
        lane.last_ts_us = at.last_ts_us
        loop = Loop({symbol: lane}, closes={symbol: at.last})
        loop.push(Message(symbol, trades))
        decided = [row for one in loop.take().decided for row in one.table().to_pylist()]
        if not decided:
            raise InsufficientDataError(
                f"{symbol}: these {len(trades)} trades close no bar; send trades up to one past its end"
            )
        last = decided[-1]
        last["ts_us"] = int(last["ts_us"].timestamp() * 1_000_000)
        last["reason"] = "accepted" if last["ordered"] else last["reason"]
        return {name: value for name, value in last.items() if name not in ("ordered", "latency_us", "source")}

    def _ready(self, symbol: str, horizon: int) -> SignalModel:
        keys_of(self.project.settings, symbol=symbol, horizon=horizon)
        champion = self._champion(symbol, horizon)
        if isinstance(champion, NoChampion):
            raise InsufficientDataError(f"{symbol} x {horizon}: no champion ({champion.reason})")
        return champion

    def _champion(self, symbol: str, horizon: int) -> SignalModel | NoChampion:
        fs = self._feature_set(symbol)
        pointer = self.project.warehouse.manifest("champions", {"symbol": symbol, "horizon": horizon})
        content = f"{fs.id} {pointer.content if pointer else ''}"
        if self._models.get((symbol, horizon), ("",))[0] != content:
            self._models[symbol, horizon] = content, champion_of(self.project, symbol, horizon, fs)
        return self._models[symbol, horizon][1]

    def _feature_set(self, symbol: str) -> FeatureSet:
        content = self.project.warehouse.require("features", {"symbol": symbol}).content
        if self._features.get(symbol, ("",))[0] != content:
            self._features[symbol] = content, project_features(self.project, symbol)
        return self._features[symbol][1]

    def _warm_state(self, symbol: str) -> Warm:
        content = self.project.warehouse.require("features", {"symbol": symbol}).content
        if self._warm.get(symbol, ("",))[0] != content:
            self._warm[symbol] = content, warm_state(self.project, symbol)
        return self._warm[symbol][1]

    @staticmethod
    def _why(champion: SignalModel | NoChampion) -> str:
        return champion.reason if isinstance(champion, NoChampion) else ""


def _check_order(trades: Trades, at: Warm) -> None:
    old = np.flatnonzero(~come_after(trades, at.last_ts_us, at.last_id))
    if old.size:
        raise InputError(
            f"ticks: row {old[0]} is stamped {trades.ts_us[old[0]]}; expected trades after the last saved one, "
            f"of {at.last_ts_us} - leave out what is saved"
        )
    back = np.flatnonzero(np.diff(trades.ts_us) < 0)
    if back.size:
        row = int(back[0]) + 1
        raise InputError(
            f"ticks: row {row} is stamped {trades.ts_us[row]}, before row {row - 1}, {trades.ts_us[row - 1]}; expected "
            "trades in order of time"
        )


def trades_from(rows: Sequence[tuple[int, float, float, int, int]]) -> Trades:
    """Trades of rows of stamp, price, quantity, side and id.

    Raises
    ------
    SettingsError
        There is none.
    """
    if not rows:
        raise SettingsError("ticks: found none; expected at least one")
    ts, price, qty, side, number = zip(*rows, strict=True)
    return Trades(
        np.array(ts, dtype=np.int64),
        np.array(price, dtype=np.float64),
        np.array(qty, dtype=np.float64),
        np.array(side, dtype=np.int8),
        np.array(number, dtype=np.int64),
    )
