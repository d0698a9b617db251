"""Trees read out of XGBoost, LightGBM, CatBoost and scikit-learn, in the numbers these libraries compute with."""

import json
import os
import tempfile
from typing import Any

import numpy as np

from scalper_ml.models.trees import ObliviousTrees, Trees

__all__ = ["catboost_trees", "forest_trees", "lightgbm_trees", "xgboost_trees"]


_LIGHTGBM_ZERO = float(np.float32(1e-35))  # what LightGBM takes for zero, as it does what is unknown


def xgboost_trees(booster: Any) -> Trees:
    """Trees of a Booster; `Trees.add` gives its margins bit for bit."""
    said = json.loads(bytes(booster.save_raw("json")))["learner"]
    model = said["gradient_booster"]["model"]
    base = [float(value) for value in said["learner_model_param"]["base_score"].strip("[]").split(",")]
    parts = []
    for tree in model["trees"]:
        left, right = np.array(tree["left_children"]), np.array(tree["right_children"])
        leaf = left < 0
        value = np.array(tree["split_conditions"], dtype=np.float32)  # of a leaf its value
        feature = np.where(leaf, -1, np.array(tree["split_indices"]))
        parts.append((feature, value, np.where(leaf, 0, left), np.where(leaf, 0, right), value))
    if said["objective"]["name"] == "binary:logistic":  # kept as a probability, added as log-odds
        chance = np.float32(base[0])
        base = [float(-np.log(np.float32(1.0) / chance - np.float32(1.0)))]
    return Trees.joined(parts, model["tree_info"], np.array(base), strict=True, single=True, sums=np.float32)


def lightgbm_trees(text: str, groups: int) -> Trees:
    """Trees of a model's text, `groups` to a round; `Trees.add` gives its raw scores bit for bit."""
    parts = []
    for block in text.split("\nTree=")[1:]:
        said = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        leaves = np.array(said["leaf_value"].split(), dtype=np.float64)
        inner = leaves.size - 1

        def numbers(name: str, dtype: type, said: dict[str, str] = said, inner: int = inner) -> Any:
            return np.array(said[name].split() if inner else [], dtype=dtype)

        def child(name: str, inner: int = inner, read: Any = numbers) -> Any:
            to = read(name, np.int64)
            return np.where(to < 0, inner + ~to, to)  # leaves are numbered from ~0 downwards

        pad, none = np.zeros(leaves.size), np.zeros(leaves.size, dtype=np.int64)
        parts.append(
            (
                np.concatenate([numbers("split_feature", np.int64), none - 1]),
                np.concatenate([numbers("threshold", np.float64), pad]),
                np.concatenate([child("left_child"), none]),
                np.concatenate([child("right_child"), none]),
                np.concatenate([np.zeros(inner), leaves]),
            )
        )
    group = [tree % groups for tree in range(len(parts))]
    return Trees.joined(parts, group, np.zeros(groups), strict=False, single=False, zero=_LIGHTGBM_ZERO)


def catboost_trees(model: Any) -> ObliviousTrees:
    """Oblivious trees of a CatBoost model; `ObliviousTrees.add` gives its raw values."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.json")
        model.save_model(path, format="json")
        with open(path, encoding="utf-8") as source:
            said = json.load(source)
    column = [one["flat_feature_index"] for one in said["features_info"]["float_features"]]
    scale, base = said["scale_and_bias"]
    splits = [tree["splits"] or [] for tree in said["oblivious_trees"]]
    flat = [split for of in splits for split in of]
    k = len(base)
    values = [np.array(tree["leaf_values"], dtype=np.float64).reshape(-1, k) for tree in said["oblivious_trees"]]
    leaves = np.cumsum([0, *(len(one) for one in values)])
    return ObliviousTrees(
        feature=np.array([column[split["float_feature_index"]] for split in flat], dtype=np.int32),
        border=np.array([split["border"] for split in flat], dtype=np.float32).astype(np.float64),
        first_split=np.cumsum([0, *(len(of) for of in splits)]).astype(np.int32),
        value=np.concatenate([*values, np.empty((0, k))]),
        first_leaf=leaves[:-1].astype(np.int32),
        scale=float(scale),
        base=np.array(base, dtype=np.float64),
    )


def forest_trees(forest: Any) -> Trees:
    """Trees of a scikit-learn random forest of numbers: its prediction is their sum over their number."""
    parts = []
    for one in forest.estimators_:
        tree = one.tree_
        leaf = tree.children_left < 0
        feature = np.where(leaf, -1, tree.feature)
        left, right = (np.where(leaf, 0, side) for side in (tree.children_left, tree.children_right))
        parts.append((feature, np.where(leaf, 0.0, tree.threshold), left, right, tree.value[:, 0, 0]))
    return Trees.joined(parts, [0] * len(parts), np.zeros(1), strict=False, single=True)
