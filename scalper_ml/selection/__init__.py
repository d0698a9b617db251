"""Choosing features: clusters of correlated ones, what a model makes of them, and a set with an id of its own."""

from scalper_ml.selection.choose import ChosenSet, FeatureScore, Selection, SelectionParams, select_features
from scalper_ml.selection.clusters import correlation_clusters, rank_correlation
from scalper_ml.selection.importance import Importance, fold_importance, log_loss

__all__ = [
    "ChosenSet",
    "FeatureScore",
    "Importance",
    "Selection",
    "SelectionParams",
    "correlation_clusters",
    "fold_importance",
    "log_loss",
    "rank_correlation",
    "select_features",
]
