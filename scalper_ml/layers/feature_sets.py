"""Feature sets by the names a user gives them: a file, a partition, an id."""

from collections.abc import Iterator
from pathlib import Path

from scalper_ml.errors import FeatureSetError
from scalper_ml.features.diff import FeatureColumns
from scalper_ml.features.registry import FeatureSet, feature_set
from scalper_ml.layers.base import keys_of
from scalper_ml.project import Project
from scalper_ml.schema import INPUT_GROUPS
from scalper_ml.warehouse import Manifest

__all__ = ["columns_of", "partition_set"]

_FILE = "feature_set.json"


def partition_set(project: Project, symbol: str | None) -> FeatureSet:
    """The set of a symbol's features partition; without a symbol, the default set of all input groups."""
    if symbol is None:
        return feature_set(INPUT_GROUPS)
    manifest = project.warehouse.require("features", keys_of(project.settings, symbol=symbol))
    return FeatureSet.from_json(project.warehouse.read_bytes(manifest, _FILE).decode())


def columns_of(project: Project, name: str) -> FeatureColumns:
    """The feature set that `name` stands for.

    Parameters
    ----------
    name : str
        ``default``; a JSON file (``feature_set.json``, ``dataset.json`` or the manifest of a bundle); a symbol
        (its features); ``SYMBOL/HORIZON`` (its dataset); or a feature set id, at least four of its digits.

    Raises
    ------
    FeatureSetError
        Nothing has that name, or more than one set has an id that begins so.
    """
    if name == "default":
        return FeatureColumns.of(feature_set(INPUT_GROUPS))
    path = Path(name)
    if path.is_file():
        return FeatureColumns.parse(path.read_bytes(), name)
    symbol, _, horizon = name.partition("/")
    if symbol in project.settings.symbols:
        if not horizon:
            return _read(project, project.warehouse.require("features", {"symbol": symbol}))
        if not horizon.isdigit():
            raise FeatureSetError(f"{name!r}: expected SYMBOL/HORIZON with a whole number of bars")
        keys = keys_of(project.settings, symbol=symbol, horizon=horizon)
        return _read(project, project.warehouse.require("datasets", keys))
    return _by_id(project, name)


def _by_id(project: Project, name: str) -> FeatureColumns:
    known = {one.id: one for one in _recorded(project)}
    found = [one for one in known if len(name) >= 4 and one.startswith(name)]
    if len(found) != 1:
        said = f"begins {len(found)} ids" if found else "is no file, no configured symbol and no known id"
        raise FeatureSetError(
            f"feature set {name!r} {said}; expected default, a JSON file, a symbol of {project.settings.symbols}, "
            f"SYMBOL/HORIZON, or one of the ids {sorted(known)}"
        )
    return known[found[0]]


def _recorded(project: Project) -> Iterator[FeatureColumns]:
    """Every set the warehouse knows, and the default."""
    yield FeatureColumns.of(feature_set(INPUT_GROUPS))
    for layer in ("features", "datasets"):
        for manifest in project.warehouse.partitions(layer):
            if _FILE in manifest.files:
                yield _read(project, manifest)
    for path in sorted(project.warehouse.root.glob("models/*/*/*/bundles/*/manifest.json")):
        yield FeatureColumns.parse(path.read_bytes(), str(path))


def _read(project: Project, manifest: Manifest) -> FeatureColumns:
    text = project.warehouse.read_bytes(manifest, _FILE).decode()
    return FeatureColumns.parse(text, f"{manifest.layer} {manifest.keys}")
