"""Sealed model bundles: written once, named by their content, verified before every use.

A bundle is a folder of plain files: the native weights, ``scaler.json``, ``calibrator.json``,
``conformal.json``, ``predictions.parquet``, ``normaliser.json`` where the scaling is causal, ``golden.npy`` (rows of
unscaled features with the probabilities they must give) and ``manifest.json``. The manifest names
the sha256 of every other file and the bundle's own id, which covers the manifest as well; no time
and no run id is inside, so the same data and seed give the same id.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scalper_ml.durable import canonical_json, sha256_of
from scalper_ml.errors import BundleError, ContractError, FeatureSetError
from scalper_ml.models.base import Classifier, Floats
from scalper_ml.models.calibrators import Calibrator, calibrator_from_dict
from scalper_ml.models.conformal import ConformalSets
from scalper_ml.models.decision import Decision, decision_of
from scalper_ml.models.registry import model_kinds
from scalper_ml.schema import CLASSES

__all__ = [
    "FORBIDDEN_SUFFIXES",
    "FORMAT",
    "GOLDEN_TOLERANCE",
    "Model",
    "bundle_id_of",
    "check_features",
    "golden_bytes",
    "golden_rows",
    "load_bundle",
    "open_bundle",
    "seal",
    "verify_bundle",
]

FORMAT = 2
MANIFEST = "manifest.json"
GOLDEN_TOLERANCE = 1e-6
FORBIDDEN_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt")
"""Formats that run code when they are read, or may; never opened."""

_GOLDEN = "golden.npy"
_AGAIN = "restore the bundle or train the model again"


@dataclass(frozen=True, slots=True)
class Model:
    """A verified bundle, ready to predict.

    Parameters
    ----------
    bundle_id : str
    manifest : mapping
        As sealed: kind, symbol, horizon, feature set, lineage, parameters, metrics, importance, ...
    names : tuple of str
        Feature names, in the order of the columns of X.
    """

    bundle_id: str
    manifest: Mapping[str, Any]
    names: tuple[str, ...]
    scaler: Any
    classifier: Classifier
    calibrator: Calibrator
    conformal: ConformalSets
    normaliser: Any = None

    def predict_proba(self, X: Floats) -> Floats:
        """Calibrated probabilities (n, 3), SHORT NEUTRAL LONG, of *unscaled* features X (n, f).

        A model with a `normaliser` takes rows that have gone through it, in order: see `LiveModel`.

        Values lie inside (0, 1), 0 for a class that training did not know; rows sum to 1. A row's result does not
        depend on the others.

        Raises
        ------
        FeatureSetError
            X has another number of columns.
        ContractError
            A feature is not finite; it is named.
        """
        rows = np.asarray(X, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise FeatureSetError(
                f"model {self.bundle_id[:12]}: found X of shape {rows.shape}; expected (n, {len(self.names)})"
            )
        return self.calibrator.apply(self.classifier.predict_proba(self.scaler.transform(rows)))

    def decide(self, row: Floats, *, price: float, min_confidence: float = 0.5) -> Decision:
        """What to do on one row of unscaled features (f,), now that the price is `price`; see `decision_of`."""
        P = self.predict_proba(np.asarray(row, dtype=np.float64)[None])[0]
        return decision_of(P, price=price, moves=self.manifest["moves"], min_confidence=min_confidence)


def bundle_id_of(manifest: Mapping[str, Any]) -> str:
    """Sha256 over the sorted (name, sha256) of all other files, then the manifest without its own ``bundle_id``.

    Both as canonical JSON: sorted keys, shortest exact floats.
    """
    body = {key: value for key, value in manifest.items() if key != "bundle_id"}
    return sha256_of(canonical_json(sorted(manifest["sha256"].items())) + canonical_json(body))


def golden_bytes(X: Floats, P: Floats) -> bytes:
    """Rows of unscaled features beside the probabilities they must give, as one ``.npy`` array (rows, f + 3)."""
    sink = io.BytesIO()
    np.save(sink, np.column_stack([X, P]).astype("<f8"), allow_pickle=False)
    return sink.getvalue()


def golden_rows(files: Mapping[str, bytes]) -> Floats:
    """The unscaled features of a bundle's golden batch (rows, f)."""
    both = np.load(io.BytesIO(files[_GOLDEN]), allow_pickle=False)
    return np.asarray(both[:, : -len(CLASSES)], dtype=np.float64)


