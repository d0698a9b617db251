"""What every feature promises, over the whole registry: no feature is named here."""

import featuredata
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalper_ml.features import KINDS, FeatureSet, compute, feature_set
from scalper_ml.schema import INPUT_GROUPS

FS = feature_set(INPUT_GROUPS)
FLAT_OUT = settings(max_examples=25)


def same_bits(a, b):
    return np.array_equal(a.view(np.int64), b.view(np.int64))


def in_pieces(fs, X, ts, cuts):
    """Values, warm and state of the stream cut at `cuts`, every piece resumed from bytes."""
    values, warm, state, begin = [], [], None, 0
    for end in [*sorted(cuts), len(X)]:
        block = compute(fs, X[begin:end], ts[begin:end], state)
        values.append(block.values)
        warm.append(block.warm)
        state, begin = block.state, end
    return np.concatenate(values), np.concatenate(warm), state


def with_gaps(X, rows):
    X = X.copy()
    X[rows, featuredata.GAP] = 500
    return X


@FLAT_OUT
@given(
    seed=st.integers(0, 3),
    cuts=st.sets(st.integers(0, 900), max_size=12),
    gaps=st.sets(st.integers(0, 899), max_size=3),
)
def test_chunks_and_restarts_change_no_bit(seed, cuts, gaps):
    """Any cut of the stream, each piece resumed from bytes, gives the bits of one call: values, warm and state."""
    X, ts = with_gaps(featuredata.patchy(900, seed), list(gaps)), featuredata.stamps_us(900)
    whole = compute(FS, X, ts)
    values, warm, state = in_pieces(FS, X, ts, cuts)
    assert same_bits(values, whole.values)
    assert np.array_equal(warm, whole.warm)
    assert state == whole.state


def test_one_row_at_a_time_changes_no_bit():
    """Rows one by one across several internal blocks give the bits of one call."""
    X, ts = featuredata.patchy(700, 5), featuredata.stamps_us(700)
    whole = compute(FS, X, ts)
    values, _, state = in_pieces(FS, X, ts, range(1, 700))
    assert same_bits(values, whole.values)
    assert state == whole.state


def test_long_stream_equals_a_resumed_one():
    """Over 60,000 rows a stream in pieces of 7,001 equals one call: nothing depends on block boundaries or drifts."""
    X, ts = featuredata.ordinary(60_000, 6), featuredata.stamps_us(60_000)
    whole = compute(FS, X, ts)
    values, _, state = in_pieces(FS, X, ts, range(7_001, 60_000, 7_001))
    assert same_bits(values, whole.values)
    assert state == whole.state


