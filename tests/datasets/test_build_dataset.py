"""Datasets: what is labelled, kept apart, weighted, fitted and reported."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from scalper_ml.datasets.build import DatasetParams, build_dataset
from scalper_ml.datasets.scaling import Scaler
from scalper_ml.errors import ContractError, FeatureSetError, InsufficientDataError, SettingsError
from scalper_ml.labels.horizon import label_version
from scalper_ml.schema import DATASET, ROLES, us

PARAMS = DatasetParams(horizon=3, interval_us=60_000_000, cost=0.0005, min_rows=500, scaler="zscore", seed=7)


def build(market: Any, params: DatasetParams = PARAMS, **changes: Any) -> Any:
    given = {name: getattr(market, name) for name in ("bars", "values", "warm", "names")} | changes
    cost = given.pop("cost", None)
    return build_dataset(given["bars"], given["values"], given["warm"], given["names"], "fs1", params, cost=cost)


def roles_of(dataset: Any) -> np.ndarray:
    return np.asarray(dataset.table.column("role").to_pylist())


def test_only_warm_rows_with_a_complete_outcome_are_labelled(market: Any) -> None:
    """Rows before warm-up and the last h + 1 rows are dropped with their reasons; every other bar is a row."""
    dataset = build(market)
    assert dataset.rows.tolist() == list(range(100, 3000 - 4))
    assert dataset.summary["dropped"] == {"not_warm": 100, "no_entry": 1, "no_exit": 3, "gap": 0}
    assert dataset.table.schema == DATASET
    assert us(dataset.table.column("ts_us")).tolist() == us(market.bars.column("ts_us"))[dataset.rows].tolist()
    assert dataset.table.column("sigma").to_numpy().tolist() == market.values[dataset.rows, 1].tolist()
    opens = market.bars.column("open").to_numpy()
    assert dataset.table.column("entry_price").to_numpy().tolist() == opens[dataset.rows + 1].tolist()
    assert dataset.table.column("exit_price").to_numpy().tolist() == opens[dataset.rows + 4].tolist()


def test_no_outcome_of_a_role_reaches_into_the_next(market: Any) -> None:
    """The last t1 of a role is before the first t0 of the next, and as many rows as needed were purged."""
    dataset = build(market)
    t0, t1, roles = us(dataset.table.column("t0_us")), us(dataset.table.column("t1_us")), roles_of(dataset)
    for role, later in pairwise(ROLES):
        assert t1[roles == role].max() < t0[roles == later].min()
    assert dataset.summary["purged"] == {"train": 4, "calibrate": 4, "select": 4, "score": 0}
    assert (roles == "purged").sum() == 12


def test_the_scaler_knows_train_rows_only(market: Any) -> None:
    """The scaler is that of the train rows; changing every other row of the features does not change it."""
    dataset = build(market)
    train = dataset.rows[roles_of(dataset) == "train"]
    assert dataset.scaler.to_dict() == Scaler("zscore").fit(market.values[train], market.names).to_dict()
    wild = market.values * 1000
    wild[train] = market.values[train]
    wild[:, 1] = market.values[:, 1]  # labels stay
    other = build(market, values=wild)
    assert other.scaler.to_dict() == dataset.scaler.to_dict()
    everything = Scaler("zscore").fit(market.values[dataset.rows], market.names)
    assert everything.to_dict() != dataset.scaler.to_dict()


def test_a_different_future_leaves_train_as_it_was(market: Any) -> None:
    """Prices of the score period changed: rows, labels, weights and roles before it are the same."""
    dataset = build(market)
    first = dataset.rows[roles_of(dataset) == "score"][0]
    opens = market.bars.column("open").to_numpy().copy()
    opens[first + 1 :] *= 1000
    changed = market.bars.set_column(2, market.bars.schema.field(2), pa.array(opens))
    assert changed.column_names[2] == "open"
    other = build(market, bars=changed)
    past = int(np.argmax(roles_of(dataset) == "score"))
    before = int(np.flatnonzero(roles_of(dataset) == "select")[-1]) + 1
    assert other.table.slice(0, before).equals(dataset.table.slice(0, before))
    assert not other.table.slice(past).equals(dataset.table.slice(past))


def test_weights_are_uniqueness_with_mean_one_over_train(market: Any) -> None:
    """Train weights average 1, purged rows weigh nothing, and n_eff is about rows / h in every role."""
    dataset = build(market)
    weight, roles = dataset.table.column("weight").to_numpy(), roles_of(dataset)
    assert weight[roles == "train"].mean() == pytest.approx(1, abs=1e-12)
    assert set(weight[roles == "purged"]) == {0.0}
    for role in ROLES:
        part = dataset.summary["roles"][role]
        assert part["n_eff"] == pytest.approx(part["rows"] / 3, abs=1.5)
    single = build(market, replace(PARAMS, horizon=1))
    assert single.summary["roles"]["train"]["n_eff"] == pytest.approx(single.summary["roles"]["train"]["rows"])


def test_the_summary_says_what_the_checks_need(market: Any) -> None:
    """Rows, classes, drift, intervals and versions are there as plain JSON values that agree with the table."""
    dataset = build(market)
    summary = json.loads(json.dumps(dataset.summary, allow_nan=False))
    assert summary == dataset.summary
    roles, y = roles_of(dataset), dataset.table.column("y").to_numpy()
    train = np.bincount(y[roles == "train"], minlength=3) / (roles == "train").sum()
    for role in ROLES:
        part = summary["roles"][role]
        counts = np.bincount(y[roles == role], minlength=3)
        assert list(part["class_counts"].values()) == counts.tolist()
        assert list(part["class_shares"]) == ["SHORT", "NEUTRAL", "LONG"]
        assert part["rows"] == counts.sum()
        assert part["prior_drift"] == pytest.approx(np.abs(counts / counts.sum() - train).sum() / 2)
        assert part["missing_classes"] == []
        assert part["first_t0"] < part["last_t0"] < part["last_t1"]
    assert summary["roles"]["train"]["first_t0"] == "2024-01-01T01:41:00Z"
    assert summary["largest_class_share"] == pytest.approx(train.max())
    assert summary["label_rows"] == dataset.table.num_rows == 2896
    assert (summary["bars"], summary["warm"], summary["min_rows"], summary["nan_after_warmup"]) == (3000, 2900, 500, 0)
    assert summary["label_version"] == label_version(PARAMS.labels)
    assert summary["params"]["seed"] == 7
    assert summary["feature_set_id"] == "fs1"


def test_the_same_input_gives_the_same_bytes(market: Any) -> None:
    """Two builds agree in every byte of the table and every value of the summary; another label gives another hash."""
    one, two = build(market), build(market)

    def as_bytes(table: pa.Table) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue().to_pybytes()

    assert as_bytes(one.table) == as_bytes(two.table)
    assert one.summary == two.summary
    assert build(market, replace(PARAMS, kappa=2.0)).summary["data_hash"] != one.summary["data_hash"]


def test_unknown_values_after_warmup_are_refused(market: Any) -> None:
    """A NaN on a warm row of any role names the feature and the count; before warm-up it is fine."""
    values = market.values.copy()
    values[[500, 2990, 2999], 2] = [np.nan, np.inf, np.nan]
    with pytest.raises(ContractError, match="'noise_b': 3 of 2,900 rows are NaN or infinite after warm-up"):
        build(market, values=values)


def test_too_few_rows_are_refused(market: Any) -> None:
    """min_rows is compared with the label rows, and the message has both and the reasons for dropping."""
    with pytest.raises(InsufficientDataError, match=r"2,896 label rows from 3,000 bars .*'not_warm': 100.* 2,897"):
        build(market, replace(PARAMS, min_rows=2897))
    assert build(market, replace(PARAMS, min_rows=2896)).table.num_rows == 2896


def test_an_empty_role_is_refused(market: Any) -> None:
    """A share too small for the horizon's purge is named."""
    with pytest.raises(InsufficientDataError, match="role 'calibrate' would be empty"):
        build(market, replace(PARAMS, horizon=15, calibrate_size=0.005))


