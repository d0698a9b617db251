"""Settings of what signals are worth and of what may trade: costs, the gate, drift, the running loop."""

from typing import Annotated, Literal

from pydantic import Field

from scalper_ml.sections.base import NotNegative, Positive, Section, Share

__all__ = ["Backtest", "Drift", "Gate", "Live"]


class Backtest(Section):
    """Costs as the trader pays them, a side (METHOD 6.2)."""

    fee_bps: NotNegative
    spread_bps: NotNegative  # full spread; half of it is paid a side
    impact: NotNegative  # Y of the square-root law
    notional: Positive  # quote units of one order
    risk_per_trade: Share  # of equity, for the compounded equity curve only
    venue: Literal["binance_usdm", "binance_usdm_bnb", "binance_spot", "binance_spot_bnb"] | None = None  # its fees
    maker_fee_bps: float = 0.0  # of a maker's fill, where no venue is named
    ticks: bool = True  # fill with trades where there are trades
    latency_ms: NotNegative = 250.0  # from the close of the bar to the venue; with bars the next open is later
    entry: Literal["taker", "maker"] = "taker"
    wait_s: Positive = 60.0  # before a maker order is taken back
    stop: Positive | None = None  # from the entry, in units of sigma * sqrt(horizon)
    target: Positive | None = None
    opposite: bool = False  # leave when the other side is signalled
    tick: NotNegative = 0.0  # grids of prices and quantities; 0: none
    lot: NotNegative = 0.0
    min_notional: NotNegative = 0.0
    volume_share: Annotated[float, Field(gt=0, le=1)] = 0.1  # of the signal bar's volume that an order may be
    funding: bool = True  # charge it where the context has settlements


class Gate(Section):
    """The published file and how its score is computed."""

    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    file: str
    reports: str = "reports"  # folder of the JSON reports of coins and of all of them
    draws: Annotated[int, Field(ge=200)]
    seed: Annotated[int, Field(ge=0)]
    min_score: Annotated[float, Field(ge=0, le=100)] | None = None  # can only tighten


class Drift(Section):
    """Recorded in every champion pointer; the drift monitors act on it."""

    drift_threshold: Share
    max_age_days: Positive


class Live(Section):
    """The running loop: when it does not trade whatever a model says (0: no such filter), and how often it saves."""

    dead_volatility: NotNegative = 0.0  # sigma over the horizon below so many round-trip costs
    price_shock: NotNegative = 0.0  # a bar that moved more than so many sigma
    inactivity: NotNegative = 0.0  # a bar of fewer trades
    checkpoint_s: Positive = 10.0  # of a bot; what is not saved yet is fetched again after a kill
    grace_ms: NotNegative = 1000.0  # after the end of a bar, by the venue's clock, before it is closed without a trade
    champions_s: Positive = 2.0  # how often a bot looks for new champions
