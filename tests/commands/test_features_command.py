"""``scalper features``: what is declared, what is in the warehouse, and the audit that must fail on a leak."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from featureproject import KEYS, build_features, make_feature_project
from tickproject import TickProject

from scalper_ml.features import audit as audit_module
from scalper_ml.features import feature_set
from scalper_ml.features.registry import FeatureSet
from scalper_ml.labels.audit import LabelAudit
from scalper_ml.labels.horizon import LabelParams, Labels
from scalper_ml.schema import INPUT_GROUPS

DEFAULT = feature_set(INPUT_GROUPS)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> TickProject:
    """Three thousand bars of one coin with features and a dataset; commands must not change it."""
    with pytest.MonkeyPatch.context() as patch:
        place = make_feature_project(tmp_path_factory.mktemp("features") / "project", patch)
        build_features(place, datasets=True)
    return place


@pytest.fixture
def place(built: TickProject, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    """The same, with the patches of one test."""
    return dataclasses.replace(built, patch=monkeypatch)


def test_list_has_every_column(place: TickProject) -> None:
    """List names every column with family, unit, warm-up and inputs; a family, a group or a symbol narrow it."""
    rows = json.loads(place.scalper("features", "list", "--json").out)
    assert [row["name"] for row in rows] == list(DEFAULT.names)
    assert rows[0]["inputs"] == ["close"]
    text = place.scalper("features", "list", "--family", "trend").out
    assert "cci_20" in text
    assert "rsi_14" not in text
    mine = json.loads(place.scalper("features", "list", "--symbol", "BTCUSDT", "--json").out)
    assert 0 < len(mine) < len(rows)  # one coin has no market
    assert {row["group"] for row in mine} == {"klines", "trades", "calendar"}
    done = place.scalper("features", "list", "--family", "trent")
    assert (done.code, "family 'trent' is unknown; expected one of" in done.err) == (2, True)


def test_show_says_all_that_is_declared(place: TickProject) -> None:
    """Show gives the whole declaration of a column, of every column of a kind, and near names for a wrong one."""
    (row,) = json.loads(place.scalper("features", "show", "rsi_14", "--json").out)
    spec = DEFAULT.specs[DEFAULT.index("rsi_14")]
    assert row == json.loads(json.dumps(dataclasses.asdict(spec)))
    text = place.scalper("features", "show", "rsi").out
    assert {"rsi_6", "rsi_14", "rsi_21"} <= set(text.split())
    assert spec.definition in text
    done = place.scalper("features", "show", "rsi_15")
    assert done.code == 2
    assert "rsi_14" in done.err


def test_audit_of_a_partition_passes(place: TickProject) -> None:
    """The audit compares every feature, the labels of each horizon and the stored values, and finds nothing."""
    done = place.scalper("features", "audit", "--symbol", "BTCUSDT", "--cuts", "2", "--json")
    assert done.code == 0, done.err + done.out
    said = json.loads(done.out)
    assert said["ok"]
    assert said["values_compared"] > 100_000
    assert said["warmup_values_compared"] > 100_000
    assert set(said["labels_compared"]) == {"1"}
    assert said["labels_compared"]["1"] > 1000
    text = place.scalper("features", "audit", "--symbol", "BTCUSDT", "--cuts", "1", "--rows", "1200").out
    assert "No feature and no label sees the future" in text


def test_audit_ends_with_one_on_a_leaking_feature(place: TickProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that reads one bar ahead is named with the way it was caught, and the command ends with code 1."""
    honest = audit_module.compute

    def leaking(fs: FeatureSet, inputs: np.ndarray, ts_us: np.ndarray, state: bytes | None = None) -> object:
        block = honest(fs, inputs, ts_us, state)
        j = fs.index("ret_raw_1")
        block.values[:-1, j] = block.values[1:, j]
        return block

    monkeypatch.setattr(audit_module, "compute", leaking)
    done = place.scalper("features", "audit", "--symbol", "BTCUSDT", "--cuts", "2", "--json")
    assert done.code == 1
    said = json.loads(done.out)
    assert {one["what"] for one in said["findings"]} == {"ret_raw_1"}
    assert "future scaled x1000" in {one["kind"] for one in said["findings"]}


