"""Studies: what they find, what they look at, that workers and kills change nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from planted import planted

from scalper_ml.datasets.scaling import Scaler
from scalper_ml.errors import SettingsError, StoreError
from scalper_ml.models.fitting import training_data
from scalper_ml.models.registry import model_kinds
from scalper_ml.tuning.objective import Task, build_task, run_trial, score_of
from scalper_ml.tuning.study import Study, tune

ROOT = Path(__file__).resolve().parents[2]


def task(kind: str = "lgb_classifier", *, n: int = 1_500, rho: float = 0.4, **changes) -> Task:
    data = planted(n, rho=rho)
    scaler = Scaler("zscore").fit(data.X, data.names, rows=data.rows("train"))
    base = {"early_stopping_rounds": 50, "max_bin": 31} if kind != "logistic_classifier" else {}
    arrays = training_data(data.X, data.table, data.names)
    return build_task(kind, base, arrays, scaler, horizon=3, seed=5, **changes)


def said(study: Study) -> list[tuple[object, ...]]:
    return [(one.number, tuple(sorted(one.params.items())), one.score, one.steps) for one in study.trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of sixteen trials by one worker, undisturbed."""
    return tune(task(), tmp_path_factory.mktemp("study") / "a.journal", trials=16)


def test_every_trial_is_inside_its_space_and_the_best_is_the_best(whole: Study) -> None:
    """Sixteen trials, all parameters within the documented ranges, and the best is the highest score."""
    assert any(trial.steps for trial in whole.trials)  # there were curves to compare
    space = {one.name: one for one in model_kinds()["lgb_classifier"].space}
    assert [trial.number for trial in whole.trials] == list(range(16))
    for trial in whole.trials:
        assert set(trial.params) == set(space)
        assert all(space[name].low <= value <= space[name].high for name, value in trial.params.items())
    assert whole.best.score == max(one.score for one in whole.trials if one.score is not None)
    best = whole.best
    assert best.score == pytest.approx(0.7 * best.accuracy + 0.3 * best.directional_accuracy)


def test_two_workers_find_what_one_finds(whole: Study, tmp_path: Path) -> None:
    """The same seed proposes and scores the same trials, bit for bit, with two processes as with one."""
    assert said(tune(task(), tmp_path / "b.journal", trials=16, workers=2)) == said(whole)


def test_a_study_goes_on_where_it_was(whole: Study, tmp_path: Path) -> None:
    """Nothing that was told is run again, and a finished study runs nothing."""
    count: list[int] = []
    journal = tmp_path / "c.journal"
    tune(task(), journal, trials=16, told=lambda trial, best: count.append(trial.number))
    assert count == list(range(16))
    again = tune(task(), journal, trials=16, told=lambda trial, best: count.append(trial.number))
    assert len(count) == 16
    assert said(again) == said(whole)
    assert len(tune(task(), journal, trials=18).trials) == 18


def test_a_killed_study_ends_where_an_undisturbed_one_ends(whole: Study, tmp_path: Path) -> None:
    """Killed without warning after its seventh trial and started again, a study tells the very same trials."""
    journal = tmp_path / "d.journal"
    script = (
        "import sys, time; sys.path[:0] = ['tests']\n"
        "from pathlib import Path\n"
        "from test_study import task; from scalper_ml.tuning.study import tune\n"
        f"tune(task(), Path({str(journal)!r}), trials=16,\n"
        "     told=lambda trial, best: (print(trial.number, flush=True), trial.number == 6 and time.sleep(60)))\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests' / 'tuning'}"}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    for line in process.stdout:
        if line.strip() == "6":
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    seen: list[int] = []
    found = tune(task(), journal, trials=16, told=lambda trial, best: seen.append(trial.number))
    assert seen == list(range(7, 16))
    assert said(found) == said(whole)


def test_a_journal_torn_or_altered(whole: Study, tmp_path: Path) -> None:
    """A last line that was not written whole is dropped, and the study ends the same; what is no journal is named."""
    journal = tmp_path / "study.journal"
    tune(task(), journal, trials=3)
    journal.write_bytes(journal.read_bytes()[:-7])
    assert tune(task(), journal, trials=len(whole.trials)) == whole
    for damaged in (b"garbage", b"garbage\n", b"{}\n", journal.read_bytes().replace(b":", b"::", 1)):
        journal.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"study.journal: not the journal of a study"):
            tune(task(), journal, trials=4)


def test_hopeless_trials_are_given_up(tmp_path: Path) -> None:
    """A fit whose loss lies above that of earlier trials is ended at the first step it does; others run on."""
    one = task()
    free = run_trial(one, {"learning_rate": 0.01, "max_rounds": 200}, {})
    first = min(free.curve)
    stopped = run_trial(one, {"learning_rate": 0.01, "max_rounds": 200}, {first: free.curve[first] - 1e-9})
    assert stopped.score is None
    assert set(stopped.curve) == {first}
    assert run_trial(one, {"learning_rate": 0.01, "max_rounds": 200}, {first: free.curve[first]}) == free


def test_scores_come_from_rows_nobody_fitted() -> None:
    """Held-out rows begin after the last outcome of those fitted and stopped on; nothing after train is looked at."""
    data = planted(1_500, rho=0.4)
    one = task(n=1_500, folds=3)
    train = data.rows("train")
    sizes = [(part.rows.y.size, part.stop.y.size, part.y.size) for part in one.parts]
    assert len(sizes) == 3
    assert sizes == sorted(sizes, key=lambda size: size[0])
    y = data.table["y"].to_numpy()
    held = task(n=1_500).parts[0]
    n = held.y.size
    assert np.array_equal(held.y, y[train[-n:]])
    assert held.rows.y.size + held.stop.y.size <= train.size - n - 2 * 3  # purged twice by a horizon of three
    outcome = run_trial(one, {"max_rounds": 100}, {})
    assert set(outcome.curve) == {1, 2, 3}


def test_scores_by_hand() -> None:
    """Seven tenths accuracy and three tenths of the sides' directional accuracy; one half where no side is taken."""
    P = np.array([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1]])
    score, accuracy, directional, loss = score_of("accuracy", np.array([1, 0]), P, np.array([0.1, -0.1]))
    assert (accuracy, directional, score) == (0.5, 0.5, 0.5)
    assert score_of("log_loss", np.array([1, 0]), P, np.array([0.1, -0.1]))[0] == -loss


@pytest.mark.parametrize("kind", list(model_kinds()))
def test_every_kind_can_be_tuned(kind: str, tmp_path: Path) -> None:
    """A study of any kind finds parameters that predict better than chance."""
    study = tune(task(kind), tmp_path / "e.journal", trials=3)
    assert len(study.trials) == 3
    assert study.best.accuracy > 0.4


def test_impossible_studies_are_refused(tmp_path: Path) -> None:
    """No trials or no workers are refused."""
    with pytest.raises(SettingsError, match="found 0 trials"):
        tune(task(), tmp_path / "f.journal", trials=0)
