"""Findings of the rules of `scalper_ml.quality` as checks of a partition."""

from collections.abc import Iterable, Sequence

from scalper_ml.quality import Finding
from scalper_ml.warehouse import Check

__all__ = ["finding_checks"]


def finding_checks(findings: Sequence[Finding], rules: Iterable[str]) -> list[Check]:
    """One check a rule, in the order of the rules; one without a finding is ignored, as the settings say."""
    found = {one.rule: _as_check(one) for one in findings}
    ignored = {name: Check(name, True, "ignored, as the settings say", blocking=False) for name in rules}
    return list({**ignored, **found}.values())


def _as_check(finding: Finding) -> Check:
    where = f": {', '.join(finding.examples)}" if finding.examples else ""
    return Check(
        finding.rule,
        finding.passed,
        f"{finding.description}{where}",
        blocking=finding.severity == "error",
        values={"count": finding.count, **finding.values},
    )