def test_windows_forget_exactly():
    """After 60,000 rows with huge jumps, rows far from them equal a fresh stream to 1e-9."""
    X, ts = featuredata.ordinary(60_000, 7), featuredata.stamps_us(60_000)
    X[np.ix_(range(50_000, 50_100), featuredata.VOLUMES)] *= 1e12
    X[np.ix_(range(50_000, 50_100), featuredata.PRICES)] *= 1e6
    late = slice(55_000, 60_000)
    fresh = compute(FS, X[late], ts[late]).values
    np.testing.assert_allclose(compute(FS, X, ts).values[late][FS.warmup :], fresh[FS.warmup :], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("entry", FS.entries, ids=lambda entry: "_".join([entry[0].name, *map(str, entry[1])]))
def test_feature_alone_equals_feature_in_the_set(entry):
    """A column does not depend on its neighbours: its declared memory and state are enough."""
    alone = FeatureSet((entry,), FS.groups)
    X, ts = featuredata.patchy(900, 8), featuredata.stamps_us(900)
    columns = [FS.index(name) for name in alone.names]
    assert same_bits(compute(alone, X, ts).values, np.ascontiguousarray(compute(FS, X, ts).values[:, columns]))
    values, _, _ = in_pieces(alone, X, ts, range(13, 900, 13))
    assert same_bits(values, np.ascontiguousarray(compute(FS, X, ts).values[:, columns]))


@FLAT_OUT
@given(seed=st.integers(0, 5), end=st.integers(1, 900))
def test_prefix_does_not_depend_on_what_follows(seed, end):
    """The first rows of a stream have the same bits as the stream that stops there."""
    X, ts = featuredata.patchy(900, seed), featuredata.stamps_us(900)
    assert same_bits(compute(FS, X[:end], ts[:end]).values, np.ascontiguousarray(compute(FS, X, ts).values[:end]))


@pytest.mark.parametrize("make", [featuredata.ordinary, featuredata.nasty])
def test_warm_up_is_exact(make):
    """Each column is NaN strictly before its declared row and finite from it on; warm is the last of them."""
    X, ts = make(900, 9), featuredata.stamps_us(900)
    block = compute(FS, X, ts)
    expected = np.arange(900)[:, None] >= FS.warmups
    assert np.array_equal(np.isfinite(block.values), expected)
    assert np.array_equal(np.isnan(block.values), ~expected)
    assert np.array_equal(block.warm, np.arange(900) >= FS.warmup)


def test_other_windows_keep_every_promise():
    """With windows twice as long the declared memory, state and warm-up still hold."""
    windows = {
        kind.name: sorted({tuple(min(2 * p + 1, kind.largest) for p in params) for params in kind.params})
        for kind in KINDS
        if kind.params != ((),)
    }
    fs = feature_set(INPUT_GROUPS, windows=windows)
    n = fs.warmup + 100
    X, ts = featuredata.nasty(n, 14), featuredata.stamps_us(n)
    whole = compute(fs, X, ts)
    values, _, state = in_pieces(fs, X, ts, range(97, n, 97))
    assert same_bits(values, whole.values)
    assert state == whole.state
    assert np.array_equal(np.isfinite(whole.values), np.arange(n)[:, None] >= fs.warmups)


def test_set_is_warm_soon():
    """All columns of all groups have values after 500 bars at most."""
    assert FS.warmup <= 500


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), exponent=st.integers(-8, 6))
def test_finite_and_in_range_on_nasty_bars(seed, exponent):
    """Empty, flat, constant, jumping, coarse bars at prices from 1e-8 to 1e6 give finite values in the range."""
    X, ts = featuredata.nasty(900, seed, price=10.0**exponent), featuredata.stamps_us(900)
    values = compute(FS, X, ts).values[FS.warmup :]
    assert np.isfinite(values).all(), [FS.names[j] for j in np.flatnonzero(~np.isfinite(values).all(axis=0))]
    low, high = (np.array([getattr(spec, side) for spec in FS.specs]) for side in ("low", "high"))
    assert (values >= low).all()
    assert (values <= high).all()


@pytest.mark.parametrize("start", ["constant", "empty"])
def test_dead_market_has_finite_features(start):
    """A price that never moved, and bars that never had volume, give finite values from the warm-up on."""
    X, ts = featuredata.ordinary(700, 10), featuredata.stamps_us(700)
    if start == "constant":
        X[:, featuredata.PRICES] = 3.3
    else:
        X[:, featuredata.VOLUMES] = 0.0
    assert np.isfinite(compute(FS, X, ts).values[FS.warmup :]).all()


@FLAT_OUT
@given(
    seed=st.integers(0, 1000),
    what=st.sampled_from([featuredata.PRICED, featuredata.VOLUMES]),
    factor=st.sampled_from([1e-6, 1e5]),
)
def test_units_of_price_and_volume_do_not_matter(seed, what, factor):
    """Prices, or volumes, times a constant leave every feature as it was, to 1e-9."""
    X, ts = featuredata.nasty(900, seed), featuredata.stamps_us(900)
    scaled = X.copy()
    scaled[:, what] *= factor
    a, b = compute(FS, X, ts).values, compute(FS, scaled, ts).values
    error = np.nanmax(np.abs(a - b) / np.maximum(1.0, np.abs(a)), axis=0)
    assert (error <= 1e-9).all(), {FS.names[j]: error[j] for j in np.flatnonzero(error > 1e-9)}


