"""Everything a synthetic market is made from."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Final, Literal

from scalper_ml.errors import SettingsError

__all__ = ["GENERATOR_VERSION", "SyntheticSpec", "Texture"]

GENERATOR_VERSION: Final = 2
"""Of the generators: a change in what they draw is a new version."""

_DAY_US: Final = 86_400_000_000
_TEXTURE: Final[dict[str, tuple[float, float]]] = {
    "vol_sd": (0.0, 1.5),
    "fast_half_life": (1.0, 1e5),
    "slow_half_life": (1.0, 1e6),
    "jumps_per_day": (0.0, 1000.0),
    "jump_sigmas": (0.0, 100.0),
    "season": (0.0, 0.9),
    "burst": (0.0, 10.0),
    "branching": (0.0, 0.95),
    "excitation_s": (0.01, 1e5),
}


@dataclass(frozen=True, slots=True)
class Texture:
    """What the returns and counts of a market of levels A and null look like, beside their planted signal.

    None of it foretells a direction: the best forecast of a sign stays the sign of the signal.

    Attributes
    ----------
    vol_sd : float
        Standard deviation of each of the two factors of log volatility, AR(1) over bars; trades come faster with it.
    fast_half_life, slow_half_life : float
        Of these factors, bars.
    shock_df : float
        Degrees of freedom of Student's t, above 2; 0: normal shocks.
    jumps_per_day, jump_sigmas : float
        Mean number, and standard deviation in units of the 1-bar one.
    season : float
        Amplitude of volatility and activity over the day, the peak at 15:00 UTC.
    burst : float
        By how much the first minute of each hour is busier, a share.
    branching : float
        Trades that a trade sets off by itself, on average: a Hawkes process, below 1. Over long times the variance of
        counts is ``(1 - branching)^-2`` times their mean; 0: trades come evenly.
    excitation_s : float
        Mean time from a trade to one that it sets off, seconds.
    """

    vol_sd: float = 0.0
    fast_half_life: float = 14.0
    slow_half_life: float = 1020.0
    shock_df: float = 0.0
    jumps_per_day: float = 0.0
    jump_sigmas: float = 3.0
    season: float = 0.0
    burst: float = 0.0
    branching: float = 0.0
    excitation_s: float = 1 / 0.15

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises
        ------
        SettingsError
            Names the field, the value and the range.
        """
        if not (self.shock_df == 0 or self.shock_df > 2):
            raise SettingsError(f"synthetic market: shock_df is {self.shock_df!r}; expected 0 or above 2")
        for name, (low, high) in _TEXTURE.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"synthetic market: {name} is {value!r}; expected {low:g} to {high:g}")

    @property
    def plain(self) -> bool:
        """Whether shocks are normal, of one size, and trades come evenly."""
        return self.calm and not self.branching

    @property
    def calm(self) -> bool:
        """Whether shocks are normal and of one size."""
        return not (self.vol_sd or self.shock_df or self.jumps_per_day or self.season or self.burst)


