"""Play scenarios and set what was found beside what had to be found."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from scalper_ml.errors import ContractError
from scalper_ml.scenarios.scenario import Case, Finding, Found, Scenario

__all__ = ["findings_of", "verify"]


def verify(scenarios: Sequence[Scenario], folder: Path, *, fast: bool = False) -> Iterator[Finding]:
    """Play scenarios one after the other.

    Parameters
    ----------
    scenarios : sequence of Scenario
    folder : Path
        Where their projects are made.
    fast : bool
        Their miniatures.

    Returns
    -------
    iterator of Finding
        Lines of a scenario as soon as it has been played; `holds` is None for one that cannot be played yet.
    """
    for one in scenarios:
        yield from findings_of(one, folder, fast=fast)


def findings_of(scenario: Scenario, folder: Path, *, fast: bool = False) -> list[Finding]:
    """Play one scenario.

    Raises
    ------
    ContractError
        It does not measure what it says must be found.
    """
    if scenario.measure is None:
        return [Finding(scenario.name, scenario.title, "", "not yet supported", None, scenario.waits_for)]
    found = scenario.measure(Case(scenario, folder, fast))
    if missing := [must.name for must in scenario.must if must.name not in found]:
        raise ContractError(f"scenario {scenario.name}: {missing} were not measured; found {sorted(found)}")
    return [
        Finding(
            scenario.name,
            must.text,
            must.expected(fast),
            _said(found[must.name]),
            must.holds(found[must.name].value, fast),
            found[must.name].detail,
        )
        for must in scenario.must
    ]


def _said(found: Found) -> str:
    return found.value if isinstance(found.value, str) else f"{found.value:.4g}"