def test_labels_of_one_class_are_refused(market: Any) -> None:
    """A deadband no move exceeds leaves only NEUTRAL: nothing can be learned, the message says what to change."""
    with pytest.raises(InsufficientDataError, match=r"train labels are of one class.*'LONG': 0.*k_vol"):
        build(market, replace(PARAMS, cost=0.5))


def test_features_that_do_not_belong_are_refused(market: Any) -> None:
    """Missing volatility, label columns among the features, repeats and other shapes each have their message."""
    with pytest.raises(FeatureSetError, match="'ewma_vol_97' is missing"):
        build(market, names=("a", "b", "c"))
    with pytest.raises(FeatureSetError, match=r"label columns \['ret'\] are among the features"):
        build(market, names=("ret", "ewma_vol_97", "c"))
    with pytest.raises(FeatureSetError, match=r"repeat: \['c'\]"):
        build(market, names=("c", "ewma_vol_97", "c"))
    with pytest.raises(ContractError, match="exactly these bars"):
        build(market, bars=market.bars.slice(1))


def test_bars_of_two_symbols_are_refused(market: Any, new_market: Any) -> None:
    """Symbols are never concatenated: the ends of one would be labelled with the other's prices."""
    other = new_market(seed=2)
    both = {
        "bars": pa.concat_tables([market.bars, other.bars]),
        "values": np.concatenate([market.values, other.values]),
        "warm": np.concatenate([market.warm, other.warm]),
    }
    with pytest.raises(ContractError, match="never concatenated"):
        build(market, **both)


