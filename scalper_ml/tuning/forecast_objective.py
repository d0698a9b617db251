"""What one trial of a forecaster is: fit with some parameters, and score later rows against the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.splits import inner_tail, walk_forward
from scalper_ml.forecasters.base import Rows
from scalper_ml.forecasters.data import ForecastData
from scalper_ml.forecasters.registry import forecaster_kind
from scalper_ml.forecasters.sealing import ends_of
from scalper_ml.forecasters.targets import target_named
from scalper_ml.forecasters.training import Fitted, fit_on
from scalper_ml.models.base import FitContext, Floats, Range
from scalper_ml.tuning.objective import Outcome

__all__ = ["ForecastTask", "forecast_task"]

_STOP_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class ForecastTask:
    """Everything a trial needs beside its parameters; rows outside the train role are not in it."""

    kind: str
    target: str
    base: Mapping[str, Any]
    data: ForecastData
    scaler: Scaler
    splits: tuple[tuple[Rows, Rows], ...]
    horizon: int
    seed: int

    @property
    def space(self) -> tuple[Range, ...]:
        """What is searched."""
        return forecaster_kind(self.kind).space

    def run(self, params: Mapping[str, Any], limits: Mapping[int, float]) -> Outcome:
        """Fit and score one set of parameters; after each of several splits it may be given up.

        The score of a number is its R2 against the baseline, mean over the splits; of states the share of the
        baseline's log loss that is gone.
        """
        spec, aim = forecaster_kind(self.kind), target_named(self.target)
        own: Any = spec.params.parse(dict(self.base) | dict(params))
        context = FitContext(horizon=self.horizon, seed=self.seed)
        scores: list[float] = []
        sides: list[float] = []
        rounds: list[int] = []
        curve: dict[int, float] = {}
        for number, (seen, held) in enumerate(self.splits):
            scaling = self.scaler.unfitted().fit(self.data.X, self.scaler.names, rows=seen)
            fitted = fit_on(spec, aim, self.data, seen, scaling, own, context, _STOP_SHARE)
            at = ends_of(self.data, held, own.lookback, "the rows held out")
            scores.append(self._score(fitted, scaling.transform(self.data.X), at, seen))
            if aim.column == "ret" and aim.number:
                said = fitted.raw(scaling.transform(self.data.X), at)
                sides.append(float(np.mean((said > 0) == (self.data.y[at] > 0))))
            if fitted.forecaster.best_iteration is not None:
                rounds.append(fitted.forecaster.best_iteration + 1)
            if len(self.splits) > 1:
                curve[number + 1] = -float(np.mean(scores))
                if curve[number + 1] > limits.get(number + 1, float("inf")):
                    return Outcome(None, curve)
        return Outcome(
            float(np.mean(scores)),
            curve,
            directional_accuracy=float(np.mean(sides)) if sides else None,
            rounds=float(np.mean(rounds)) if rounds else None,
        )

    def _score(self, fitted: Fitted, scaled: Floats, at: Rows, seen: Rows) -> float:
        said, y = fitted.raw(scaled, at), self.data.y[at]
        base = self.data.baseline(target_named(self.target), seen)[at]
        if said.ndim == 1:
            return 1.0 - float(((y - said) ** 2).sum() / ((y - base) ** 2).sum())
        codes = (np.arange(at.size), y.astype(np.int64))
        loss, loss_base = (-float(np.log(np.maximum(P[codes], 1e-15)).mean()) for P in (said, base))
        return 1.0 - loss / loss_base


def forecast_task(
    kind: str,
    target: str,
    base: Mapping[str, Any],
    data: ForecastData,
    scaler: Scaler,
    *,
    horizon: int,
    seed: int,
    folds: int = 0,
    share: float = 0.2,
) -> ForecastTask:
    """A task on the train role: one hold-out, the last `share` of it, or so many purged walk-forward folds."""
    train = data.rows("train")
    t0, t1 = data.t0[train], data.t1[train]
    splits = [inner_tail(t0, t1, share)] if folds == 0 else list(walk_forward(t0, t1, n_folds=folds))
    last = int(train[-1]) + 1
    part = replace(
        data,
        **{name: getattr(data, name)[:last] for name in ("X", "y", "known", "weight", "ts", "t0", "t1", "role")},
        past=None if data.past is None else data.past[:last],
    )
    rows = tuple((train[seen], train[held]) for seen, held in splits)
    return ForecastTask(kind, target, dict(base), part, scaler, rows, horizon, seed)
