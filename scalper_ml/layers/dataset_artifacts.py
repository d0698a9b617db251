"""Datasets that travel: export with the features and bars they are of, import into another warehouse."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from scalper_ml.datasets.artifact import Artifact, pack, unpack
from scalper_ml.durable import atomic_write, canonical_json, sha256_of
from scalper_ml.errors import InputError, WarehouseError
from scalper_ml.layers.base import Keys, keys_of
from scalper_ml.project import Project
from scalper_ml.warehouse import Check, Manifest

__all__ = ["Travelled", "export_dataset", "import_dataset", "read_artifact"]

LAYERS: Final = ("bars", "features", "datasets")
_KEPT: Final = ("inputs", "summary", "checks")


@dataclass(frozen=True, slots=True)
class Travelled:
    """What was written or taken in: the file, its hash and what it says of itself."""

    path: Path
    content: str
    told: dict[str, Any]
    members: int
    bytes: int


def export_dataset(project: Project, keys: Keys, target: Path) -> Travelled:
    """Write a dataset partition, its features and its bars as one file.

    Parameters
    ----------
    target : Path
        A file, or a folder in which it is called ``<SYMBOL>_h<horizon>_<hash>.zip``.

    Raises
    ------
    WarehouseError
        The dataset was built from other features or bars than lie in the warehouse now.
    """
    warehouse = project.warehouse
    members: dict[str, bytes] = {}
    manifests: dict[str, Manifest] = {}
    for layer in LAYERS:
        manifest = manifests[layer] = warehouse.require(layer, _keys_of_layer(layer, keys))
        for name in (*manifest.files, *manifest.beside):
            members[f"{layer}/{name}"] = warehouse.read_bytes(manifest, name)
        kept = {name: getattr(manifest, name) for name in _KEPT}
        members[f"{layer}/manifest.json"] = canonical_json({**kept, "beside": sorted(manifest.beside)}, indent=1)
    dataset = manifests["datasets"]
    for layer in ("bars", "features"):
        if dataset.inputs[layer] != manifests[layer].content:
            raise WarehouseError(f"datasets {dict(keys)}: its {layer} have changed since; materialise datasets again")
    told = {
        "symbol": str(keys["symbol"]),
        "horizon": int(keys["horizon"]),
        "interval": project.settings.bars.interval,
        "label_version": dataset.summary["label_version"],
        "feature_set_id": dataset.summary["feature_set_id"],
        "rows": dataset.summary["label_rows"],
        "params": dataset.summary["params"],
        "sources": {layer: manifest.inputs for layer, manifest in manifests.items()},
        "partitions": {layer: manifest.content for layer, manifest in manifests.items()},
    }
    data = pack(told, members)
    content = Artifact(told, members).content
    if target.is_dir():
        target = target / f"{keys['symbol']}_h{keys['horizon']}_{content[:12]}.zip"
    atomic_write(target, data)
    return Travelled(target, content, told, len(members), len(data))


def read_artifact(path: Path) -> Artifact:
    """An artifact from a file, verified.

    Raises
    ------
    InputError
        There is no such file, or it is not whole.
    """
    try:
        return unpack(path.read_bytes(), path.name)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected what `scalper dataset export` wrote") from None


def import_dataset(project: Project, path: Path, *, replace: bool = False) -> Travelled:
    """Take a dataset, its features and its bars into the warehouse; nothing is written unless all of it is whole.

    Parameters
    ----------
    replace : bool
        Also over partitions with another content.

    Raises
    ------
    InputError
        The file was altered (the member is named), or is not of this project's bars.
    SettingsError
        Its symbol or horizon is not configured.
    WarehouseError
        Another partition is there, and `replace` is False.
    """
    artifact = read_artifact(path)
    told = artifact.told
    if lacking := sorted({"symbol", "horizon", "interval", "partitions"} - set(told)):
        raise InputError(f"{path.name}: member 'artifact.json' does not tell {lacking} - export it again")
    keys = keys_of(project.settings, symbol=told["symbol"], horizon=told["horizon"])
    if told["interval"] != project.settings.bars.interval:
        raise InputError(
            f"{path.name}: bars of {told['interval']}; profile {project.settings.profile!r} has bars of "
            f"{project.settings.bars.interval} - set bars.interval, or import it into another profile"
        )
    partitions = {layer: _partition(artifact, layer, path.name) for layer in LAYERS}
    _one_dataset(partitions, told, path.name)
    for layer in LAYERS:
        there = project.warehouse.manifest(layer, _keys_of_layer(layer, keys))
        if there is not None and there.content != told["partitions"][layer] and not replace:
            raise WarehouseError(
                f"{layer} {told['symbol']}: there is another partition ({there.content[:12]}, the file has "
                f"{told['partitions'][layer][:12]}); import it with --replace, or into another storage.root"
            )
    for layer, (files, beside, kept) in partitions.items():
        checks = [Check(**check) for check in kept["checks"]]
        project.warehouse.write(
            layer,
            _keys_of_layer(layer, keys),
            files,
            inputs=kept["inputs"],
            summary=kept["summary"],
            checks=checks,
            beside=beside,
        )
    return Travelled(path, artifact.content, told, len(artifact.members), path.stat().st_size)


_Partition = tuple[dict[str, bytes], dict[str, bytes], Mapping[str, Any]]


def _partition(artifact: Artifact, layer: str, name: str) -> _Partition:
    """Files, files beside, and what the manifest said, of one layer; their hash is the one that is told."""
    mine = {
        member.removeprefix(f"{layer}/"): data
        for member, data in artifact.members.items()
        if member.startswith(f"{layer}/")
    }
    for member in mine:
        if PurePosixPath(member).is_absolute() or ".." in PurePosixPath(member).parts:
            raise InputError(f"{name}: member {f'{layer}/{member}'!r} leaves its partition; expected a plain name")
    if "manifest.json" not in mine:
        raise InputError(f"{name}: member {f'{layer}/manifest.json'!r} is missing - export it again")
    try:
        kept = json.loads(mine.pop("manifest.json"))
        beside = {member: mine.pop(member) for member in kept["beside"]}
        _ = [Check(**check) for check in kept["checks"]], dict(kept["inputs"]), dict(kept["summary"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{name}: member {f'{layer}/manifest.json'!r} is not what an export writes ({error!r}) - export it again"
        ) from None
    content = sha256_of(canonical_json({member: sha256_of(data) for member, data in mine.items()}))
    if content != artifact.told["partitions"].get(layer):
        raise InputError(f"{name}: the members of {layer!r} are not those of its partition - export it again")
    return mine, beside, kept


def _one_dataset(partitions: Mapping[str, _Partition], told: Mapping[str, Any], name: str) -> None:
    """Refuse a dataset that is of other bars or features than those beside it."""
    inputs = partitions["datasets"][2]["inputs"]
    for layer in ("bars", "features"):
        if inputs.get(layer) != told["partitions"][layer]:
            raise InputError(
                f"{name}: the dataset was made of {layer} {str(inputs.get(layer))[:12]}, beside it lie "
                f"{told['partitions'][layer][:12]} - export it again"
            )


def _keys_of_layer(layer: str, keys: Keys) -> Keys:
    return keys if layer == "datasets" else {"symbol": keys["symbol"]}
