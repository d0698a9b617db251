"""The causal normaliser: pandas as oracle, no future, the same bits in every cut."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.datasets.causal import EwmaNormaliser
from scalper_ml.errors import ContractError, FeatureSetError, SettingsError

NAMES = ("a", "b", "c")


def rows(n: int, seed: int = 0) -> np.ndarray:
    """Rows at three scales, one of them far from zero."""
    rng = np.random.default_rng(seed)
    return rng.standard_t(3, (n, 3)) * np.array([1e-4, 1.0, 10.0]) + np.array([0.0, 1e6, -5.0])


def test_it_is_the_exponentially_weighted_score_of_pandas() -> None:
    """Row by row: less the weighted mean, over the weighted deviation (ddof 0) of pandas ewm(adjust=True)."""
    X = rows(400)
    found, settled = EwmaNormaliser(NAMES, 50).run(X, np.ones(400, dtype=bool))
    frame = pd.DataFrame(X).ewm(halflife=50)
    want = (X - frame.mean().to_numpy())[5:] / frame.std(bias=True).to_numpy()[5:]
    np.testing.assert_allclose(found[5:], want, rtol=1e-6, atol=1e-7)
    assert not settled[:50].any()
    assert settled[50:].all()


@given(cut=st.integers(0, 120), factor=st.floats(-1e3, 1e3))
def test_what_comes_later_changes_nothing(cut: int, factor: float) -> None:
    """Rows after a cut, whatever they are, leave every row before it bit-identical."""
    X = rows(120)
    other = X.copy()
    other[cut:] = other[cut:] * factor + 7
    use = np.ones(120, dtype=bool)
    whole, _ = EwmaNormaliser(NAMES, 20).run(X, use)
    changed, _ = EwmaNormaliser(NAMES, 20).run(other, use)
    assert whole[:cut].tobytes() == changed[:cut].tobytes()


@given(cut=st.integers(0, 200))
def test_a_restart_from_the_state_gives_the_same_bits(cut: int) -> None:
    """Put down as JSON after any row and taken up again, it goes on bit for bit; rows not warm are passed over."""
    X = rows(200, 3)
    use = np.random.default_rng(1).random(200) < 0.8
    X[~use] = np.nan
    whole, _ = EwmaNormaliser(NAMES, 30).run(X, use)
    first = EwmaNormaliser(NAMES, 30)
    before, _ = first.run(X[:cut], use[:cut])
    second = EwmaNormaliser.from_dict(json.loads(json.dumps(first.to_dict())))
    after, _ = second.run(X[cut:], use[cut:])
    assert np.concatenate([before, after]).tobytes() == whole.tobytes()
    assert second.seen == use.sum()


def test_a_flat_column_is_zero_and_a_jump_is_bounded() -> None:
    """A constant is 0; a jump a billion deviations high stays within the root of the weights."""
    X = np.full((300, 3), 0.1)
    X[-1] = 1e9
    found, _ = EwmaNormaliser(NAMES, 40).run(X, np.ones(300, dtype=bool))
    assert (found[:-1] == 0).all()
    assert (np.abs(found[-1]) <= np.sqrt(1 / (1 - 2 ** (-1 / 40)))).all()
    assert (found[-1] > 5).all()


def test_what_does_not_fit_is_refused() -> None:
    """A half-life below one row, other columns, unknown values and a damaged state are refused, named."""
    with pytest.raises(SettingsError, match=r"halflife is 0\.5"):
        EwmaNormaliser(NAMES, 0.5)
    live = EwmaNormaliser(NAMES, 10)
    with pytest.raises(FeatureSetError, match=r"\(2,\); expected \(3,\)"):
        live.update(np.zeros(2))
    with pytest.raises(ContractError, match="feature 'b': a value is not finite"):
        live.update(np.array([0.0, np.nan, 0.0]))
    assert live.seen == 0
    good = live.to_dict()
    for damage in ({"seen": -1}, {"mean": ["x"] * 3}, {"mean": []}, {"squares": ["-0x1p+0"] * 3}):
        with pytest.raises(ContractError, match="ewma normaliser"):
            EwmaNormaliser.from_dict(good | damage)
    with pytest.raises(ContractError, match="found"):
        EwmaNormaliser.from_dict({name: good[name] for name in good if name != "weight"})
