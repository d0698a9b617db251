"""Fitted trees as plain arrays, and their sums: the same bits alone, in a batch and in the library they came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from scalper_ml.models.base import Floats

__all__ = ["FEW_ROWS", "ObliviousTrees", "Trees"]

I32 = npt.NDArray[np.int32]

FEW_ROWS: Final = 64
"""Up to here, which is a live row and a golden batch, arrays are faster than the library they came from."""


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Binary trees, one node a place.

    Parameters
    ----------
    feature : (nodes,)
        Column that a node asks; -1 for a leaf.
    threshold : (nodes,)
    child : (nodes, 2)
        Where a row goes that lies below the threshold, and where else.
    value : (nodes,)
        Of leaves.
    root, group : (trees,)
        First node of each tree, and the column its leaves are added to.
    base : (k,)
        What sums start from.
    strict : bool
        Whether a value equal to the threshold goes the other way.
    single : bool
        Whether values are rounded to float32 before they are compared.
    sums : type
        The type sums are made in.
    zero : float
        Values no farther from zero are taken for zero, and NaN is; negative: none are.
    """

    feature: I32
    threshold: Floats
    child: I32
    value: Floats
    root: I32
    group: I32
    base: Floats
    strict: bool
    single: bool
    sums: type = np.float64
    zero: float = -1.0

    @classmethod
    def joined(cls, parts: Sequence[Any], groups: Sequence[int], base: Floats, **how: Any) -> "Trees":
        """Trees given one by one as (feature, threshold, left, right, value), children by number within the tree."""
        sizes = [len(part[0]) for part in parts]
        root = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int32) if parts else np.empty(0, np.int32)

        def column(place: int, dtype: type, shift: bool = False) -> Any:
            if not parts:
                return np.empty(0, dtype)
            return np.concatenate(
                [
                    np.asarray(part[place], dtype=dtype) + (at if shift else 0)
                    for part, at in zip(parts, root, strict=True)
                ]
            ).astype(dtype)

        children = np.column_stack([column(2, np.int32, True), column(3, np.int32, True)])
        return cls(
            feature=column(0, np.int32),
            threshold=column(1, np.float64),
            child=np.ascontiguousarray(children, dtype=np.int32).reshape(-1, 2),
            value=column(4, np.float64),
            root=root,
            group=np.asarray(groups, dtype=np.int32),
            base=np.asarray(base, dtype=np.float64),
            **how,
        )

    def add(self, X: Floats) -> Floats:
        """Base and leaves of every row (n, k), float64."""
        from scalper_ml.models.kernels.trees import walk

        X = X if self.zero < 0 else np.where(np.abs(X) > self.zero, X, 0.0)
        out: Any = np.empty((X.shape[0], self.base.size), dtype=self.sums)
        out[:] = self.base
        walk(_rows(X, self.single), self.feature, self.threshold, self.child, self.value, self.root, self.group,
             self.strict, out)  # fmt: skip
        return np.asarray(out, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class ObliviousTrees:
    """Trees that ask one question a level.

    Parameters
    ----------
    feature, border : (splits,)
        A row whose feature lies above the border passes.
    first_split : (trees + 1,)
    value : (leaves, k)
    first_leaf : (trees,)
    scale : float
    base : (k,)
        Sums are scaled and then moved by it.
    """

    feature: I32
    border: Floats
    first_split: I32
    value: Floats
    first_leaf: I32
    scale: float
    base: Floats

    def add(self, X: Floats) -> Floats:
        """Scaled sums of leaves and the base, (n, k)."""
        from scalper_ml.models.kernels.trees import walk_oblivious

        out = np.zeros((X.shape[0], self.value.shape[1]))
        walk_oblivious(_rows(X, True), self.feature, self.border, self.first_split, self.value, self.first_leaf, out)
        return self.scale * out + self.base


def _rows(X: Floats, single: bool) -> Floats:
    return np.ascontiguousarray(X.astype(np.float32) if single else X, dtype=np.float64)
