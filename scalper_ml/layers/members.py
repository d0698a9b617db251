"""The members of an ensemble: today's partitions of other layers, and the bundles in them."""

from collections.abc import Iterable, Mapping

from scalper_ml.errors import ChecksFailedError, WarehouseError
from scalper_ml.layers.base import Keys, Layer
from scalper_ml.project import Project
from scalper_ml.warehouse import Manifest

__all__ = ["member_bundles", "members_of"]


def members_of(
    project: Project, keys: Keys, layers: Iterable[Layer], *, ensemble: str, setting: str
) -> dict[str, Manifest]:
    """The partitions of all members by kind.

    Parameters
    ----------
    layers : iterable of Layer
        A member each.
    ensemble, setting : str
        What they are members of, and the setting that names them; for the message.

    Raises
    ------
    WarehouseError
        Members are missing, blocked or not of today's data and settings: all of them are named, none is left out.
    """
    found, wrong = {}, []
    for layer in layers:
        kind = layer.name.split("/")[1]
        try:
            found[kind] = project.warehouse.require(layer.name, keys)
            if not layer.fresh(project, keys):
                wrong.append(f"{kind} is stale: its data, settings or code have changed since")
        except (WarehouseError, ChecksFailedError) as error:
            wrong.append(f"{kind} is missing ({error})")
    if wrong:
        raise WarehouseError(
            f"{ensemble} {dict(keys)}: {'; '.join(wrong)} - materialise these models, or leave them out of {setting}"
        )
    return found


def member_bundles(project: Project, keys: Keys, members: Mapping[str, Manifest]) -> dict[str, dict[str, bytes]]:
    """The files of each member's bundle."""
    found = {}
    for kind, manifest in members.items():
        folder = project.warehouse.folder(manifest.layer, keys) / "bundles" / manifest.summary["bundle_id"]
        found[kind] = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return found
