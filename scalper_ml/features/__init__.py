"""Features: one kernel each, the same bits in batch, online and resumed."""

from scalper_ml.features.engine import FeatureBlock, FeatureStream, available_groups, compute, inputs_from_bars
from scalper_ml.features.registry import FAMILIES, INPUT_COLUMNS, KINDS, FeatureSet, FeatureSpec, feature_set

__all__ = [
    "FAMILIES",
    "INPUT_COLUMNS",
    "KINDS",
    "FeatureBlock",
    "FeatureSet",
    "FeatureSpec",
    "FeatureStream",
    "available_groups",
    "compute",
    "feature_set",
    "inputs_from_bars",
]
