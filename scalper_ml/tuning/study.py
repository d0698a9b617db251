"""A study: trials proposed by TPE, run by one or several processes, kept in a journal from which it goes on.

Trial n is proposed when trials up to n - LAG have been told, in their order, whatever finished first. So a study with
the same seed proposes the same trials with one worker as with several, and one that was killed and goes on ends where
an undisturbed one ends, bit for bit.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from scalper_ml.errors import ContractError, SettingsError, StoreError
from scalper_ml.models.base import Range
from scalper_ml.tuning.objective import Outcome

__all__ = ["LAG", "Study", "Trial", "tune"]

LAG: Final = 4
"""Trials under way at once, seen as such by those that are proposed: at most so many workers are of use."""

_COMPARED: Final = 5  # earlier trials needed at a step before one is given up there
_NAME: Final = "tuning"


class Task(Protocol):
    """Everything a trial needs beside its parameters; goes to worker processes whole."""

    @property
    def space(self) -> Sequence[Range]:
        """What is searched."""

    @property
    def seed(self) -> int:
        """Of the proposals."""

    def run(self, params: Mapping[str, Any], limits: Mapping[int, float]) -> Outcome:
        """Fit and score one set of parameters; given up at the first step at which its curve lies above `limits`."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of a study; `score` is None where it was given up."""

    number: int
    params: dict[str, Any]
    score: float | None
    accuracy: float | None
    directional_accuracy: float | None
    log_loss: float | None
    rounds: float | None
    steps: int