def test_long_gap_starts_all_features_anew():
    """After reset_after_gap empty intervals the values are those of a stream that starts there."""
    X, ts = featuredata.ordinary(1500, 11), featuredata.stamps_us(1500)
    X[700, featuredata.GAP] = FS.reset_after_gap
    fresh = X[700:].copy()
    block, alone = compute(FS, X, ts), compute(FS, fresh, ts[700:])
    assert same_bits(np.ascontiguousarray(block.values[700:]), alone.values)
    assert block.state == alone.state
    X[700, featuredata.GAP] = FS.reset_after_gap - 1
    assert compute(FS, X, ts).warm[700]


@pytest.mark.parametrize("group", featuredata.COLUMNS_OF_GROUP)
def test_missing_inputs_are_nan_and_heal(group):
    """A row without a group's inputs has NaN in that group only, and no NaN is left once it is out of the windows."""
    X, ts = featuredata.ordinary(1500, 12), featuredata.stamps_us(1500)
    hole = X.copy()
    for name in featuredata.COLUMNS_OF_GROUP[group]:
        featuredata.column(hole, name)[700] = np.nan
    block, whole = compute(FS, hole, ts), compute(FS, X, ts)
    mine = np.array([spec.group == group for spec in FS.specs])
    assert np.isnan(block.values[700, mine]).all()
    assert not block.warm[700]
    assert same_bits(np.ascontiguousarray(block.values[:, ~mine]), np.ascontiguousarray(whole.values[:, ~mine]))
    assert block.warm[700 + 241 :].all()
    healed = block.values[1200:, mine] - whole.values[1200:, mine]
    assert np.abs(healed).max() < 1e-3


def test_few_ticks_make_a_bar_not_warm():
    """A bar with fewer trades than min_ticks is not warm, its values stay; unknown counts are not few."""
    X, ts = featuredata.ordinary(700, 13), featuredata.stamps_us(700)
    picky = feature_set(INPUT_GROUPS, min_ticks=15)
    block = compute(picky, X, ts)
    few = featuredata.column(X, "trades") < 15
    assert few[600:].any()
    assert np.array_equal(block.warm[600:], ~few[600:])
    assert same_bits(block.values, compute(FS, X, ts).values)
    klines = feature_set(["klines"], min_ticks=15)
    featuredata.column(X, "trades")[:] = np.nan
    assert compute(klines, X, ts).warm[600:].all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.group in ("quotes", "book", "derivatives")])
def test_each_feed_column_is_needed_by_what_declares_it(kind):
    """Without one of its inputs, or with a quote of an hour ago, a feature of a feed is NaN: nothing is filled."""
    X, ts = featuredata.ordinary(900, 15), featuredata.stamps_us(900)
    fs = FeatureSet(tuple((kind, params) for params in kind.params), (kind.group,))
    assert np.isfinite(compute(fs, X, ts).values[700]).all()
    for name in set(kind.inputs) & set(featuredata.COLUMNS_OF_GROUP[kind.group]):
        hole = X.copy()
        featuredata.column(hole, name)[700] = 3_600_000_000 if name == "quote_age_us" else np.nan
        assert np.isnan(compute(fs, hole, ts).values[700]).all(), name


def test_streams_carry_no_series_of_feeds_they_do_not_need():
    """The state grows with each group of feeds a set needs; one that needs none keeps the bits whatever they are."""
    plain = feature_set(["klines", "trades", "market", "calendar"])
    X, ts = featuredata.nasty(700, 16), featuredata.stamps_us(700)
    bare = X.copy()
    for group in ("quotes", "book", "derivatives"):
        for name in featuredata.COLUMNS_OF_GROUP[group]:
            featuredata.column(bare, name)[:] = np.nan
    full, without = compute(plain, X, ts), compute(plain, bare, ts)
    assert same_bits(full.values, without.values)
    assert full.state == without.state
    assert np.array_equal(full.warm, without.warm)
    columns = [FS.index(name) for name in plain.names]
    assert same_bits(full.values, np.ascontiguousarray(compute(FS, X, ts).values[:, columns]))
    assert len(full.state) < len(compute(FS, X, ts).state)