def test_audit_ends_with_one_on_a_leaking_label(place: TickProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadband that is measured over the whole series is found in the labels."""
    from scalper_ml.datasets import label_audit

    honest = label_audit.label_bars

    def leaking(bars: object, sigma: np.ndarray, *rest: object) -> Labels:
        level = np.where(np.isnan(sigma), np.nan, np.nanmean(sigma))
        return honest(bars, level, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(label_audit, "label_bars", leaking)
    done = place.scalper("features", "audit", "--symbol", "BTCUSDT", "--cuts", "2")
    assert done.code == 1
    assert "label sigma (horizon 1)" in done.out


@pytest.mark.parametrize(
    "options",
    [
        ("labels.kind=triple_barrier",),
        ("labels.kind=triple_barrier", "labels.price=trade"),
        ("labels.kind=binary", "labels.price=side_mid"),
    ],
)
def test_the_labels_that_the_settings_name_are_audited(
    place: TickProject, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """Of every kind and price: honest labels pass, and labels that say they are known a bar too early do not."""
    from scalper_ml.datasets import label_audit
    from scalper_ml.layers import feature_audit

    project, honest = place.open(*options), label_audit.label_bars
    made: set[str] = set()

    def seen(bars: object, sigma: object, cost: object, params: LabelParams, tape: object) -> Labels:
        made.add(f"{params.kind} on {params.price}")
        return honest(bars, sigma, cost, params, tape)  # type: ignore[arg-type]

    def early(*arguments: object) -> Labels:
        labels = seen(*arguments)  # type: ignore[arg-type]
        return dataclasses.replace(labels, t1=labels.t1 - 60_000_000)

    bars = project.warehouse.read_table(project.warehouse.require("bars", KEYS)).slice(0, 1200)
    sigma = np.where(np.arange(1200) < 100, np.nan, 1e-3)

    def audited(label: object) -> LabelAudit:
        monkeypatch.setattr(label_audit, "label_bars", label)
        return feature_audit._labels(project, "BTCUSDT", bars, sigma, 4, 0)[1]

    found = audited(seen)
    assert (found.ok, found.compared > 500) == (True, True)
    assert made == {f"{project.settings.labels.kind} on {project.settings.labels.price}"}
    assert not audited(early).ok


def test_audit_ends_with_one_on_altered_values(place: TickProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values in the warehouse that today's code does not compute are found."""
    from scalper_ml.layers import feature_audit

    honest = feature_audit.read_features

    def altered(*arguments: object) -> tuple[object, ...]:
        ts, warm, values, names = honest(*arguments)  # type: ignore[arg-type]
        values[-1, names.index("rsi_14")] += 1e-12
        return ts, warm, values, names

    monkeypatch.setattr(feature_audit, "read_features", altered)
    done = place.scalper("features", "audit", "--symbol", "BTCUSDT", "--cuts", "1", "--rows", "1200", "--json")
    assert done.code == 1
    assert json.loads(done.out)["findings"][0]["what"] == "rsi_14"


def test_diff_names_what_changed(place: TickProject) -> None:
    """Between two sets columns are added, removed or changed field by field; equal sets end with code 0."""
    narrow = feature_set(["klines"], windows={"rsi": [14]})
    kind, params = next((k, p) for k, p in narrow.entries if k.name == "rsi")
    others = tuple(one for one in narrow.entries if one[0].name not in ("rsi", "cmo"))
    changed = FeatureSet(((dataclasses.replace(kind, span=(-0.4, 0.4)), params), *others), ("klines",))
    first, second = (place.put(f"{name}.json", fs.to_json()) for name, fs in (("a", narrow), ("b", changed)))
    done = place.scalper("features", "diff", str(first), str(second), "--json")
    said = json.loads(done.out)
    assert done.code == 1
    assert (said["added"], said["removed"]) == ([], ["cmo_14"])
    assert said["changed"] == {"rsi_14": {"low": [-0.5, -0.4], "high": [0.5, 0.4]}}
    assert said["reordered"]
    text = place.scalper("features", "diff", str(second), str(first)).out
    assert "added" in text
    assert "high: 0.4 -> 0.5" in text
    same = place.scalper("features", "diff", str(first), str(first))
    assert (same.code, "the same columns" in same.out) == (0, True)


@pytest.mark.parametrize("data", [b'{"names": 5, "id": 3}', b'{"names": [1], "id": 3}', b"\xff\xfe\x00"])
def test_diff_refuses_what_is_no_feature_set(place: TickProject, data: bytes) -> None:
    """A file without a list of names, or that is no text, is named."""
    path = place.folder / "odd.json"
    path.write_bytes(data)
    done = place.scalper("features", "diff", "BTCUSDT", str(path))
    assert done.code == 2
    assert "odd.json" in done.err


def test_diff_knows_partitions_datasets_and_ids(place: TickProject) -> None:
    """A symbol, its dataset and the id of its set are the same set; the default has more columns."""
    fs_id = place.open().warehouse.require("features", KEYS).summary["feature_set_id"]
    for name in ("BTCUSDT/1", fs_id, fs_id[:6]):
        assert place.scalper("features", "diff", "BTCUSDT", name).code == 0
    said = json.loads(place.scalper("features", "diff", "BTCUSDT", "default", "--json").out)
    assert said["removed"] == []
    assert "beta_mkt_60" in said["added"] or len(said["added"]) > 5
    done = place.scalper("features", "diff", "BTCUSDT", "zzzz")
    assert done.code == 2
    assert "is no file, no configured symbol and no known id" in done.err


def test_diff_of_sets_recorded_by_name_says_so(place: TickProject) -> None:
    """A record of names alone is compared by names, and the output says that definitions were not compared."""
    bare = place.put("bare.json", json.dumps({"feature_set": {"id": "old", "names": list(DEFAULT.names)}}))
    done = place.scalper("features", "diff", str(bare), "default")
    assert done.code == 0
    assert "recorded by name only" in done.out
    broken = place.put("broken.json", "{}")
    assert "no feature set in it" in place.scalper("features", "diff", str(broken), "default").err


def test_reference_is_the_page(place: TickProject) -> None:
    """The reference command prints what is committed as docs/features.md."""
    page = Path(__file__).resolve().parents[2] / "docs" / "features.md"
    assert place.scalper("features", "reference").out == page.read_text()
