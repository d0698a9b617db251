"""The candidate is chosen on select, by log loss, and on nothing else."""

import numpy as np
import pyarrow as pa
import pytest
from planted import planted

from scalper_ml.errors import ContractError, InsufficientDataError
from scalper_ml.models.candidate import choose_candidate
from scalper_ml.schema import PREDICTIONS

DATA = planted(400)


def predictions(sharpness: float, *, role: str = "select", score: float = 0.0) -> pa.Table:
    """Select rows leaning to the truth by `sharpness`, score rows by `score`."""
    parts = []
    for name, lean in ((role, sharpness), ("score", score)):
        rows = DATA.rows(name)
        P = (1 - lean) / 3 + lean * np.eye(3)[DATA.table["y"].to_numpy()[rows]]
        columns = [DATA.table["ts_us"].take(rows), [name] * rows.size, np.full(rows.size, -1, dtype=np.int32), *P.T]
        parts.append(pa.table(columns, schema=PREDICTIONS))
    return pa.concat_tables(parts)


def wavering(low: float, high: float) -> pa.Table:
    """Select rows leaning to the truth by either share, at random."""
    rows = DATA.rows("select")
    lean = np.where(np.random.default_rng(1).random(rows.size) < 0.5, low, high)[:, None]
    P = (1 - lean) / 3 + lean * np.eye(3)[DATA.table["y"].to_numpy()[rows]]
    columns = [DATA.table["ts_us"].take(rows), ["select"] * rows.size, np.full(rows.size, -1, dtype=np.int32), *P.T]
    return pa.table(columns, schema=PREDICTIONS)


def test_least_loss_on_select_wins_whatever_score_says() -> None:
    """The kind that is better on select is chosen although the other is better on score; rows come best first."""
    models = {"a": predictions(0.1, score=0.9), "b": predictions(0.3), "c": predictions(-0.2)}
    kind, rows = choose_candidate(models, DATA.table)
    assert kind == "b"
    assert [row["kind"] for row in rows] == ["b", "a", "c"]
    assert [row["chosen"] for row in rows] == [True, False, False]
    assert rows[0]["log_loss_skill"] > rows[1]["log_loss_skill"] > 0 > rows[2]["log_loss_skill"]
    assert [row["beats_base"] for row in rows] == [True, True, False]
    assert rows[0]["rows"] == DATA.rows("select").size


def test_loss_by_hand() -> None:
    """The log loss of a model that gives 1/3 to everything is ln 3, and base rates come from train."""
    _, (row,) = choose_candidate({"flat": predictions(0.0)}, DATA.table)
    assert row["log_loss"] == pytest.approx(np.log(3))
    y = DATA.table["y"].to_numpy()
    rates = np.bincount(y[DATA.rows("train")], minlength=3) / DATA.rows("train").size
    assert row["log_loss_base"] == pytest.approx(-np.log(rates[y[DATA.rows("select")]]).mean())
    assert not row["beats_base"]


def test_ties_go_to_the_first_name() -> None:
    """Equal losses are ordered by name, so the choice does not depend on the order of the mapping."""
    same = predictions(0.2)
    assert choose_candidate({"z": same, "k": same}, DATA.table)[0] == "k"


def test_of_kinds_that_cannot_be_told_apart_the_simplest_is_chosen() -> None:
    """A simpler kind is chosen while it lies behind by no more than the standard error of the difference."""
    models = {"plain": wavering(0.17, 0.4), "rich": predictions(0.3)}
    kind, rows = choose_candidate(models, DATA.table)
    plain = rows[1]
    assert plain["kind"] == "plain"
    assert 0 < plain["behind"] < plain["behind_se"]
    assert (kind, plain["as_good"], plain["chosen"]) == ("rich", True, False)  # equally simple: the least loss decides
    kind, rows = choose_candidate(models, DATA.table, complexity={"rich": 1})
    assert (kind, rows[0]["kind"], rows[1]["chosen"]) == ("plain", "rich", True)


def test_a_simpler_kind_that_is_surely_worse_is_not_chosen() -> None:
    """Errors are of the difference row by row: who is behind by little on every row is told apart."""
    models = {"plain": predictions(0.299), "rich": predictions(0.3)}
    kind, rows = choose_candidate(models, DATA.table, complexity={"rich": 1})
    assert kind == "rich"
    assert [row["as_good"] for row in rows] == [True, False]


def test_a_trained_model_is_taken_as_it_is() -> None:
    """A TrainedModel is judged by the predictions in its bundle."""
    model = DATA.train()
    kind, rows = choose_candidate({"xgb_classifier": model}, DATA.table)
    assert kind == "xgb_classifier"
    assert rows[0]["log_loss"] == pytest.approx(model.metrics["select"]["log_loss"], abs=1e-12)


def test_predictions_of_another_dataset_are_refused() -> None:
    """Select predictions that are not the dataset's select rows are refused, as is an empty choice."""
    with pytest.raises(ContractError, match="candidate 'a': found 0 select predictions"):
        choose_candidate({"a": predictions(0.1, role="calibrate")}, DATA.table)
    with pytest.raises(ContractError, match="train the model on this dataset again"):
        choose_candidate({"a": predictions(0.1).slice(1)}, DATA.table)
    with pytest.raises(InsufficientDataError, match="no model"):
        choose_candidate({}, DATA.table)
