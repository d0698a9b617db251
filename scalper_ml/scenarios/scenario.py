"""What a scenario is: markets whose answer is known, how they are played, and what must be found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalper_ml.errors import SettingsError
from scalper_ml.ingest.synthetic_spec import SyntheticSpec

if TYPE_CHECKING:
    from scalper_ml.project import Project

__all__ = ["Case", "Finding", "Found", "Must", "Scenario"]

_SEED_STEP = 100


@dataclass(frozen=True, slots=True)
class Must:
    """What has to be found: a number between `low` and `high`, or exactly the word `equals`.

    Parameters
    ----------
    name : str
        Which of the measured figures.
    text : str
        The promise, as the table prints it.
    low, high : float, optional
        Bounds, included.
    equals : str, optional
    fast : (low, high), optional
        Bounds of the miniature, whose figures are noisier; the same bounds if there are none.
    """

    name: str
    text: str
    low: float | None = None
    high: float | None = None
    equals: str | None = None
    fast: tuple[float | None, float | None] | None = None

    def bounds(self, fast: bool) -> tuple[float | None, float | None]:
        """Lowest and highest value allowed."""
        return self.fast if fast and self.fast is not None else (self.low, self.high)

    def expected(self, fast: bool) -> str:
        """What is expected, for the table.

        Examples
        --------
        >>> Must("x", "", low=0.95).expected(False), Must("x", "", 0.49, 0.51).expected(False)
        ('>= 0.95', '0.49 to 0.51')
        """
        if self.equals is not None:
            return self.equals
        low, high = self.bounds(fast)
        if low is None or high is None:
            return f">= {low:g}" if low is not None else f"<= {high:g}"
        return f"{low:g} to {high:g}"

    def holds(self, value: float | str, fast: bool) -> bool:
        """Whether a figure is what is expected; one that is no number holds nothing."""
        if self.equals is not None or isinstance(value, str):
            return isinstance(value, str) and value == self.equals
        low, high = self.bounds(fast)
        value = float(value)  # a bool of Python, not of NumPy, which is neither True nor False to those who ask
        return (low is None or value >= low) and (high is None or value <= high) and value == value


@dataclass(frozen=True, slots=True)
class Found:
    """A measured figure, and what it was made of."""

    value: float | str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table: `holds` is None where nothing could be played yet."""

    scenario: str
    text: str
    expected: str
    found: str
    holds: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario being played, in a folder of its own; `fast`: its miniature."""

    scenario: "Scenario"
    folder: Path
    fast: bool = False

    @property
    def seeds(self) -> tuple[int, ...]:
        """Replicates: a miniature has one."""
        return self.scenario.seeds[:1] if self.fast else self.scenario.seeds

    def open(self, symbols: tuple[str, ...], seed: int = 0, **changes: Any) -> "Project":
        """A project of these markets, with nothing built; `changes` are laid over the scenario's settings."""
        from scalper_ml.scenarios.play import open_case

        return open_case(self, symbols, seed, changes)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One entry of the registry.

    Parameters
    ----------
    name : str
        As settings and the command line call it.
    title : str
        What is planted.
    markets : mapping of symbol to SyntheticSpec
        Generator and parameters.
    must : tuple of Must
        What has to be found.
    measure : callable
        ``measure(case)`` plays the scenario and returns the figures that `must` names.
    settings : mapping
        Over the defaults of `scalper_ml.scenarios.play`: sections of the settings file.
    fast : mapping
        Over these, in the miniature.
    days, fast_days : float
        Length of the markets.
    seeds : tuple of int
        Replicates that are played.
    waits_for : str
        Why it cannot be played yet; empty if it can.
    """

    name: str
    title: str
    markets: Mapping[str, SyntheticSpec]
    must: tuple[Must, ...] = ()
    measure: Callable[[Case], Mapping[str, Found]] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    fast: Mapping[str, Any] = field(default_factory=dict)
    days: float = 30.0
    fast_days: float = 4.0
    seeds: tuple[int, ...] = (0,)
    waits_for: str = ""

    def spec(self, part: str | None, seed: int) -> SyntheticSpec:
        """One of its markets, replicate `seed`: markets that follow one another stay together.

        Raises
        ------
        SettingsError
            There is no such market; names those there are.
        """
        if part is None and len(self.markets) == 1:
            part = next(iter(self.markets))
        if part is None or part not in self.markets:
            raise SettingsError(
                f"scenario {self.name!r}: part {part!r} is none of its markets; expected one of {sorted(self.markets)}"
            )
        spec = self.markets[part]
        lead_seed = None if spec.lead_seed is None else spec.lead_seed + _SEED_STEP * seed
        return replace(spec, seed=spec.seed + _SEED_STEP * seed, lead_seed=lead_seed)