def test_a_hole_drops_the_rows_whose_outcome_crosses_it(new_market: Any) -> None:
    """A hole of two hours drops the h + 1 rows before it as gap, and no other."""
    dataset = build(new_market(hole=(1000, 1120)))
    assert dataset.summary["dropped"]["gap"] == 4
    assert sorted(set(range(100, 2996)) - set(dataset.rows.tolist())) == [996, 997, 998, 999]


def test_cost_by_row_needs_a_schedule_for_the_version(market: Any) -> None:
    """A cost array equal to the fraction gives the same labels, and the numbers behind it are in the version."""
    by_row = np.full(3000, 0.0005)
    scheduled = replace(PARAMS, cost_schedule=(("fee_bps", 2.5),))
    assert build(market, scheduled, cost=by_row).table.equals(build(market).table)
    assert label_version(scheduled.labels) != label_version(PARAMS.labels)
    with pytest.raises(SettingsError, match="cost by row without cost_schedule"):
        build(market, cost=by_row)
    with pytest.raises(SettingsError, match="pass both or neither"):
        build(market, scheduled)


def test_only_the_label_rule_is_in_the_label_version() -> None:
    """Splits, scaler and seed do not change the version of a label; the cost does."""
    for change in ({"min_rows": 9}, {"test_size": 0.3}, {"scaler": "none"}, {"seed": 8}, {"max_class_share": 0.5}):
        assert label_version(replace(PARAMS, **change).labels) == label_version(PARAMS.labels)
    assert label_version(replace(PARAMS, cost=0.0006).labels) != label_version(PARAMS.labels)


@pytest.mark.parametrize(
    ("change", "message"), [({"scaler": "log"}, "unknown scaler 'log'"), ({"cost": float("nan")}, "cost is nan")]
)
def test_impossible_dataset_settings_are_refused(change: dict[str, Any], message: str) -> None:
    """A wrong setting names itself."""
    with pytest.raises(SettingsError, match=message):
        replace(PARAMS, **change)


def test_a_class_a_role_lacks_is_reported(new_market: Any) -> None:
    """In a market that only rises train has LONG and NEUTRAL but no SHORT: allowed, and said."""
    dataset = build(new_market(drift=0.01), replace(PARAMS, k_vol=1.72))
    assert "SHORT" in dataset.summary["roles"]["train"]["missing_classes"]
    assert dataset.summary["roles"]["train"]["class_counts"]["SHORT"] == 0