@dataclass(frozen=True, slots=True)
class Study:
    """What a study found.

    Parameters
    ----------
    trials : tuple of Trial
        In their order; all of them count wherever results are deflated.
    """

    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial of highest score, the first of equals.

        Raises
        ------
        ContractError
            Every trial was given up.
        """
        whole = [trial for trial in self.trials if trial.score is not None]
        if not whole:
            raise ContractError("tuning: no trial was run to its end")
        return max(whole, key=lambda trial: (trial.score, -trial.number))

    @property
    def given_up(self) -> int:
        """Trials that fell behind and were not run to their end."""
        return sum(trial.score is None for trial in self.trials)


def tune(
    task: Task,
    journal: Path,
    *,
    trials: int,
    workers: int = 1,
    told: Callable[[Trial, float], None] = lambda trial, best: None,
) -> Study:
    """Run a study until it has `trials` trials; what the journal holds already is not run again.

    Parameters
    ----------
    journal : Path
        File to keep the study in; one file a task.
    workers : int
        Processes; the result does not depend on it.
    told : callable
        Called after each trial with it and the best score so far.

    Raises
    ------
    SettingsError
        Fewer than one trial or worker.
    StoreError
        The journal is not one of a study.
    """
    if trials < 1 or workers < 1:
        raise SettingsError(f"tuning: found {trials} trials and {workers} workers; expected one or more of each")
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.disable_default_handler()
    journal.parent.mkdir(parents=True, exist_ok=True)
    _cut_torn_line(journal)
    try:
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
        study = optuna.create_study(study_name=_NAME, storage=storage, direction="maximize", load_if_exists=True)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{journal}: not the journal of a study ({type(error).__name__}: {error}); "
            "restore it, or move it away to begin anew"
        ) from error
    pool = None
    if workers > 1:
        pool = ProcessPoolExecutor(min(workers, LAG), get_context("spawn"), _begin, (task,))
    try:
        _run(study, task, trials, pool, told)
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)
    return Study(tuple(map(_trial, study.get_trials(deepcopy=False)[:trials])))


def _cut_torn_line(journal: Path) -> None:
    """Drop a last line that was not written to its end: the next one would be appended to it. Others stay."""
    if journal.is_file() and (whole := journal.read_bytes().rfind(b"\n") + 1):
        os.truncate(journal, whole)


def _run(study: Any, task: Task, trials: int, pool: ProcessPoolExecutor | None, told: Callable[..., None]) -> None:
    from optuna.trial import TrialState

    space = _distributions(task.space)
    known = study.get_trials(deepcopy=False)
    under_way: deque[tuple[Any, Future[Outcome]]] = deque()
    for trial in known:
        if trial.state == TrialState.RUNNING:  # a process was killed while it ran: the same parameters again
            under_way.append((trial, _submit(pool, task, trial.params, _limits(known, trial.number))))
    asked = len(known)
    while under_way or asked < trials:
        if len(under_way) == LAG or asked >= trials:
            trial, future = under_way.popleft()
            _tell(study, trial, future.result())
            done = study.get_trials(deepcopy=False)
            told(_trial(done[trial.number]), _best(done))
            continue
        study.sampler = _sampler(task.seed, asked)
        trial = study.ask(fixed_distributions=space)
        known = study.get_trials(deepcopy=False)
        under_way.append((known[trial.number], _submit(pool, task, trial.params, _limits(known, trial.number))))
        asked += 1


def _sampler(seed: int, number: int) -> Any:
    """A sampler of its own for each trial, so that what it proposes depends on the trials told and on nothing else."""
    import optuna

    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=own, n_startup_trials=10, constant_liar=True)


def _limits(known: Sequence[Any], number: int) -> dict[int, float]:
    """At each step the median of the curves of the trials that were told when `number` was proposed."""
    curves: dict[int, list[float]] = {}
    for trial in known[: max(number - LAG + 1, 0)]:
        for step, value in trial.intermediate_values.items():
            curves.setdefault(step, []).append(-value)
    return {step: float(np.median(values)) for step, values in curves.items() if len(values) >= _COMPARED}


def _submit(
    pool: ProcessPoolExecutor | None, task: Task, params: Mapping[str, Any], limits: Mapping[int, float]
) -> "Future[Outcome]":
    if pool is not None:
        return pool.submit(_run_mine, dict(params), dict(limits))
    future: Future[Outcome] = Future()
    future.set_result(task.run(params, limits))
    return future


def _tell(study: Any, trial: Any, outcome: Outcome) -> None:
    """Record an outcome; a curve is kept as what grows when things get better, like the score."""
    from optuna.trial import TrialState

    for step, value in outcome.curve.items():
        if step not in trial.intermediate_values:
            study._storage.set_trial_intermediate_value(trial._trial_id, step, -value)
    said = {name: value for name, value in asdict(outcome).items() if name not in ("score", "curve")}
    for name, value in said.items():
        study._storage.set_trial_user_attr(trial._trial_id, name, value)
    if outcome.score is None:
        study.tell(trial.number, state=TrialState.PRUNED)
    else:
        study.tell(trial.number, outcome.score)


def _trial(trial: Any) -> Trial:
    whole = trial.state.name == "COMPLETE"
    said = {name: trial.user_attrs.get(name) for name in ("accuracy", "directional_accuracy", "log_loss", "rounds")}
    return Trial(
        trial.number,
        dict(trial.params),
        float(trial.value) if whole else None,
        steps=len(trial.intermediate_values),
        **said,
    )


def _best(trials: Sequence[Any]) -> float:
    return max((float(trial.value) for trial in trials if trial.state.name == "COMPLETE"), default=float("nan"))


def _distributions(space: Sequence[Range]) -> dict[str, Any]:
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        one.name: IntDistribution(int(one.low), int(one.high), log=one.log)
        if one.whole
        else FloatDistribution(one.low, one.high, log=one.log)
        for one in space
    }


_mine: list[Task] = []  # of a worker process, set once when it begins


def _begin(task: Task) -> None:
    """Keep the task in a worker, and end the worker when its parent is gone."""
    import os

    _mine[:] = [task]
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_mine(params: dict[str, Any], limits: dict[int, float]) -> Outcome:
    return _mine[0].run(params, limits)
