"""The registry of features and the feature sets chosen from it.

A feature set is an ordered list of columns with everything that fixes their values: parameters,
versions, warm-ups, clip ranges, and when the carried state is reset. Its `id` is a digest of all that.
"""

import difflib
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from scalper_ml.errors import FeatureSetError, SettingsError
from scalper_ml.features import (
    book,
    calendar,
    candles,
    cross,
    derivatives,
    flow,
    momentum,
    statistics,
    trend,
    volatility,
    volume,
)
from scalper_ml.features.kind import Kind
from scalper_ml.features.series import INPUT_COLUMNS
from scalper_ml.schema import INPUT_GROUPS, InputGroup

__all__ = ["FAMILIES", "INPUT_COLUMNS", "KINDS", "FeatureSet", "FeatureSpec", "feature_set"]

KINDS: tuple[Kind, ...] = (
    *momentum.KINDS,
    *trend.KINDS,
    *volatility.KINDS,
    *volume.KINDS,
    *candles.KINDS,
    *statistics.KINDS,
    *calendar.KINDS,
    *flow.KINDS,
    *cross.KINDS,
    *book.KINDS,
    *derivatives.KINDS,
)
"""Every kind of feature there is, in the order of the columns."""

FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(kind.family for kind in KINDS))

ALWAYS = ("ewma_vol", (97,))
"""Labels, costs and risk are measured in units of this column."""


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One column: what it is, what it needs, from which row on it is known, and where it lies.

    `warmup` is the number of the first row with a value, rows counted from 0 since the last reset.
    Values are clipped to ``[low, high]``.
    """

    name: str
    family: str
    kind: str
    params: tuple[int, ...]
    definition: str
    inputs: tuple[str, ...]
    group: InputGroup
    warmup: int
    unit: str
    low: float
    high: float
    source: str
    version: int


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """An ordered choice of features; `names` is the order of every feature matrix made with it.

    Parameters
    ----------
    entries : tuple of (kind, params)
        One kernel call each.
    groups : tuple of InputGroup
    reset_after_gap : int
        A bar that comes after this many empty intervals, or more, starts all features anew.
    min_ticks : int
        A bar with fewer trades is marked not warm. Bars of sources without trade counts are not affected.

    Examples
    --------
    >>> fs = feature_set(["klines"], families=["momentum"], windows={"rsi": [14]})
    >>> [name for name in fs.names if name.startswith("rsi")]
    ['rsi_14']
    >>> FeatureSet.from_json(fs.to_json()).id == fs.id
    True
    """

    entries: tuple[tuple[Kind, tuple[int, ...]], ...]
    groups: tuple[InputGroup, ...]
    reset_after_gap: int = 240
    min_ticks: int = 0
    specs: tuple[FeatureSpec, ...] = field(init=False)
    names: tuple[str, ...] = field(init=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        """Derive the columns and the id; refuse duplicate names."""
        specs = tuple(spec for kind, params in self.entries for spec in _specs(kind, params))
        names = tuple(spec.name for spec in specs)
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise FeatureSetError(f"feature set: columns {twice} appear twice; expected every name once")
        object.__setattr__(self, "specs", specs)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "id", self._digest())

    def _digest(self) -> str:
        said = [asdict(spec) | {"low": spec.low.hex(), "high": spec.high.hex()} for spec in self.specs]
        for one in said:
            del one["source"]
        text = json.dumps([said, self.reset_after_gap, self.min_ticks], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def warmups(self) -> np.ndarray:
        """First row with a value for each column, int64 (f,)."""
        return np.array([spec.warmup for spec in self.specs], dtype=np.int64)

    @property
    def warmup(self) -> int:
        """First row on which every column has a value."""
        return max((spec.warmup for spec in self.specs), default=0)

    @property
    def families(self) -> tuple[str, ...]:
        """Families present, in order."""
        return tuple(dict.fromkeys(spec.family for spec in self.specs))

    def index(self, name: str) -> int:
        """Position of a column; FeatureSetError names the nearest ones if there is none."""
        if name not in self.names:
            near = difflib.get_close_matches(name, self.names)
            raise FeatureSetError(f"feature {name!r}: not among the {len(self.names)} of {self.id}; nearest {near}")
        return self.names.index(name)

    def describe(self) -> list[dict[str, Any]]:
        """One dict a column: all fields of its `FeatureSpec`."""
        return [asdict(spec) for spec in self.specs]

    def to_json(self) -> str:
        """All that is needed to rebuild the set, and its id to check the rebuild against."""
        said = {
            "id": self.id,
            "groups": list(self.groups),
            "reset_after_gap": self.reset_after_gap,
            "min_ticks": self.min_ticks,
            "entries": [[kind.name, list(params)] for kind, params in self.entries],
            "names": list(self.names),
            "columns": {spec.name: asdict(spec) for spec in self.specs},  # for readers and `scalper features diff`
        }
        return json.dumps(said)

    @classmethod
    def from_json(cls, text: str) -> "FeatureSet":
        """Rebuild a set; FeatureSetError if this version of the library would compute something else."""
        said = json.loads(text)
        kinds = {kind.name: kind for kind in KINDS}
        unknown = [name for name, _ in said["entries"] if name not in kinds]
        if unknown:
            raise FeatureSetError(f"feature set {said['id']}: kinds {unknown} are not in this version's registry")
        fs = cls(
            tuple((kinds[name], tuple(params)) for name, params in said["entries"]),
            tuple(said["groups"]),
            said["reset_after_gap"],
            said["min_ticks"],
        )
        if fs.id != said["id"]:
            raise FeatureSetError(
                f"feature set {said['id']}: this version computes {fs.id} from the same entries - a definition, "
                f"warm-up or clip range changed; columns then {len(said['names'])}, now {len(fs.names)}; train anew"
            )
        return fs


def _specs(kind: Kind, params: tuple[int, ...]) -> Iterable[FeatureSpec]:
    for name, (low, high) in zip(kind.columns(params), kind.spans(params), strict=True):
        yield FeatureSpec(
            name, kind.family, kind.name, params, kind.definition, kind.inputs, kind.group, kind.warmup(*params),
            kind.unit, float(low), float(high), kind.source, kind.version,
        )


def _listed(what: str, found: Iterable[str], known: Sequence[str]) -> None:
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known) or list(known)
            raise SettingsError(f"{what} {name!r} is unknown; expected one of {near}")


def _windows(kind: Kind, given: Sequence[int | Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    chosen = tuple(tuple(one) if isinstance(one, Sequence) else (one,) for one in given)
    for params in chosen:
        fits = all(isinstance(p, int) and kind.smallest <= p <= kind.largest for p in params)
        if len(params) != len(kind.params[0]) or not fits:
            raise SettingsError(
                f"windows of feature {kind.name!r}: found {list(params)}, expected {len(kind.params[0])} "
                f"whole numbers from {kind.smallest} to {kind.largest}, as in {[list(p) for p in kind.params]}"
            )
    return chosen


def feature_set(
    groups: Sequence[InputGroup],
    *,
    families: Sequence[str] | None = None,
    windows: Mapping[str, Sequence[int | Sequence[int]]] | None = None,
    absent: Collection[str] = (),
    reset_after_gap: int = 240,
    min_ticks: int = 0,
) -> FeatureSet:
    """Choose the features a source can feed.

    Parameters
    ----------
    groups : sequence of InputGroup
        What the source has. Features of other groups are left out by name, never filled.
    families : sequence of str, optional
        Keep these families only. ``ewma_vol_97`` is in every set.
    windows : mapping of kind to windows, optional
        Replaces the default parameter sets of a kind: ``{"rsi": [7, 14], "macd": [[12, 26, 9]]}``;
        an empty list drops the kind.
    absent : collection of str, optional
        Input columns the source lacks although it has their group (12-column klines have no
        ``buy_trades``); features that need one are left out.
    reset_after_gap : int
        Empty intervals, >= 1, after which all features start anew.
    min_ticks : int
        Trades below which a bar is not warm.

    Raises
    ------
    SettingsError
        An unknown group, family, kind or input, or a window that does not fit; the message says what is allowed.

    Examples
    --------
    >>> fs = feature_set(["klines", "calendar"])
    >>> "tfi_5" in fs.names, "ewma_vol_97" in fs.names, len(fs.id)
    (False, True, 12)
    """
    _listed("input group", groups, INPUT_GROUPS)
    _listed("feature family", families or (), FAMILIES)
    _listed("feature", windows or {}, [kind.name for kind in KINDS])
    _listed("input column", absent, INPUT_COLUMNS)
    if reset_after_gap < 1:
        raise SettingsError(f"reset_after_gap {reset_after_gap}: expected 1 or more")
    if min_ticks < 0:
        raise SettingsError(f"min_ticks {min_ticks}: expected 0 or more")
    entries = []
    for kind in KINDS:
        fed = kind.group in groups and not set(kind.inputs) & set(absent)
        wanted = fed and (families is None or kind.family in families)
        chosen = _windows(kind, windows[kind.name]) if windows and kind.name in windows else kind.params
        if kind.name == ALWAYS[0]:
            chosen = chosen if wanted else ()
            chosen = chosen if ALWAYS[1] in chosen else (*chosen, ALWAYS[1])
        elif not wanted:
            continue
        entries += [(kind, params) for params in chosen]
    ordered: tuple[InputGroup, ...] = tuple(group for group in INPUT_GROUPS if group in groups)
    fs = FeatureSet(tuple(entries), ordered, reset_after_gap, min_ticks)
    if not all(math.isfinite(spec.low) and spec.low < spec.high for spec in fs.specs):
        raise FeatureSetError(f"feature set {fs.id}: a clip range is empty or not finite")
    return fs
