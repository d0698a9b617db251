"""Feeds beside the trades: bitemporal, joined as of the moment they were known."""

from scalper_ml.context.asof import as_of, vintage
from scalper_ml.context.base import ContextFile
from scalper_ml.context.feeds import merge_context
from scalper_ml.context.kinds import KINDS
from scalper_ml.context.per_bar import CONTEXT_BARS, context_bars, open_interest_change
from scalper_ml.context.quality import Finding, context_findings, file_findings
from scalper_ml.context.read import CONTEXT_SOURCES, read_context
from scalper_ml.context.schedule import CONTEXT_GAPS, context_gaps, interval_changes, missing_days

__all__ = [
    "CONTEXT_BARS",
    "CONTEXT_GAPS",
    "CONTEXT_SOURCES",
    "KINDS",
    "ContextFile",
    "Finding",
    "as_of",
    "context_bars",
    "context_findings",
    "context_gaps",
    "file_findings",
    "interval_changes",
    "merge_context",
    "missing_days",
    "open_interest_change",
    "read_context",
    "vintage",
]
