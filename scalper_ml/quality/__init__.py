"""Quality of ticks and quotes as data: facts of a day, rules over them, gaps, coverage and listings."""

from scalper_ml.quality.evidence import Limits
from scalper_ml.quality.facts import DayFacts, Gap
from scalper_ml.quality.fold import day_facts
from scalper_ml.quality.gaps import gaps_table
from scalper_ml.quality.judge import Finding, judge, judge_quotes, severities
from scalper_ml.quality.rules import QUOTE_RULES, RULES, TRADE_RULES, Rule

__all__ = [
    "QUOTE_RULES",
    "RULES",
    "TRADE_RULES",
    "DayFacts",
    "Finding",
    "Gap",
    "Limits",
    "Rule",
    "day_facts",
    "gaps_table",
    "judge",
    "judge_quotes",
    "severities",
]
