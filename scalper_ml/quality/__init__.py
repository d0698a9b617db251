"""Quality of ticks as data: facts of a day, rules over them, gaps, coverage and listings."""

from scalper_ml.quality.evidence import Limits
from scalper_ml.quality.facts import DayFacts, Gap
from scalper_ml.quality.fold import day_facts
from scalper_ml.quality.gaps import gaps_table
from scalper_ml.quality.judge import Finding, judge, severities
from scalper_ml.quality.rules import RULES, Rule

__all__ = [
    "RULES",
    "DayFacts",
    "Finding",
    "Gap",
    "Limits",
    "Rule",
    "day_facts",
    "gaps_table",
    "judge",
    "severities",
]