def seal(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> tuple[str, dict[str, bytes]]:
    """The bundle's id and all its files, with the manifest that names and covers them.

    Raises
    ------
    BundleError
        A file is of a format that is never written, e.g. a pickle.
    """
    _refuse_forbidden(files)
    body = dict(manifest) | {"format": FORMAT, "sha256": {name: sha256_of(data) for name, data in files.items()}}
    bundle_id = bundle_id_of(body)
    return bundle_id, dict(files) | {MANIFEST: canonical_json(body | {"bundle_id": bundle_id}, indent=1)}


def load_bundle(
    source: Path | Mapping[str, bytes],
    *,
    names: Sequence[str] | None = None,
    fs_id: str | None = None,
    bundle_id: str | None = None,
) -> Model:
    """Read and verify a bundle.

    Parameters
    ----------
    source : Path or mapping
        The bundle's folder, or its files by name.
    names : sequence of str, optional
        The features that will be given to the model, in order; refused unless they are exactly its own.
    fs_id : str, optional
        The feature set id they come from; must be the one the model was trained with.
    bundle_id : str, optional
        The id a pointer names: the bundle must be that one.

    Raises
    ------
    BundleError
        A file is missing, surplus, altered or of a forbidden format; the manifest is of another format version or
        not the one sealed; the golden batch is not reproduced. The file is named.
    FeatureSetError
        Names, order or feature set id differ: what is missing, what is unexpected, the first position that differs.
    """
    files, manifest = open_bundle(source, bundle_id)
    if "target" in manifest:
        raise BundleError(
            f"{MANIFEST}: {manifest['kind']!r} is a forecaster's bundle; open it with forecasters.bundle.load_forecast"
        )
    check_features(manifest["feature_set"], names=names, fs_id=fs_id)
    model = _assemble(files, manifest)
    _check_golden(model, files[_GOLDEN])
    return model


def open_bundle(
    source: Path | Mapping[str, bytes], bundle_id: str | None = None
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files and the manifest of a bundle, every hash verified; nothing in them is used yet.

    Raises
    ------
    BundleError
        As for `load_bundle`, but for the golden batch.
    """
    files = _read(source) if isinstance(source, Path) else dict(source)
    _refuse_forbidden(files)
    manifest = _verified_manifest(files)
    _verify_files(files, manifest["sha256"])
    if bundle_id is not None and bundle_id != manifest["bundle_id"]:
        raise BundleError(
            f"bundle {manifest['bundle_id'][:12]}: expected {bundle_id[:12]}; the pointer names another - {_AGAIN}"
        )
    return files, manifest


def verify_bundle(folder: Path, *, bundle_id: str, symbol: str, horizon: int) -> None:
    """Check every byte of a bundle and that it is the one named, without making a model of it.

    Raises
    ------
    BundleError
        As `load_bundle`, but for the golden batch; or the bundle is of another symbol or horizon.
    """
    _, manifest = open_bundle(folder, bundle_id)
    own = (manifest["symbol"], manifest["horizon"])
    if own != (symbol, horizon):
        raise BundleError(f"bundle {bundle_id[:12]}: is of {own}; expected {(symbol, horizon)} - {_AGAIN}")


def check_features(
    expected: Mapping[str, Any], *, names: Sequence[str] | None = None, fs_id: str | None = None
) -> None:
    """Refuse features other than those of ``expected = {"id": ..., "names": [...]}``.

    Raises
    ------
    FeatureSetError
        Names what is missing, what is unexpected and the first position that differs.

    Examples
    --------
    >>> check_features({"id": "a1", "names": ["ret_1", "rsi_14"]}, names=["rsi_14", "ret_1"])
    Traceback (most recent call last):
    ...
    scalper_ml.errors.FeatureSetError: features differ from those the model was trained with: missing [],
    unexpected [], first difference at position 0: found 'rsi_14', expected 'ret_1'; give the columns of feature
    set a1, in its order
    """
    own = list(expected["names"])
    given = own if names is None else list(names)
    if given != own:
        at = next(
            (i for i, pair in enumerate(zip(given, own, strict=False)) if pair[0] != pair[1]), min(len(given), len(own))
        )
        found, wanted = (repr(side[at]) if at < len(side) else "nothing" for side in (given, own))
        raise FeatureSetError(
            "features differ from those the model was trained with: "
            f"missing {[n for n in own if n not in set(given)]}, unexpected {[n for n in given if n not in set(own)]}, "
            f"first difference at position {at}: found {found}, expected {wanted}; "
            f"give the columns of feature set {expected['id']}, in its order"
        )
    if fs_id is not None and fs_id != expected["id"]:
        raise FeatureSetError(
            f"feature set {fs_id}: the names agree, but the model was trained with feature set {expected['id']} "
            "(another definition or version of a feature); train the model again"
        )


def _read(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such folder; expected a bundle - {_AGAIN}")
    entries = sorted(folder.iterdir())
    _refuse_forbidden([entry.name for entry in entries])
    if inner := [entry.name for entry in entries if not entry.is_file()]:
        raise BundleError(f"{folder}: found {inner} beside the files of the bundle; expected files only - {_AGAIN}")
    return {entry.name: entry.read_bytes() for entry in entries}


def _refuse_forbidden(names: Mapping[str, bytes] | Sequence[str]) -> None:
    for name in names:
        if name.lower().endswith(FORBIDDEN_SUFFIXES):
            raise BundleError(
                f"{name}: files of this format can run code when read and are refused; a bundle never holds one"
            )


def _verified_manifest(files: Mapping[str, bytes]) -> dict[str, Any]:
    if MANIFEST not in files:
        raise BundleError(f"{MANIFEST}: missing among {sorted(files)}; {_AGAIN}")
    try:
        manifest = json.loads(files[MANIFEST])
        version, _ = manifest["format"], manifest["sha256"].items()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BundleError(f"{MANIFEST}: altered or not a bundle's manifest ({error!r}); {_AGAIN}") from error
    if version != FORMAT:
        raise BundleError(
            f"{MANIFEST}: found bundle format {version!r}; this version reads {FORMAT} - train the model again"
        )
    if canonical_json(manifest, indent=1) != files[MANIFEST] or manifest.get("bundle_id") != bundle_id_of(manifest):
        raise BundleError(f"{MANIFEST}: altered, it is not the manifest that was sealed; {_AGAIN}")
    return dict(manifest)


def _verify_files(files: Mapping[str, bytes], hashes: Mapping[str, str]) -> None:
    for name in sorted(set(files) - {MANIFEST} - set(hashes)):
        raise BundleError(f"{name}: not part of the bundle; expected {sorted(hashes)} - remove it or {_AGAIN}")
    for name, digest in sorted(hashes.items()):
        if name not in files:
            raise BundleError(f"{name}: missing; {_AGAIN}")
        if sha256_of(files[name]) != digest:
            raise BundleError(f"{name}: altered, its sha256 is not {digest[:12]} as sealed; {_AGAIN}")


def _assemble(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Model:
    from scalper_ml.datasets.causal import EwmaNormaliser
    from scalper_ml.datasets.scaling import Scaler

    causal = files.get("normaliser.json")
    return Model(
        bundle_id=manifest["bundle_id"],
        manifest=manifest,
        names=tuple(manifest["feature_set"]["names"]),
        scaler=Scaler.from_dict(json.loads(files["scaler.json"])),
        classifier=_classifier(files, manifest),
        calibrator=calibrator_from_dict(json.loads(files["calibrator.json"])),
        conformal=ConformalSets.from_dict(json.loads(files["conformal.json"])),
        normaliser=None if causal is None else EwmaNormaliser.from_dict(json.loads(causal)),
    )


def _classifier(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Classifier:
    if "members" in manifest:
        from scalper_ml.ensembles.members import load_members  # it loads bundles in turn

        return load_members(files, manifest)
    kinds = model_kinds()
    if manifest["kind"] not in kinds:
        raise BundleError(
            f"{MANIFEST}: model kind {manifest['kind']!r} is unknown; this version has {', '.join(kinds)}"
        )
    return kinds[manifest["kind"]].load(files)


def _check_golden(model: Model, data: bytes) -> None:
    golden = np.load(io.BytesIO(data), allow_pickle=False)
    f = len(model.names)
    try:
        P = model.predict_proba(golden[:, :f])
    except (ContractError, FeatureSetError) as error:
        raise BundleError(f"{_GOLDEN}: the golden batch cannot be predicted ({error}); {_AGAIN}") from error
    worst = float(np.abs(P - golden[:, f:]).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise BundleError(
            f"{_GOLDEN}: probabilities of the golden batch differ by {worst:.2g} from those sealed; expected at most "
            f"{GOLDEN_TOLERANCE:g} - this machine's {model.manifest['kind']} computes differently, train it again"
        )
