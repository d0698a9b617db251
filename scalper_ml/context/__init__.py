"""Feeds beside the trades: bitemporal, joined as of the moment they were known."""

from scalper_ml.context.asof import as_of, vintage
from scalper_ml.context.base import ContextFile
from scalper_ml.context.feeds import merge_context
from scalper_ml.context.kinds import KINDS
from scalper_ml.context.read import read_context

__all__ = ["KINDS", "ContextFile", "as_of", "merge_context", "read_context", "vintage"]
