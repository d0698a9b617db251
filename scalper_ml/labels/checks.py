"""What every labeller refuses: bars out of order, impossible prices."""

import numpy as np
from numpy.typing import NDArray

from scalper_ml.errors import ContractError

__all__ = ["check_bars", "check_decisions", "check_order", "check_prices", "check_scale", "spread_out"]

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def check_bars(price: F64, start: I64, close: I64, interval_us: int) -> None:
    """Refuse bars that are not those of one symbol in time order, each `interval_us` long."""
    if price.ndim != 1 or start.shape != price.shape or close.shape != price.shape:
        raise ContractError(
            f"bars: open, open_ts_us and ts_us have shapes {price.shape}, {start.shape}, {close.shape}; "
            "expected one value a bar in each"
        )
    if price.size == 0:
        raise ContractError("bars: found none; expected at least one - build bars before labelling")
    check_prices("bars: open", price)
    if (bad := _first(close - start != interval_us)) is not None:
        raise ContractError(
            f"bars: row {bad} lasts {close[bad] - start[bad]:,} us; expected interval_us = {interval_us:,} - "
            "label bars with the interval they were built with"
        )
    if (bad := _first(np.diff(close) < interval_us)) is not None:
        raise ContractError(
            f"bars: row {bad + 1} starts before row {bad} has closed ({start[bad + 1]} < {close[bad]}); expected the "
            "bars of one symbol in time order - symbols are labelled one by one, never concatenated"
        )


def check_scale(name: str, values: F64, n: int, unknown: NDArray[np.bool_]) -> None:
    """Refuse a volatility or cost that is not one finite fraction a bar, but where it is not known."""
    if values.shape != (n,):
        raise ContractError(f"labels: {name} has shape {values.shape}; expected ({n},), one value a bar")
    if (bad := _first(~unknown & ~(np.isfinite(values) & (values >= 0)))) is not None:
        raise ContractError(f"labels: {name} of row {bad} is {values[bad]!r}; expected a finite fraction >= 0")


def check_prices(what: str, price: F64) -> None:
    """Refuse a price that is not finite and positive; `what` begins the message."""
    if (bad := _first(~(np.isfinite(price) & (price > 0)))) is not None:
        raise ContractError(f"{what} of row {bad} is {float(price[bad])!r}; expected a finite price > 0")


def check_decisions(close: I64) -> None:
    """Refuse decisions that are not those of one symbol, each after the one before."""
    check_order("decisions", close, ())
    if (bad := _first(close[1:] == close[:-1])) is not None:
        raise ContractError(
            f"decisions: rows {bad} and {bad + 1} are of one moment ({close[bad]} us); expected closes of one symbol, "
            "each once - symbols are labelled one by one"
        )


def check_order(what: str, ts_us: I64, values: tuple[F64, ...]) -> None:
    """Refuse stamps that step back, or values that are not one for each of them."""
    if ts_us.ndim != 1 or any(value.shape != ts_us.shape for value in values):
        shapes = [ts_us.shape, *(value.shape for value in values)]
        raise ContractError(f"{what}: stamps and values have shapes {shapes}; expected (n,) for all")
    if (bad := _first(ts_us[1:] < ts_us[:-1])) is not None:
        raise ContractError(
            f"{what}: row {bad + 1} ({ts_us[bad + 1]} us) is before row {bad} ({ts_us[bad]} us); expected time order"
        )


def spread_out(value: NDArray[np.float64], n: int) -> F64:
    """A number as an array of n of them; arrays as they are."""
    return np.full(n, value) if value.ndim == 0 else value


def _first(mask: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(mask)) if mask.any() else None
