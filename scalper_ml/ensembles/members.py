"""The members of an ensemble as one classifier: bundles inside a bundle.

A member's files lie beside the ensemble's own as ``<member>.<file>``, byte for byte: an ensemble is whole without the
partitions its members came from, and each member is verified as it would be alone.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from scalper_ml.durable import canonical_json
from scalper_ml.ensembles.base import Combiner, Opinions
from scalper_ml.ensembles.registry import ensemble_kind
from scalper_ml.errors import BundleError
from scalper_ml.models.base import Floats
from scalper_ml.models.bundle import Model, load_bundle

__all__ = ["MembersClassifier", "load_members", "member_files"]

_FILE: Final = "ensemble.json"


def member_files(members: Mapping[str, Mapping[str, bytes]]) -> dict[str, bytes]:
    """All files of all members by their names in the ensemble's bundle."""
    return {f"{member}.{name}": data for member, files in members.items() for name, data in files.items()}


class MembersClassifier:
    """Members and how they are combined, over *unscaled* inputs: each member scales for itself.

    Parameters
    ----------
    kind : str
    members : mapping of name to Model
        In the order of the combiner.
    combiner : Combiner
    """

    def __init__(self, kind: str, members: Mapping[str, Model], combiner: Combiner) -> None:
        self.kind = kind
        self.members = dict(members)
        self.combiner = combiner
        scalers = [model.scaler.to_dict() for model in self.members.values()]
        self._scaler = [scalers.index(one) for one in scalers]  # the first member that scales alike

    @property
    def best_iteration(self) -> None:
        """None: the rounds are the members'."""
        return None

    def opinions(self, X: Floats) -> Opinions:
        """What the members say of rows of unscaled features (n, f)."""
        models = list(self.members.values())
        scaled = {at: models[at].scaler.transform(X) for at in set(self._scaler)}
        raw = [model.classifier.predict_proba(scaled[at]) for model, at in zip(models, self._scaler, strict=True)]
        calibrated = [model.calibrator.apply(P) for model, P in zip(models, raw, strict=True)]
        return Opinions(np.stack(raw), np.stack(calibrated))

    def predict_proba(self, X: Floats) -> Floats:
        """Probabilities (n, 3) before the ensemble's own calibration."""
        return self.combiner.combine(self.opinions(X))

    def files(self) -> dict[str, bytes]:
        """Who the members are and how they are combined; their own files come from `member_files`."""
        said = {"kind": self.kind, "members": list(self.members), "combiner": self.combiner.to_dict()}
        return {_FILE: canonical_json(said)}

    def importance(self) -> Floats:
        """Mean over the members of their shares of each feature (f,), members counting as the combiner counts them."""
        each = [model.classifier.importance() for model in self.members.values()]
        return np.asarray(self.combiner.shares() @ np.stack(each), dtype=np.float64)

    def contributions(self, X: Floats) -> Floats:
        """Mean over the members of their contributions (n, 3, f), members counting as the combiner counts them.

        Exact for each member; for the ensemble a summary, since probabilities and not log-odds are averaged.
        """
        each = [model.classifier.contributions(model.scaler.transform(X)) for model in self.members.values()]
        return np.asarray(np.tensordot(self.combiner.shares(), np.stack(each), axes=1), dtype=np.float64)


def load_members(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> MembersClassifier:
    """The classifier in an ensemble's bundle, each member verified.

    Raises
    ------
    BundleError
        ``ensemble.json`` cannot be read, or a member's bundle is not what it was when the ensemble was made; the
        member is named.
    """
    try:
        said = json.loads(files[_FILE])
        combiner = ensemble_kind(said["kind"]).load(said["combiner"])
        members = {str(name): manifest["members"][name] for name in said["members"]}
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{_FILE}: missing or not what was sealed ({error!r}); train the ensemble again") from error
    models = {}
    for member, bundle_id in members.items():
        own = {name.removeprefix(f"{member}."): data for name, data in files.items() if name.startswith(f"{member}.")}
        try:
            models[member] = load_bundle(own, names=manifest["feature_set"]["names"], bundle_id=bundle_id)
        except BundleError as error:
            raise BundleError(f"{member}.{error}") from error
    return MembersClassifier(said["kind"], models, combiner)
