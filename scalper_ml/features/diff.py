"""What two feature sets have in common and where they differ."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scalper_ml.errors import FeatureSetError
from scalper_ml.features.registry import FeatureSet

__all__ = ["FeatureColumns", "FeatureDiff", "diff_sets"]

_NOT_COMPARED = ("name", "source")


@dataclass(frozen=True, slots=True)
class FeatureColumns:
    """Columns of a feature set as they were recorded, whether or not this version could still compute them.

    ``columns`` maps a name to all its spec says, and is empty for sets recorded by name only.
    """

    id: str
    names: tuple[str, ...]
    columns: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, fs: FeatureSet) -> "FeatureColumns":
        """Those of a set of this version."""
        return cls(fs.id, fs.names, {spec.name: asdict(spec) for spec in fs.specs})

    @classmethod
    def parse(cls, text: str | bytes, what: str) -> "FeatureColumns":
        """From ``feature_set.json``, or from anything that holds one under ``feature_set``.

        Raises
        ------
        FeatureSetError
            The text is not JSON, or holds no feature set.
        """
        try:
            said = json.loads(text)
        except ValueError as error:
            raise FeatureSetError(f"{what}: not JSON ({error}); expected a feature set or a manifest") from None
        said = _inside(said)
        if not isinstance(said, dict) or "names" not in said or "id" not in said:
            found = sorted(said)[:8] if isinstance(said, dict) else type(said).__name__
            raise FeatureSetError(f"{what}: no feature set in it, found {found}; expected keys id and names")
        names, columns = said["names"], said.get("columns") or {}
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names) and isinstance(columns, dict)):
            raise FeatureSetError(f"{what}: found names {str(names)[:60]}; expected a list, and columns by name")
        return cls(str(said["id"]), tuple(names), columns)


def _inside(said: Any) -> Any:
    """The fullest record of a feature set within: a bundle's lineage says more than its own list of names."""
    for path in (("lineage", "feature_set"), ("feature_set",)):
        found = said
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return found
    return said


@dataclass(frozen=True, slots=True)
class FeatureDiff:
    """From one set to another: columns added, removed and changed (``{name: {field: [before, after]}}``)."""

    before: str
    after: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, Mapping[str, tuple[Any, Any]]]
    reordered: bool
    unknown: int

    @property
    def same(self) -> bool:
        """The columns are the same, in the same order, as far as is known."""
        return not (self.added or self.removed or self.changed or self.reordered)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"same": self.same}


def diff_sets(before: FeatureColumns, after: FeatureColumns) -> FeatureDiff:
    """Compare two sets by columns.

    `unknown` counts the common columns that one side recorded by name only.

    Examples
    --------
    >>> a = FeatureColumns("a", ("rsi_14", "cci_20"), {"rsi_14": {"warmup": 280}})
    >>> b = FeatureColumns("b", ("rsi_14", "mfi_14"), {"rsi_14": {"warmup": 14}})
    >>> found = diff_sets(a, b)
    >>> found.added, found.removed, found.changed
    (('mfi_14',), ('cci_20',), {'rsi_14': {'warmup': (280, 14)}})
    """
    common = [name for name in before.names if name in set(after.names)]
    changed: dict[str, dict[str, tuple[Any, Any]]] = {}
    unknown = 0
    for name in common:
        old, new = before.columns.get(name), after.columns.get(name)
        if old is None or new is None:
            unknown += 1
            continue
        fields = [field for field in {**old, **new} if field not in _NOT_COMPARED]
        differs = {field: (old.get(field), new.get(field)) for field in fields if not _equal(old, new, field)}
        if differs:
            changed[name] = differs
    mine = set(before.names)
    return FeatureDiff(
        before.id,
        after.id,
        tuple(name for name in after.names if name not in mine),
        tuple(name for name in before.names if name not in set(after.names)),
        changed,
        common != [name for name in after.names if name in mine],
        unknown,
    )


def _equal(old: Mapping[str, Any], new: Mapping[str, Any], field: str) -> bool:
    """Equal as JSON: tuples and lists alike."""
    return json.dumps(old.get(field)) == json.dumps(new.get(field))
