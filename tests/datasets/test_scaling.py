"""Scalers: scikit-learn as oracle, exact round trip, refusal of unknown values."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from scalper_ml.datasets.scaling import SCALERS, Scaler, ScalerKind
from scalper_ml.errors import ContractError, FeatureSetError, SettingsError

ORACLES: dict[ScalerKind, Any] = {"zscore": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}
matrices = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 30), st.integers(1, 4)), elements=st.floats(-1e12, 1e12, allow_nan=False)
)


@pytest.mark.parametrize("kind", list(ORACLES))
def test_scaling_equals_scikit_learn(kind: ScalerKind) -> None:
    """On columns of any size each kind gives scikit-learn's numbers, on the fitted rows and on new ones."""
    rng = np.random.default_rng(3)
    X = rng.standard_t(3, (500, 6)) * 10.0 ** np.arange(-3, 3) + 10.0 ** np.arange(6)
    new = X[:50] * 3 - 1
    scaler, oracle = Scaler(kind).fit(X), ORACLES[kind]().fit(X)
    np.testing.assert_allclose(scaler.transform(X), oracle.transform(X), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(scaler.transform(new), oracle.transform(new), rtol=1e-9, atol=1e-9)


def test_none_leaves_values_alone() -> None:
    """Kind none is the identity, on a copy."""
    X = np.array([[1.0, 2.0], [1.0, 5.0]])
    out = Scaler("none").fit(X).transform(X)
    assert out.tobytes() == X.tobytes()
    assert not np.shares_memory(out, X)


@given(matrices, st.sampled_from(SCALERS))
def test_a_round_trip_through_json_is_exact(X: np.ndarray, kind: ScalerKind) -> None:
    """to_dict, JSON and from_dict change no bit of what transform returns."""
    scaler = Scaler(kind).fit(X)
    back = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert back.to_dict() == scaler.to_dict()
    assert back.transform(X).tobytes() == scaler.transform(X).tobytes()


@given(matrices, st.sampled_from(SCALERS))
def test_scaled_values_are_always_finite(X: np.ndarray, kind: ScalerKind) -> None:
    """Whatever was fitted, constant columns included, the fitted rows come out finite; min-max ones inside [0, 1]."""
    scaler = Scaler(kind).fit(X)
    out = scaler.transform(X)
    assert np.isfinite(out).all()
    if kind == "minmax":
        assert out.min() >= 0
        assert out.max() <= 1


@given(matrices, st.sampled_from(SCALERS))
def test_a_row_alone_equals_the_row_in_its_batch(X: np.ndarray, kind: ScalerKind) -> None:
    """Online and batch scaling are the same to the last bit, and so is any memory layout."""
    scaler = Scaler(kind).fit(X)
    batch = scaler.transform(X)
    assert b"".join(scaler.transform(X[i : i + 1]).tobytes() for i in range(len(X))) == batch.tobytes()
    assert Scaler(kind).fit(np.asfortranarray(X)).to_dict() == scaler.to_dict()


@pytest.mark.parametrize("kind", ["zscore", "minmax", "robust"])
def test_a_constant_column_is_always_zero(kind: ScalerKind) -> None:
    """A column constant on train maps to 0 there and on later rows that differ; it is named."""
    X = np.array([[0.1, 1.0], [0.1, 2.0], [0.1, 4.0]])
    scaler = Scaler(kind).fit(X, ["flat", "live"])
    assert scaler.constant == ("flat",)
    assert scaler.transform(np.array([[0.1, 2.0], [7.0, 2.0]]))[:, 0].tolist() == [0.0, 0.0]


def test_a_column_constant_but_for_rounding_is_constant() -> None:
    """Noise of the last bits is not stretched to unit variance."""
    X = np.full((50, 1), 0.1)
    X[::2] = np.nextafter(0.1, 1)
    assert Scaler("zscore").fit(X, ["flat"]).constant == ("flat",)


def test_a_robust_scale_of_zero_falls_back_to_the_standard_deviation() -> None:
    """A column that is mostly one value still has a scale."""
    X = np.array([[0.0]] * 9 + [[10.0]])
    assert Scaler("robust").fit(X).transform(X)[-1, 0] == pytest.approx(10 / 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", SCALERS)
def test_unknown_values_are_refused_with_the_column_named(kind: ScalerKind, bad: float) -> None:
    """NaN and infinity are never filled: fit and transform name the column and the number of rows."""
    X = np.arange(6.0).reshape(3, 2)
    broken = X.copy()
    broken[1, 1] = bad
    with pytest.raises(ContractError, match="'rsi_14': 1 of 3 rows are not finite; expected none"):
        Scaler(kind).fit(broken, ["ret_1", "rsi_14"])
    with pytest.raises(ContractError, match="'rsi_14': 1 of 3 rows"):
        Scaler(kind).fit(X, ["ret_1", "rsi_14"]).transform(broken)


def test_only_the_rows_given_are_fitted() -> None:
    """Rows outside `rows` have no influence, not even unknown values in them."""
    X = np.random.default_rng(0).normal(size=(100, 3))
    rows = np.arange(0, 60)
    wild = X.copy()
    wild[60:] = np.nan
    assert Scaler("zscore").fit(wild, rows=rows).to_dict() == Scaler("zscore").fit(X[rows]).to_dict()


@given(matrices, st.sampled_from(SCALERS), st.sampled_from([0.0, 0.01, 0.1]))
def test_winsor_limits_are_quantiles_of_the_fitted_rows(X: np.ndarray, kind: ScalerKind, winsor: float) -> None:
    """Clipping first and scaling then is scaling with limits; limits survive JSON; wild new rows come out finite."""
    scaler = Scaler(kind, winsor=winsor).fit(X)
    low, high = (np.quantile(X, q, axis=0) for q in (winsor, 1 - winsor))
    clipped = np.clip(X, low, high) if winsor else X
    assert scaler.transform(X).tobytes() == Scaler(kind).fit(clipped).transform(clipped).tobytes()
    back = Scaler.from_dict(json.loads(json.dumps(scaler.to_dict())))
    assert back.transform(X * 7).tobytes() == scaler.transform(X * 7).tobytes()
    if winsor:
        beyond, edge = scaler.transform(np.full((1, X.shape[1]), 1e300)), scaler.transform(high[None])
        assert beyond.tobytes() == edge.tobytes()


@pytest.mark.parametrize("winsor", [0.0, 0.05])
@pytest.mark.parametrize("kind", SCALERS)
def test_nothing_outside_the_fitted_rows_changes_the_fit(kind: ScalerKind, winsor: float) -> None:
    """Whatever stands in the other rows - NaN, zeros, a billion - the fit is the same to the last bit."""
    X = np.random.default_rng(4).normal(size=(200, 3))
    rows = np.arange(20, 120)
    fits = []
    for other in (np.nan, 0.0, 1e9):
        changed = np.full_like(X, other)
        changed[rows] = X[rows]
        fits.append(Scaler(kind, winsor=winsor).fit(changed, rows=rows).to_dict())
    assert fits[0] == fits[1] == fits[2]
    assert Scaler(kind, winsor=winsor).fit(X[rows]).unfitted().fit(X[rows]).to_dict() == fits[0]


def test_what_does_not_fit_is_refused() -> None:
    """Unfitted use, other columns, no rows, an unknown kind and a damaged dict each have their own message."""
    X = np.arange(6.0).reshape(3, 2)
    with pytest.raises(ContractError, match="not fitted"):
        Scaler("zscore").transform(X)
    with pytest.raises(FeatureSetError, match="3 columns; expected 2"):
        Scaler("zscore").fit(X).transform(np.zeros((1, 3)))
    with pytest.raises(ContractError, match="1 names for 2 columns"):
        Scaler("zscore").fit(X, ["a"])
    with pytest.raises(ContractError, match="no rows"):
        Scaler("zscore").fit(X[:0])
    with pytest.raises(ContractError, match=r"expected \(n, f\)"):
        Scaler("zscore").fit(X[0])
    with pytest.raises(SettingsError, match="unknown kind 'log'; expected one of zscore, minmax, robust, ewma, none"):
        Scaler("log")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"winsor is 0\.3; expected a share from 0 to 0\.25"):
        Scaler("zscore", winsor=0.3)
    good = Scaler("zscore", winsor=0.1).fit(X).to_dict()
    with pytest.raises(ContractError, match="crossed"):
        Scaler.from_dict({**good, "low": good["high"], "high": good["low"]})
    with pytest.raises(ContractError, match="keys"):
        Scaler.from_dict({key: value for key, value in good.items() if key != "scale"})
    with pytest.raises(ContractError, match="length"):
        Scaler.from_dict({**good, "scale": good["scale"][:1]})
    with pytest.raises(ContractError, match="hexadecimal"):
        Scaler.from_dict({**good, "scale": ["x", "y"]})
    for number in ("nan", "inf", "-0x1p+0"):
        with pytest.raises(ContractError, match="what to_dict wrote"):
            Scaler.from_dict({**good, "scale": [number, "0x1p+0"]})
    with pytest.raises(ContractError, match="a spread a float can hold"):
        Scaler("minmax").fit(np.array([[-1.7e308], [1.7e308]]))
