"""Datasets travel from one project to another, and only whole."""

import dataclasses
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from featureproject import KEYS, build_features, make_feature_project
from tickproject import TickProject

from scalper_ml.datasets.artifact import pack
from scalper_ml.errors import InputError
from scalper_ml.layers.dataset_artifacts import export_dataset, import_dataset, read_artifact
from scalper_ml.layers.datasets import DATASETS_LAYER
from scalper_ml.layers.models import model_layer

ROW = KEYS | {"horizon": 1}
QUICK = ("training.xgb_classifier.max_rounds=10",)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> TickProject:
    """A dataset of three thousand bars."""
    with pytest.MonkeyPatch.context() as patch:
        place = make_feature_project(tmp_path_factory.mktemp("travel") / "project", patch)
        build_features(place, datasets=True)
    return place


@pytest.fixture
def place(built: TickProject, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    return dataclasses.replace(built, patch=monkeypatch)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TickProject:
    """A project of the same settings without any data."""
    place = make_feature_project(tmp_path / "elsewhere", monkeypatch, minutes=10)
    (place.folder / "ticks" / "BTCUSDT.csv").unlink()
    return place


def test_a_model_trained_elsewhere_is_the_same(place: TickProject, elsewhere: TickProject, tmp_path: Path) -> None:
    """Exported, imported where there are no ticks, and trained: the bundle is that of home, and nothing is stale."""
    home = place.scalper("dataset", "export", "--symbol", "BTCUSDT", "--horizon", "1", "--to", str(tmp_path), "--json")
    assert home.code == 0, home.err
    told = json.loads(home.out)
    assert Path(told["file"]).name == f"BTCUSDT_h1_{told['content'][:12]}.zip"
    shown = elsewhere.scalper("dataset", "show", told["file"])
    assert told["content"] in shown.out.replace("\n", "")
    away = elsewhere.scalper("dataset", "import", told["file"])
    assert away.code == 0, away.err
    layer = model_layer("xgb_classifier")
    bundles = [layer.build(one.open(*QUICK), ROW).summary["bundle_id"] for one in (place, elsewhere)]
    assert bundles[0] == bundles[1]
    assert DATASETS_LAYER.fresh(elsewhere.open(), ROW)
    again = elsewhere.scalper("dataset", "import", told["file"])
    assert again.code == 0, again.err  # the same once more is nothing new


def test_equal_partitions_give_equal_files(place: TickProject, tmp_path: Path) -> None:
    """Two exports have the same bytes, so that files can be compared by hash."""
    project = place.open()
    paths = [export_dataset(project, ROW, tmp_path / name).path for name in ("a.zip", "b.zip")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_tampered_file_is_refused_and_nothing_is_written(
    place: TickProject, elsewhere: TickProject, tmp_path: Path
) -> None:
    """A label changed by hand is refused with the member's name; the warehouse stays empty."""
    path = export_dataset(place.open(), ROW, tmp_path / "d.zip").path
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    data = bytearray(files["datasets/data.parquet"])
    data[len(data) // 2] ^= 1
    files["datasets/data.parquet"] = bytes(data)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    path.write_bytes(sink.getvalue())
    done = elsewhere.scalper("dataset", "import", str(path))
    assert done.code == 2
    assert "'datasets/data.parquet'" in done.err
    assert "was altered" in done.err
    assert not list(elsewhere.open().warehouse.partitions("datasets"))
    assert not (elsewhere.folder / "warehouse" / "bars").exists()


def test_a_forged_file_is_refused_though_its_hashes_agree(
    place: TickProject, elsewhere: TickProject, tmp_path: Path
) -> None:
    """Every hash made anew: a manifest that is none, a dataset of other bars, a name that leaves its folder."""
    whole = read_artifact(export_dataset(place.open(), ROW, tmp_path / "d.zip").path)

    def forged(told: dict[str, Any], members: dict[str, bytes]) -> str:
        path = tmp_path / "forged.zip"
        path.write_bytes(pack(told, members))
        with pytest.raises(InputError) as caught:
            import_dataset(elsewhere.open(), path)
        assert not (elsewhere.folder / "warehouse" / "bars").exists()
        return str(caught.value)

    name = "bars/manifest.json"
    manifest = json.loads(whole.members[name])
    for wrong in (b"{", b"[]", json.dumps(manifest | {"beside": ["none.parquet"]}).encode(),
                  json.dumps(manifest | {"checks": [{"title": "x"}]}).encode()):  # fmt: skip
        assert f"member '{name}' is not what an export writes" in forged(whole.told, whole.members | {name: wrong})
    dataset = json.loads(whole.members["datasets/manifest.json"])
    dataset["inputs"]["bars"] = "0" * 64
    swapped = whole.members | {"datasets/manifest.json": json.dumps(dataset).encode()}
    assert "made of bars 000000000000" in forged(whole.told, swapped)
    assert "leaves its partition" in forged(whole.told, whole.members | {"bars/../evil": b"x"})
    assert "does not tell ['horizon']" in forged({k: v for k, v in whole.told.items() if k != "horizon"}, whole.members)


def test_what_is_there_is_not_replaced_unasked(place: TickProject, tmp_path: Path) -> None:
    """Over another partition only with --replace; an interval or a symbol that is not the project's is refused."""
    path = export_dataset(place.open(), ROW, tmp_path / "d.zip").path
    changed = place.open("labels.kappa=0.2")
    before = DATASETS_LAYER.build(changed, ROW)
    try:
        refused = place.scalper("dataset", "import", str(path))
        assert refused.code == 2
        assert "--replace" in refused.err
        assert place.open().warehouse.require("datasets", ROW).content == before.content
        assert import_dataset(place.open(), path, replace=True).told["horizon"] == 1
        assert place.open().warehouse.require("datasets", ROW).content != before.content
    finally:
        DATASETS_LAYER.build(place.open(), ROW)
    for option, said in (("bars.interval=5m", "bars of 1m"), ("symbols=[ETHUSDT]", "'BTCUSDT' is not configured")):
        done = place.scalper("dataset", "import", str(path), "--set", option)
        assert done.code == 2
        assert said in done.err
    assert "no such file" in place.scalper("dataset", "import", str(tmp_path / "none.zip")).err


def test_a_dataset_of_other_features_is_not_exported(place: TickProject, tmp_path: Path) -> None:
    """Where features were built anew since, the dataset does not belong to them, and nothing is written."""
    project = place.open()
    manifest = project.warehouse.require("datasets", ROW)
    path = project.warehouse.folder("datasets", ROW) / "manifest.json"
    text = path.read_text()
    path.write_text(text.replace(manifest.inputs["features"], "0" * 64))
    try:
        done = place.scalper("dataset", "export", "--symbol", "BTCUSDT", "--horizon", "1", "--to", str(tmp_path))
    finally:
        path.write_text(text)
    assert done.code == 2
    assert "its features have changed since" in done.err
    assert not list(tmp_path.glob("*.zip"))
