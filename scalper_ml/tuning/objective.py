"""What one trial is: fit with some parameters, and score rows that neither the fit nor its early stopping saw."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.datasets.splits import inner_tail, walk_forward
from scalper_ml.errors import InsufficientDataError
from scalper_ml.models.base import Batch, Classifier, FitContext, Floats, ModelKind, Range
from scalper_ml.models.fitting import Rows, TrainingData
from scalper_ml.models.registry import model_kind
from scalper_ml.validation.metrics import directional_accuracy, log_loss

__all__ = ["HoldOut", "Objective", "Outcome", "Task", "build_task", "run_trial", "score_of"]

Objective = Literal["accuracy", "log_loss"]

ROUNDS: Final = 20  # a curve has a point every so many rounds
FIRST_ROUND: Final = 60  # no fit is given up before: slow learners begin behind


@dataclass(frozen=True, slots=True)
class HoldOut:
    """Rows to fit on, the purged tail of them to stop on, and the later rows that are scored; all scaled."""

    rows: Batch
    stop: Batch
    X: Floats
    y: Rows
    ret: Floats


@dataclass(frozen=True, slots=True)
class Task:
    """Everything a trial needs beside its parameters."""

    kind: str
    base: Mapping[str, Any]
    parts: tuple[HoldOut, ...]
    horizon: int
    seed: int
    objective: Objective

    @property
    def space(self) -> tuple[Range, ...]:
        """What is searched."""
        return model_kind(self.kind).space

    def run(self, params: Mapping[str, Any], limits: Mapping[int, float]) -> "Outcome":
        """Fit and score one set of parameters; see `run_trial`."""
        return run_trial(self, params, limits)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial went.

    Parameters
    ----------
    score : float or None
        The larger the better; None where it was given up.
    curve : mapping of step to float
        Lowest log loss on the stop rows so far, every 20 rounds; or after each of several hold-outs the mean log loss.
    rounds : int or None
        Rounds kept, mean over the hold-outs; None for kinds without rounds.
    """

    score: float | None
    curve: Mapping[int, float]
    accuracy: float | None = None
    directional_accuracy: float | None = None
    log_loss: float | None = None
    rounds: float | None = None


class _GivenUpError(Exception):
    """A trial falls behind half of the earlier ones."""


def build_task(
    kind: str,
    base: Mapping[str, Any],
    data: TrainingData,
    scaler: Scaler,
    *,
    horizon: int,
    seed: int,
    folds: int = 0,
    share: float = 0.2,
    stop_share: float = 0.1,
    objective: Objective = "accuracy",
) -> Task:
    """A task on the train role of a dataset, and on nothing else.

    Parameters
    ----------
    base : mapping
        Parameters that are not searched.
    folds : int
        0: one hold-out, the last `share` of train; else so many purged walk-forward folds.
    stop_share : float
        Share of the rows to fit on that is kept for early stopping.
    """
    train = data.rows("train")
    t0, t1 = data.t0[train], data.t1[train]
    splits = [inner_tail(t0, t1, share)] if folds == 0 else list(walk_forward(t0, t1, n_folds=folds))
    parts = tuple(_part(data, train[seen], train[held], scaler, stop_share) for seen, held in splits)
    return Task(kind, dict(base), parts, horizon, seed, objective)


def _part(data: TrainingData, seen: Rows, held: Rows, scaler: Scaler, stop_share: float) -> HoldOut:
    learn, stop = inner_tail(data.t0[seen], data.t1[seen], stop_share)
    if missing := sorted(set(data.classes) - set(np.unique(data.y[seen[learn]]).tolist())):
        raise InsufficientDataError(
            f"tuning: classes {missing} do not occur in the {learn.size} rows to fit on; bring more bars or lower folds"
        )
    scaling = scaler.unfitted().fit(data.X, scaler.names, rows=seen)
    rows, stops = (
        Batch(scaling.transform(data.X[part]), data.y[part], data.weight[part]) for part in (seen[learn], seen[stop])
    )
    return HoldOut(rows, stops, scaling.transform(data.X[held]), data.y[held], data.ret[held])


def score_of(objective: Objective, y: Rows, P: Floats, ret: Floats) -> tuple[float, float, float, float]:
    """Score, accuracy, directional accuracy and log loss of predictions.

    The score is ``0.7 accuracy + 0.3 directional accuracy`` (over predicted sides; one half where none is taken), or
    minus the log loss.

    Examples
    --------
    >>> P = np.array([[0.1, 0.2, 0.7], [0.2, 0.6, 0.2], [0.6, 0.2, 0.2]])
    >>> score, accuracy, directional, _ = score_of("accuracy", np.array([2, 0, 0]), P, np.array([0.1, -0.2, 0.1]))
    >>> round(accuracy, 4), directional, round(score, 4)
    (0.6667, 0.5, 0.6167)
    """
    guess = P.argmax(axis=1)
    accuracy, loss = float((guess == y).mean()), log_loss(y, P)
    taken = directional_accuracy(guess, ret)["da_traded"]
    directional = 0.5 if taken is None else float(taken)
    return (0.7 * accuracy + 0.3 * directional if objective == "accuracy" else -loss), accuracy, directional, loss


def run_trial(task: Task, params: Mapping[str, Any], limits: Mapping[int, float]) -> Outcome:
    """Fit and score one set of parameters; given up at the first step at which its curve lies above `limits`."""
    kind = model_kind(task.kind)
    curve: dict[int, float] = {}
    found: list[tuple[float, float, float, float]] = []
    rounds: list[int] = []
    several = len(task.parts) > 1
    try:
        for number, part in enumerate(task.parts):
            model = _fit(kind, task, part, params, curve, {} if several else limits, watched=not several)
            if model.best_iteration is not None:
                rounds.append(model.best_iteration + 1)
            found.append(score_of(task.objective, part.y, model.predict_proba(part.X), part.ret))
            if several:
                _add(curve, limits, number + 1, float(np.mean([loss for *_, loss in found])))
    except _GivenUpError:
        return Outcome(None, curve)
    score, accuracy, directional, loss = (float(np.mean(values)) for values in zip(*found, strict=True))
    return Outcome(score, curve, accuracy, directional, loss, float(np.mean(rounds)) if rounds else None)


def _fit(
    kind: ModelKind,
    task: Task,
    part: HoldOut,
    params: Mapping[str, Any],
    curve: dict[int, float],
    limits: Mapping[int, float],
    *,
    watched: bool,
) -> Classifier:
    best = float("inf")

    def watch(number: int, loss: float) -> None:
        nonlocal best
        best = min(best, loss)
        if (number + 1) % ROUNDS == 0 and number + 1 >= FIRST_ROUND:
            _add(curve, limits, number + 1, best)

    context = FitContext(horizon=task.horizon, seed=task.seed, watch=watch if watched else None)
    return kind.fit(part.rows, part.stop, kind.params.parse(dict(task.base) | dict(params)), context)


def _add(curve: dict[int, float], limits: Mapping[int, float], step: int, value: float) -> None:
    curve[step] = value
    if value > limits.get(step, float("inf")):
        raise _GivenUpError
