"""Every column against an answer that does not come from our code."""

import featuredata
import featureoracles
import numpy as np
import pytest

from scalper_ml.features import KINDS, compute, feature_set
from scalper_ml.schema import INPUT_GROUPS

FS = feature_set(INPUT_GROUPS)
ROWS = 1200


@pytest.fixture(scope="module")
def walk():
    X, ts = featuredata.ordinary(ROWS, seed=11), featuredata.stamps_us(ROWS)
    return featureoracles.Bars(X, ts), compute(FS, X, ts).values


def test_every_kind_has_an_oracle():
    """No feature enters the registry without an independent definition."""
    assert {kind.name for kind in KINDS} == set(featureoracles.ORACLES)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_feature_equals_its_oracle(kind, walk):
    """After warm-up each column equals TA-Lib, or numpy over whole windows, to 1e-9."""
    bars, values = walk
    for params in kind.params:
        expected = featureoracles.ORACLES[kind.name](bars, *params)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for name, want in zip(kind.columns(params), expected, strict=True):
            j = FS.index(name)
            spec = FS.specs[j]
            want = np.clip(want, spec.low, spec.high)
            np.testing.assert_allclose(
                values[spec.warmup :, j], want[spec.warmup :], rtol=1e-9, atol=1e-9, err_msg=name
            )
            assert np.ptp(values[spec.warmup :, j]) > 0, f"{name} never moves: the comparison proves nothing"
