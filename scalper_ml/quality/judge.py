"""Facts of all days to findings: every rule, passed or not."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from scalper_ml.errors import SettingsError
from scalper_ml.quality.evidence import Evidence, Limits
from scalper_ml.quality.facts import DayFacts
from scalper_ml.quality.gaps import gaps_of
from scalper_ml.quality.instruments import Instrument
from scalper_ml.quality.rules import QUOTE_RULES, RULES, SEVERITIES, TRADE_RULES, Rule, Severity

__all__ = ["Finding", "judge", "judge_quotes", "severities"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of a symbol's ticks.

    Attributes
    ----------
    rule : str
    severity : {"error", "warn", "ignore"}
    passed : bool
        Whether `count` is 0.
    count : int
        Faults, in the rule's unit.
    description : str
    values : mapping
        Numbers behind it, JSON-able.
    examples : tuple of str
        The first places.
    """

    rule: str
    severity: Severity
    passed: bool
    count: int
    description: str
    values: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether nothing may be built on these ticks."""
        return not self.passed and self.severity == "error"

    def to_json(self) -> dict[str, Any]:
        """A document of numbers, text and lists."""
        return asdict(self) | {"examples": list(self.examples)}


def severities(given: Mapping[str, str]) -> dict[str, Severity]:
    """Severity of every rule: as given, else its own.

    Raises
    ------
    SettingsError
        A rule or a severity is unknown; names those that are.

    Examples
    --------
    >>> severities({"id_gaps": "error"})["id_gaps"], severities({})["id_gaps"]
    ('error', 'warn')
    """
    out = {name: rule.severity for name, rule in RULES.items()}
    for name, value in given.items():
        if name not in RULES:
            close = difflib.get_close_matches(name, RULES, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise SettingsError(f"quality rule {name!r} is unknown{hint} rules: {sorted(RULES)}")
        if value not in SEVERITIES:
            raise SettingsError(f"quality rule {name!r}: found severity {value!r}; expected one of {SEVERITIES}")
        out[name] = value  # type: ignore[assignment]
    return out


def judge(
    facts_by_day: Mapping[str, DayFacts],
    quarantine_reasons: Mapping[str, int],
    observations: pa.Table,
    given: Mapping[str, str] | None = None,
    *,
    limits: Limits | None = None,
    instrument: Instrument | None = None,
    expected: tuple[date, date] | None = None,
    now_us: int | None = None,
) -> list[Finding]:
    """A finding per rule about trades that is not ignored, passed or not, in the order of the registry.

    Parameters
    ----------
    facts_by_day : mapping of str to DayFacts
        By the UTC day, ``YYYY-MM-DD``, that the rows are stored under.
    quarantine_reasons : mapping of str to int
        Rows in quarantine by reason.
    observations : pyarrow.Table
        Schema `OBSERVATIONS`: every file as it was read, a file read again with other bytes included.
    given : mapping of str to str, optional
        Severities by rule that differ from the rules' own.
    limits : Limits, optional
    instrument : Instrument, optional
        When the symbol was listed: other days are not missing.
    expected : tuple of date, optional
        First and last day that are wanted; by default the first and last that are there.
    now_us : int, optional
        Moment that no stamp may be ahead of.

    Raises
    ------
    SettingsError
        A rule or severity in `given` is unknown.
    """
    facts = {day: facts_by_day[day] for day in sorted(facts_by_day)}
    evidence = Evidence(
        facts,
        gaps_of(facts),
        reasons=quarantine_reasons,
        observations=observations,
        instrument=instrument or Instrument(""),
        expected=expected,
        now_us=now_us,
        limits=limits or Limits(),
    )
    return _judged(TRADE_RULES, evidence, given or {})


def judge_quotes(
    counts: Mapping[str, int], examples: Mapping[str, tuple[str, ...]], given: Mapping[str, str] | None = None
) -> list[Finding]:
    """A finding per rule about quotes that is not ignored, passed or not.

    Parameters
    ----------
    counts : mapping of str to int
        Of the quotes of a symbol: ``rows``, ``crossed``, ``stale``; empty where there are none.
    examples : mapping of str to tuple of str
        The first places of each count.
    given : mapping of str to str, optional
        As in `judge`.

    Examples
    --------
    >>> [(one.rule, one.passed) for one in judge_quotes({"rows": 10, "crossed": 2}, {}, {"stale_quotes": "ignore"})]
    [('crossed_quotes', False)]
    """
    return _judged(QUOTE_RULES, Evidence({}, (), quotes=counts, quote_examples=examples), given or {})


def _judged(rules: Mapping[str, Rule], evidence: Evidence, given: Mapping[str, str]) -> list[Finding]:
    chosen = severities(given)
    findings = []
    for name, rule in rules.items():
        if chosen[name] != "ignore":
            found = rule.check(evidence)
            findings.append(
                Finding(name, chosen[name], found.count == 0, found.count, found.text, found.values, found.examples)
            )
    return findings