@dataclass(frozen=True, slots=True)
class SyntheticSpec:
    """Everything a synthetic market is made from; the same spec gives the same bytes.

    Attributes
    ----------
    level : {"A", "B", "null"}
    symbol : str
    days : float
    interval_us : int
        Bar length; level B needs whole seconds.
    trades_per_bar : float
        Mean count, at least 4.
    sigma : float
        Standard deviation of 1-bar log returns of the mid, a fraction.
    rho, phi : float
        Level A: correlation of the signal with the next return, and autocorrelation of the signal. A null market
        keeps `phi` and ignores `rho`.
    spread_bps : float
        Full quoted spread.
    start_price : float
    start_us : int
        First microsecond, a multiple of the interval.
    seed : int
    trade_notional : float
        Mean size of a trade in quote currency.
    drift, flow_tilt, decoy_tilt, impact : float
        Level B (METHOD 7.3): rho, kappa, kappa_q and eta.
    dwell_s, decoy_dwell_s : float
        Level B: mean dwell of the hidden states, seconds.
    trend : float
        Levels A and null: drift of the mid a bar, in units of `sigma`.
    flip_at : float
        Level A: share of the market after which the signal moves prices the other way; 0: never.
    lead_seed : int or None
        Levels A and null: follow a null market that has this seed and is otherwise alike. What moves the next bar
        is then its newest return, and the flow tells nothing of it.
    lead_share : float
        Correlation of the return with the return of the leader a bar before.
    texture : Texture
        Levels A and null.
    horizons : tuple of int
        Bars, for the stated optimum.
    deadband_k : float
        Half-width of the neutral class in standard deviations of the h-bar return, for the stated optimum.
    """

    level: Literal["A", "B", "null"] = "A"
    symbol: str = "SYNUSDT"
    days: float = 10
    interval_us: int = 60_000_000
    trades_per_bar: float = 60
    sigma: float = 6e-4
    rho: float = 0.10
    phi: float = 0.90
    spread_bps: float = 1.0
    start_price: float = 100.0
    start_us: int = 1_704_067_200_000_000
    seed: int = 7
    trade_notional: float = 5_000.0
    drift: float = 0.06
    flow_tilt: float = 0.30
    decoy_tilt: float = 0.35
    impact: float = 0.6
    dwell_s: float = 240.0
    decoy_dwell_s: float = 90.0
    trend: float = 0.0
    flip_at: float = 0.0
    lead_seed: int | None = None
    lead_share: float = 0.0
    texture: Texture = field(default_factory=Texture)
    horizons: tuple[int, ...] = (1, 3, 5, 15)
    deadband_k: float = 0.5

    def __post_init__(self) -> None:
        """Refuse values that make no market.

        Raises
        ------
        SettingsError
            Names the field, the value and the range.
        """
        hidden = self.level == "B"
        limits = {
            "level": (self.level in ("A", "B", "null"), "'A', 'B' or 'null'"),
            "interval_us": (
                self.interval_us > 0 and not (self.level == "B" and self.interval_us % 1_000_000),
                "positive microseconds, and whole seconds in level B",
            ),
            "days": (
                self.interval_us > 0 and 0 < self.days < 1e5 and self.bars >= 2,
                "at least two bars, below 1e5 days",
            ),
            "trades_per_bar": (self.trades_per_bar >= 4, "at least 4"),
            "sigma": (0 < self.sigma < 0.2, "a fraction between 0 and 0.2"),
            "rho": (-1 < self.rho < 1, "between -1 and 1"),
            "phi": (-1 < self.phi < 1, "between -1 and 1"),
            "spread_bps": (0 <= self.spread_bps < 1000, "between 0 and 1000"),
            "start_price": (0 < self.start_price < 1e9, "positive, below 1e9"),
            "start_us": (self.interval_us > 0 and self.start_us % self.interval_us == 0, "a multiple of interval_us"),
            "trade_notional": (self.trade_notional > 0, "positive"),
            "flow_tilt": (abs(self.flow_tilt) + abs(self.decoy_tilt) < 1, "below 1 together with decoy_tilt"),
            "dwell_s": (self.dwell_s > 1 and self.decoy_dwell_s > 1, "above 1 second, both"),
            "trend": (abs(self.trend) < 1 and not (hidden and self.trend), "between -1 and 1, and 0 in level B"),
            "flip_at": (0 <= self.flip_at < 1 and not (self.flip_at and self.level != "A"), "0 to 1, level A only"),
            "lead_share": (
                abs(self.lead_share) < 1 and bool(self.lead_share) == (self.lead_seed is not None),
                "between -1 and 1, not 0 where there is a lead_seed and 0 where there is none",
            ),
            "lead_seed": (
                self.lead_seed is None or (self.level == "null" and self.lead_seed != self.seed),
                "None, or another seed than the market's own in a null market",
            ),
            "texture": (self.texture.plain or not hidden, "a plain one in level B"),
            "horizons": (bool(self.horizons) and min(self.horizons) >= 1, "at least one, each at least 1 bar"),
        }
        for name, (good, expected) in limits.items():
            if not good:
                found = getattr(self, name)
                raise SettingsError(f"synthetic market {self.symbol}: {name} is {found!r}; expected {expected}")

    @property
    def bars(self) -> int:
        """Bars in the market."""
        return int(self.days * _DAY_US) // self.interval_us

    @property
    def edge(self) -> float:
        """`rho`, or 0 in a null market; where there is a leader, `lead_share`."""
        return self.lead_share if self.level == "null" else self.rho

    @property
    def leader(self) -> "SyntheticSpec | None":
        """The market that is followed, on its own: a null market."""
        if self.lead_seed is None:
            return None
        return replace(self, seed=self.lead_seed, lead_seed=None, lead_share=0.0)

    @property
    def hash(self) -> str:
        """First 16 hex digits of the sha256 over every field and the generator's version."""
        text = json.dumps({"version": GENERATOR_VERSION, **asdict(self)}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
