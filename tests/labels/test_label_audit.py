"""Labels do not depend on what happens after their outcome, and the audit notices labels that do."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelrules import ruled

from scalper_ml.errors import AuditError
from scalper_ml.labels.audit import LabelAudit, Stream, Streams, label_audit
from scalper_ml.labels.horizon import Labels, horizon_labels

STEP = 60_000_000


def bars(n: int, seed: int, holes: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    start = STEP * np.cumsum(1 + rng.binomial(3, holes, n)).astype(np.int64)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    sigma = np.where(np.arange(n) < 5, np.nan, rng.uniform(5e-4, 2e-3, n))
    return price, start, start + STEP, sigma


def audit(label: Any = horizon_labels, horizon: int = 3, n: int = 120, seed: int = 0) -> LabelAudit:
    price, start, close, sigma = bars(n, seed)
    rule = ruled(horizon=horizon, interval_us=STEP, k_vol=0.43, kappa=1.0, max_gap_bars=2)

    def labelled(streams: Streams, until_us: int) -> Labels:
        known = streams["bars"]
        prices = (known.columns["price"], known.columns["start"], known.known_us)
        labels: Labels = label(*prices, sigma=known.columns["sigma"], cost=0.0005, **rule)
        return labels

    columns = {"price": price, "start": start, "sigma": sigma}
    return label_audit({"bars": Stream(close, columns)}, labelled, cuts=6, seed=seed)


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_no_label_changes_when_only_later_bars_change(seed: int, horizon: int) -> None:
    """Removed, scaled, reversed or thinned bars after a cut leave every label with t1 <= cut bit-identical."""
    result = audit(seed=seed, horizon=horizon)
    assert result.ok
    assert result.compared > 0
    result.require()


@given(st.integers(0, 10_000), st.integers(2, 100), st.integers(1, 6))
def test_truncated_data_has_exactly_the_labels_already_known(seed: int, past: int, horizon: int) -> None:
    """The first bars alone give the labels with t1 inside them, and not one more."""
    price, start, close, sigma = bars(120, seed)
    params: dict[str, Any] = {
        "horizon": horizon, "interval_us": STEP, "cost": 0.0005, "k_vol": 0.43, "kappa": 1.0, "max_gap_bars": 2,
    }  # fmt: skip
    full = horizon_labels(price, start, close, sigma=sigma, **ruled(**params))
    part = horizon_labels(price[:past], start[:past], close[:past], sigma=sigma[:past], **ruled(**params))
    known = full.t1 <= close[past - 1]
    assert part.row.tolist() == full.row[known].tolist()
    assert part.y.tolist() == full.y[known].tolist()
    assert part.ret.tobytes() == full.ret[known].tobytes()


def labels_the_end(price: np.ndarray, start: np.ndarray, close: np.ndarray, **params: Any) -> Labels:
    """Labels the rows without outcome as known at once."""
    labels = horizon_labels(price, start, close, **params)
    rest = np.setdiff1d(np.arange(5, len(price)), labels.row)
    fill = {
        name: np.concatenate([getattr(labels, name), np.zeros(rest.size, dtype=getattr(labels, name).dtype)])
        for name in ("ret", "entry", "exit", "deadband", "cost", "sigma", "y", "y_binary")
    }
    row = np.concatenate([labels.row, rest])
    times = {name: np.concatenate([getattr(labels, name), close[rest]]) for name in ("t0", "t1")}
    return Labels(row=row, **times, **fill, dropped={})


def deadband_of_the_whole_sample(price: np.ndarray, start: np.ndarray, close: np.ndarray, **params: Any) -> Labels:
    """Uses one volatility for all rows, measured on all rows."""
    sigma = np.full_like(price, np.nanstd(np.diff(np.log(price))))
    return horizon_labels(price, start, close, **{**params, "sigma": sigma})


def outcome_later_than_said(price: np.ndarray, start: np.ndarray, close: np.ndarray, **params: Any) -> Labels:
    """Looks five bars further than its t1 admits."""
    longer = horizon_labels(
        price, start, close, **{**params, "rule": replace(params["rule"], horizon=params["rule"].horizon + 5)}
    )
    return replace(longer, t1=longer.t1 - 5 * STEP)


@pytest.mark.parametrize("leak", [labels_the_end, deadband_of_the_whole_sample, outcome_later_than_said])
def test_planted_leaks_are_found(leak: Any) -> None:
    """Three labellers that know the future are all caught, and require() stops the run naming field and row."""
    result = audit(leak)
    assert not result.ok
    with pytest.raises(AuditError, match=r"changed when only the future changed; first: .* of row"):
        result.require()


def test_the_audit_is_deterministic() -> None:
    """Same seed, same violations."""
    assert audit(outcome_later_than_said) == audit(outcome_later_than_said)
