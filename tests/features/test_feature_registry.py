"""Choosing features: names, groups, windows, identity."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest

from scalper_ml.errors import FeatureSetError, SettingsError
from scalper_ml.features import FAMILIES, INPUT_COLUMNS, FeatureSet, feature_set, reference_page
from scalper_ml.schema import INPUT_GROUPS

EVERYTHING = feature_set(INPUT_GROUPS)


def test_default_set_is_wide_enough():
    """At least 60 columns in 7 families need only klines and the clock; 10 more need trades, 6 other coins, each
    kind of feed more.
    """
    plain = feature_set(["klines", "calendar"])
    assert len(plain.names) >= 60
    assert len(plain.families) >= 7
    count = Counter(spec.group for spec in EVERYTHING.specs)
    assert count["trades"] >= 10
    assert count["market"] >= 6
    assert min(count[group] for group in ("quotes", "book", "derivatives")) >= 10
    assert len(EVERYTHING.names) >= 200
    assert len(EVERYTHING.families) == 11


@pytest.mark.parametrize("group", ["quotes", "book", "derivatives"])
def test_feeds_add_columns_at_the_end_and_change_no_other(group):
    """A set with a feed is the set without it and the feed's own columns after it; without it none is named."""
    plain = feature_set(["klines", "trades", "market", "calendar"])
    fed = feature_set(["klines", "trades", "market", "calendar", group])
    assert fed.specs[: len(plain.specs)] == plain.specs
    assert {spec.group for spec in fed.specs[len(plain.specs) :]} == {group}
    assert not {spec.family for spec in plain.specs} & {"book", "derivatives"}


def test_missing_group_is_absent_by_name():
    """Without trades no column that needs trades is in the set, and no other is lost."""
    without = feature_set([group for group in INPUT_GROUPS if group != "trades"])
    expected = [spec.name for spec in EVERYTHING.specs if spec.group != "trades"]
    assert list(without.names) == expected


def test_absent_column_takes_its_features_along():
    """12-column klines lack the number of buys: only the features that count buys are gone."""
    klines = feature_set(INPUT_GROUPS, absent=["buy_trades"])
    assert set(EVERYTHING.names) - set(klines.names) == {"cnt_imb_1", "cnt_imb_5", "cnt_imb_15"}


@pytest.mark.parametrize("family", FAMILIES)
def test_sigma_is_in_every_set(family):
    """The column labels are measured in survives every choice of families and windows."""
    assert "ewma_vol_97" in feature_set(INPUT_GROUPS, families=[family]).names
    assert "ewma_vol_97" in feature_set(INPUT_GROUPS, windows={"ewma_vol": []}).names


def test_windows_replace_the_defaults():
    """Windows from settings replace a kind's parameter sets, pairs included; an empty list drops it."""
    fs = feature_set(["klines"], windows={"rsi": [9], "ema_cross": [[5, 20]], "tsi": []})
    assert [n for n in fs.names if n.startswith(("rsi", "ema_cross", "tsi"))] == ["rsi_9", "ema_cross_5_20"]
    assert fs.specs[fs.index("rsi_9")].warmup == 180


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": ["kline"]}, "input group 'kline' is unknown; expected one of .*klines"),
        ({"families": ["momentun"]}, "feature family 'momentun' is unknown; expected one of .*momentum"),
        ({"windows": {"rsj": [3]}}, "feature 'rsj' is unknown; expected one of .*rsi"),
        ({"windows": {"rsi": [0]}}, r"windows of feature 'rsi': found \[0\], expected 1 whole numbers from 1"),
        ({"windows": {"macd": [12]}}, r"windows of feature 'macd': found \[12\], expected 3 whole numbers"),
        ({"windows": {"rsi": [10**6]}}, "whole numbers from 1 to"),
        ({"windows": {"ema_dist": [2.5]}}, r"found \[2.5\]"),
        ({"windows": {"regress": [2]}}, "from 3 to"),
        ({"windows": {"rsi": [9, 9]}}, "twice"),
        ({"absent": ["buys"]}, "input column 'buys' is unknown"),
        ({"min_ticks": -1}, "min_ticks -1: expected 0 or more"),
        ({"reset_after_gap": 0}, "reset_after_gap 0: expected 1 or more"),
    ],
)
def test_wrong_choice_names_itself(arguments, message):
    """A wrong group, family, feature or window is refused with what was found and what is allowed."""
    with pytest.raises((SettingsError, FeatureSetError), match=message):
        feature_set(**({"groups": ["klines"]} | arguments))


def test_id_follows_everything_that_fixes_the_values():
    """Same choice, same id; another window, clip range, warm-up, version, reset or tick minimum, another id."""
    base = feature_set(["klines"], windows={"rsi": [14]})
    assert base.id == feature_set(["klines"], windows={"rsi": [14]}).id
    kind = base.entries[0][0]
    others = [
        feature_set(["klines"], windows={"rsi": [15]}),
        feature_set(["klines"], windows={"rsi": [14]}, reset_after_gap=10),
        feature_set(["klines"], windows={"rsi": [14]}, min_ticks=3),
        *(
            FeatureSet(((dataclasses.replace(kind, **change), base.entries[0][1]), *base.entries[1:]), base.groups)
            for change in ({"span": (-0.9, 0.9)}, {"version": 2}, {"warmup": lambda n: 99}, {"definition": "other"})
        ),
    ]
    ids = [fs.id for fs in others]
    assert len({base.id, *ids}) == len(ids) + 1
    assert all(len(one) == 12 and int(one, 16) >= 0 for one in ids)


def test_json_rebuilds_the_set():
    """A set survives JSON; one this version would compute differently is refused."""
    text = EVERYTHING.to_json()
    assert FeatureSet.from_json(text) == EVERYTHING
    assert FeatureSet.from_json(text).names == EVERYTHING.names
    altered = json.loads(text) | {"id": "0" * 12}
    with pytest.raises(FeatureSetError, match="train anew"):
        FeatureSet.from_json(json.dumps(altered))
    altered["entries"][0][0] = "gone"
    with pytest.raises(FeatureSetError, match="'gone'"):
        FeatureSet.from_json(json.dumps(altered))


def test_columns_are_told_apart_from_inputs():
    """No feature has the name of an input column; unknown names are answered with near ones."""
    assert not set(EVERYTHING.names) & (set(INPUT_COLUMNS) - {"mkt_ret", "mkt_up"})
    with pytest.raises(FeatureSetError, match="rsi_14"):
        EVERYTHING.index("rsi_15")


def test_every_column_says_what_it_is():
    """Each column has a definition, inputs that exist, a unit, a finite range and a warm-up."""
    for said in EVERYTHING.describe():
        assert said["definition"]
        assert said["unit"]
        assert set(said["inputs"]) <= {*INPUT_COLUMNS, "ts_us"}
        assert said["inputs"]
        assert np.isfinite([said["low"], said["high"]]).all()
        assert said["low"] < said["high"]
        assert said["warmup"] >= 0


def test_reference_page_lists_every_column():
    """The generated page has one table row a column, and cells do not break the table."""
    rows = [line for line in reference_page().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == list(EVERYTHING.names)
    assert {row.replace("\\|", "").count("|") for row in rows} == {8}
