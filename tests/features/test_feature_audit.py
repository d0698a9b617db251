"""The audit catches planted leaks and passes what is clean."""

import dataclasses

import featuredata
import numpy as np
import pytest

from scalper_ml.errors import AuditError
from scalper_ml.features import FeatureSet, compute, feature_set, look_ahead_audit, truncation_audit, warmup_audit
from scalper_ml.schema import INPUT_GROUPS

FS = feature_set(INPUT_GROUPS)
N = 1000
X, TS = featuredata.ordinary(N, 20), featuredata.stamps_us(N)


def shifted(x):
    return np.r_[x[1:], x[-1:]]


def centred(x):
    return np.convolve(x, np.ones(5) / 5, mode="same")


def global_z(x):
    return (x - np.nanmean(x)) / np.nanstd(x)


def global_min_max(x):
    return (x - np.nanmin(x)) / (np.nanmax(x) - np.nanmin(x))


def backfilled(x):
    seen = np.where(np.arange(len(x)) % 3 == 2, x, np.nan)
    later = np.minimum(np.arange(len(x)) // 3 * 3 + 2, len(x) - 1)
    return seen[later]


def global_rank(x):
    return np.argsort(np.argsort(x)) / len(x)


@pytest.mark.parametrize("leak", [shifted, centred, global_z, global_min_max, backfilled, global_rank])
def test_planted_leak_is_caught(leak):
    """Each of six ways to look ahead is caught, and the clean column beside it is not accused."""

    def values(inputs, ts_us):
        close = inputs[:, 3]
        return np.column_stack([close, leak(close)])

    report = look_ahead_audit(values, ["clean", "leaky"], X, TS, cuts=6, seed=1)
    assert not report.ok
    assert {one.feature for one in report.violations} == {"leaky"}
    with pytest.raises(AuditError, match="leaky row"):
        report.require()


def test_leak_into_one_row_is_caught():
    """A feature that looks ahead only on the last row of a day is caught by cuts at random rows alone."""

    def values(inputs, ts_us):
        close = inputs[:, 3]
        ahead = np.r_[close[1:], np.nan]
        return np.where(ts_us % 3_600_000_000 == 0, ahead, close)[:, None]

    report = look_ahead_audit(values, ["leaky"], X, TS, cuts=400, seed=1)
    assert {one.feature for one in report.violations} == {"leaky"}


def test_registry_has_no_look_ahead():
    """No value of any feature changes when the future is cut off, scaled, reversed or erased."""
    report = truncation_audit(FS, featuredata.patchy(N, 21), TS, cuts=5, seed=2)
    assert report.ok, report.violations
    assert report.values_compared > 5 * len(FS.names)
    report.require()


def test_declared_warm_up_is_enough():
    """A stream started late agrees with the full history once the declared warm-up has passed."""
    long, ts = featuredata.ordinary(3000, 22), featuredata.stamps_us(3000)
    report = warmup_audit(FS, long, ts, starts=4, seed=3, tolerance=1e-5)
    assert report.ok, report.violations


def test_warm_up_declared_too_short_is_caught():
    """With a warm-up far below its period an EMA differs from the full history, and the audit says so."""
    kind, params = next(entry for entry in FS.entries if entry[0].name == "keltner_pos")
    hasty = FeatureSet(((dataclasses.replace(kind, warmup=lambda n: n), params),), FS.groups)
    report = warmup_audit(hasty, featuredata.ordinary(3000, 22), featuredata.stamps_us(3000), seed=3)
    assert [one.feature for one in report.violations] == ["keltner_pos_20"]


def test_audit_repeats_itself():
    """Same seed, same cuts."""

    def values(inputs, ts_us):
        return compute(FS, inputs, ts_us).values

    first, second = (look_ahead_audit(values, FS.names, X, TS, cuts=2, seed=5, erase=False) for _ in range(2))
    assert first == second
    assert first.ok
