"""TreeSHAP of a forest: its trees are handed to LightGBM, which has it, with counts of rows from outside."""

from typing import Any

import numpy as np
import numpy.typing as npt

from scalper_ml.errors import ContractError
from scalper_ml.forecasters.boosted_trees import lightgbm_parts
from scalper_ml.models.base import Floats
from scalper_ml.models.trees import Trees

__all__ = ["forest_parts"]

Counts = npt.NDArray[np.int64]


def forest_parts(trees: Trees, X: Floats, seen: Floats) -> Floats:
    """What each feature adds to the sum of all trees (n, f).

    Parameters
    ----------
    trees : Trees
        Of a forest (`forest_trees`).
    X : (n, f)
    seen : (m, f)
        Rows of which each node's share is counted.

    Raises
    ------
    ContractError
        A node is reached by none of `seen`: the forest learnt from others.

    References
    ----------
    Lundberg et al. (2020), From local explanations to global understanding with explainable AI for trees.
    """
    import lightgbm

    count = _rows_by_node(trees, _single(seen))
    if empty := int(np.count_nonzero(count == 0)):
        raise ContractError(
            f"forest: {empty} of {count.size} nodes are reached by none of {len(seen)} rows; expected its own rows"
        )
    text = _lightgbm_text(trees, count, X.shape[1])
    return lightgbm_parts(lightgbm.Booster(model_str=text), _single(X))


def _single(X: Floats) -> Floats:
    return X.astype(np.float32).astype(np.float64)  # a forest compares float32; LightGBM then sees the same


def _rows_by_node(trees: Trees, X: Floats) -> Counts:
    count = np.zeros(trees.feature.size, dtype=np.int64)
    waiting = [(int(root), np.arange(len(X))) for root in trees.root]
    while waiting:
        node, rows = waiting.pop()
        count[node] = rows.size
        if trees.feature[node] >= 0:
            below = X[rows, trees.feature[node]] <= trees.threshold[node]
            left, right = trees.child[node].tolist()
            waiting += [(left, rows[below]), (right, rows[~below])]
    return count


def _lightgbm_text(trees: Trees, count: Counts, features: int) -> str:
    """The trees in LightGBM's own format."""
    names, ranges = (" ".join([f"f{j}" for j in range(features)]), " ".join(["[-inf:inf]"] * features))
    head = {"version": "v4", "num_class": 1, "num_tree_per_iteration": 1, "label_index": 0}
    head |= {"max_feature_idx": features - 1, "objective": "regression"}
    head |= {"feature_names": names, "feature_infos": ranges}
    ends = np.append(trees.root[1:], trees.feature.size)
    blocks = [
        {"Tree": place} | _tree(trees, count, np.arange(first, end))
        for place, (first, end) in enumerate(zip(trees.root, ends, strict=True))
    ]
    told = ["\n".join(f"{name}={value}" for name, value in block.items()) for block in (head, *blocks)]
    return "tree\n" + "\n\n".join(told) + "\n\nend of trees\n\nparameters:\nend of parameters\n"


def _tree(trees: Trees, count: Counts, nodes: Counts) -> dict[str, Any]:
    leaf = trees.feature[nodes] < 0
    place = np.where(leaf, ~(np.cumsum(leaf) - 1), np.cumsum(~leaf) - 1)  # leaves are numbered from ~0 downwards
    inner, leaves = nodes[~leaf], nodes[leaf]
    child = place[trees.child[inner] - nodes[0]].reshape(-1, 2)
    columns: dict[str, Any] = {
        "split_feature": trees.feature[inner],
        "split_gain": np.zeros(inner.size),
        "threshold": trees.threshold[inner],
        "decision_type": np.full(inner.size, 2),  # a number, missing values to the left: there are none
        "left_child": child[:, 0],
        "right_child": child[:, 1],
        "leaf_value": trees.value[leaves],
        "leaf_weight": count[leaves],
        "leaf_count": count[leaves],
        "internal_value": np.zeros(inner.size),
        "internal_weight": count[inner],
        "internal_count": count[inner],
    }
    told = {name: " ".join(map(repr, values.tolist())) for name, values in columns.items()}
    return {"num_leaves": leaves.size, "num_cat": 0, **told, "is_linear": 0, "shrinkage": 1}
