"""Is what the loop traded what the backtest of the same period says it would have?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scalper_ml.backtest.engine import run_backtest
from scalper_ml.backtest.labelled import AsLabelled
from scalper_ml.backtest.rows import of_role
from scalper_ml.errors import WarehouseError
from scalper_ml.layers.base import Keys
from scalper_ml.layers.datasets import dataset_params, project_costs
from scalper_ml.layers.fills import project_execution, tape_of, tick_partition
from scalper_ml.project import Project
from scalper_ml.schema import us

__all__ = ["Agreement", "agreement", "score_trades", "score_window"]

_SAME: Final = (
    "side", "confidence", "entry_price", "exit_price", "qty", "fees", "spread", "slippage", "net", "risk", "r",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Agreement:
    """Trades of a replay beside those of the backtest.

    Parameters
    ----------
    first : str
        Where they part; empty where they do not.
    nothing : str
        Why there is no trade on either side, so that nothing was compared; empty where there is one.
    """

    horizon: int
    replayed: int
    backtested: int
    equal: int
    first: str = ""
    nothing: str = ""

    @property
    def complete(self) -> bool:
        """Every trade of either is one of the other, to the last bit."""
        return self.replayed == self.backtested == self.equal


def score_window(project: Project, keys: Keys) -> tuple[int, int]:
    """First and last close of the score role: what a backtest trades."""
    dataset = project.warehouse.read_table(project.warehouse.require("datasets", keys), columns=["ts_us", "role"])
    ts = us(dataset.filter(pc.equal(dataset["role"], "score"))["ts_us"])
    return int(ts[0]), int(ts[-1])


def score_trades(project: Project, keys: Keys, min_confidence: float) -> pa.Table:
    """Trades of the champion on the score role at a confidence.

    Raises
    ------
    WarehouseError
        There is no champion.
    """
    warehouse = project.warehouse
    pointer: Mapping[str, Any] = warehouse.require("champions", keys).summary
    if pointer["bundle_id"] is None:
        raise WarehouseError(f"replay {dict(keys)}: no champion ({pointer['reason']}), so nothing to compare with")
    made = warehouse.require(pointer["layer"], keys)
    if made.summary["bundle_id"] != pointer["bundle_id"]:
        raise WarehouseError(
            f"replay {dict(keys)}: the champion is {pointer['bundle_id'][:12]}, {pointer['layer']} holds predictions "
            f"of {made.summary['bundle_id'][:12]}; run `scalper run` to compare"
        )
    dataset, execution = warehouse.read_table(warehouse.require("datasets", keys)), project_execution(project)
    horizon, ticks = int(keys["horizon"]), tick_partition(project, keys)
    return run_backtest(
        warehouse.read_table(warehouse.require("bars", {"symbol": keys["symbol"]})),
        dataset,
        of_role(warehouse.read_table(made, "predictions.parquet"), "score"),
        role="score",
        threshold=min_confidence,
        costs=project_costs(project),
        horizon=horizon,
        interval_us=project.settings.interval_us,
        rule=AsLabelled.of(dataset_params(project, horizon).labels),
        execution=execution,
        tape=None if ticks is None else tape_of(project, ticks, dataset, horizon, execution),
    ).trades


def agreement(horizon: int, replayed: Sequence[Mapping[str, Any]], backtest: pa.Table) -> Agreement:
    """Compare trades by the bar they were decided on; prices, costs and results by their bits."""
    own = {int(trade["signal_ts_us"]): trade for trade in replayed}
    signals = us(backtest["signal_ts_us"]).tolist()
    columns = {name: backtest[name].to_numpy() for name in _SAME}
    equal, first = 0, ""
    for row, ts in enumerate(signals):
        trade = own.pop(ts, None)
        wrong = (
            ["missing"] if trade is None else [n for n in _SAME if np.float64(trade[n]) != np.float64(columns[n][row])]
        )
        equal += not wrong
        first = first or (f"{ts} us: {', '.join(wrong)}" if wrong else "")
    if own and not first:
        first = f"{min(own)} us: not in the backtest"
    nothing = "" if replayed or signals else "neither has a trade"
    return Agreement(horizon, len(replayed), len(signals), equal, first, nothing)
