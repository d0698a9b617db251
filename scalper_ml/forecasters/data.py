"""What forecasters learn from: features and targets side by side, in parts that no window may leave."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scalper_ml.errors import ContractError, InsufficientDataError
from scalper_ml.forecasters.base import Rows
from scalper_ml.forecasters.har import fit_har
from scalper_ml.forecasters.targets import Target
from scalper_ml.forecasters.windows import window_ends
from scalper_ml.models.base import Floats
from scalper_ml.schema import DATASET, TARGETS, conform, us
from scalper_ml.vocabulary import ROLES

__all__ = ["ForecastData", "forecast_data"]


@dataclass(frozen=True, slots=True)
class ForecastData:
    """Unscaled features X (n, f), a target and its intervals, rows in time order.

    Parameters
    ----------
    y : (n,)
        The target; class codes as numbers.
    known : (n,)
        Whether a row has a target.
    past : (n, 3), optional
        Volatility before the decision, of targets whose baseline is HAR.
    interval_us : int
        From one bar to the next.
    """

    X: Floats
    y: Floats
    known: npt.NDArray[np.bool_]
    weight: Floats
    ts: Rows
    t0: Rows
    t1: Rows
    role: npt.NDArray[np.str_]
    interval_us: int
    past: Floats | None = None

    def rows(self, role: str) -> Rows:
        """Rows of a role that have a target, ascending."""
        return np.flatnonzero((self.role == role) & self.known)

    def ends(self, rows: Rows, lookback: int) -> Rows:
        """Those of `rows` that see `lookback` consecutive bars of one role, all among `rows` or without a target."""
        if lookback == 1:
            return rows
        part = np.full(self.ts.size, -1)
        inside = np.zeros(self.ts.size, dtype=np.bool_)
        if rows.size:
            inside[rows[0] : rows[-1] + 1] = True
        for number, role in enumerate(ROLES):
            part[(self.role == role) & inside] = number
        return rows[np.isin(rows, window_ends(self.ts, part, lookback, self.interval_us))]

    def baseline(self, target: Target, train: Rows) -> Floats:
        """The forecast to beat, of every row, made from `train` rows alone: (n,), or class shares (n, k)."""
        n = self.y.size
        if target.baseline == "zero":
            return np.zeros(n)
        if target.baseline == "har" and self.past is not None:
            return fit_har(self.past, self.y, train)
        if target.baseline == "rates":
            shares = np.bincount(self.y[train].astype(np.int64), minlength=target.classes) / train.size
            return np.broadcast_to(shares, (n, target.classes))
        return np.full(n, float(self.y[train].mean()))

    def with_columns(self, columns: Rows) -> "ForecastData":
        """With some of the features."""
        return replace(self, X=self.X[:, columns])


def forecast_data(
    X: Floats,
    table: pa.Table,
    targets: pa.Table,
    names: Sequence[str],
    target: Target,
    *,
    interval_us: int,
    past: Floats | None = None,
) -> ForecastData:
    """Features, dataset and targets side by side; a target of a feed is a further column of `targets`.

    Raises
    ------
    ContractError
        Rows, columns or names do not agree.
    InsufficientDataError
        A role has no row with a target.
    """
    beside = [pa.field(target.column, pa.float64(), nullable=False)] if target.feed else []
    table, found = conform(table, DATASET, "dataset"), conform(targets, pa.schema([*TARGETS, *beside]), "targets")
    values = np.asarray(X, dtype=np.float64)
    if values.shape != (table.num_rows, len(names)) or found.num_rows != table.num_rows:
        raise ContractError(
            f"forecasts: found X of shape {values.shape} and {found.num_rows} targets; expected "
            f"({table.num_rows}, {len(names)}) and as many targets: a row a label, a column a feature name"
        )
    if not np.array_equal(us(table["ts_us"]), us(found["ts_us"])):
        raise ContractError("forecasts: targets of other rows than the dataset's; make the dataset again")
    y, known = target.values(found)
    data = ForecastData(
        X=values,
        y=y,
        known=known,
        weight=table["weight"].to_numpy().astype(np.float64),
        ts=us(table["ts_us"]),
        t0=us(table["t0_us"]),
        t1=us(table["t1_us"]),
        role=table["role"].to_numpy(zero_copy_only=False).astype(np.str_),
        interval_us=interval_us,
        past=past,
    )
    for role in ROLES:
        if data.rows(role).size == 0:
            raise InsufficientDataError(f"forecasts: role {role!r} has no rows with a {target.name}; bring more bars")
    return data
