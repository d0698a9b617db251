"""The 252 reference bars of TA-Lib: committed numbers, the pinned wheel and our columns say the same."""

import csv
import dataclasses
import math
from pathlib import Path

import featuredata
import numpy as np
import pytest
import talib

from scalper_ml.features import INPUT_COLUMNS, KINDS, FeatureSet, compute

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "talib"
BARS = np.loadtxt(FOLDER / "daily.csv", delimiter=",", skiprows=1)
OPEN, HIGH, LOW, CLOSE, VOLUME = BARS.T.copy()
GOLDEN = list(csv.DictReader((FOLDER / "golden.csv").read_text().splitlines()))
ESTIMATORS = {
    row["estimator"]: float(row["last"])
    for row in csv.DictReader((FOLDER / "estimators.csv").read_text().splitlines())
}
INPUTS = {
    "close": (CLOSE,), "high low": (HIGH, LOW), "high low close": (HIGH, LOW, CLOSE),
    "high low close volume": (HIGH, LOW, CLOSE, VOLUME), "close volume": (CLOSE, VOLUME),
}  # fmt: skip
TAKES = {
    "high low close": ("TRANGE", "ATR", "NATR", "PLUS_DI", "MINUS_DI", "DX", "ADX", "STOCH", "CCI", "WILLR", "ULTOSC"),
    "high low close volume": ("MFI", "AD", "ADOSC"),
    "close volume": ("OBV",),
    "high low": ("AROON", "SAR"),
}


def reference(row):
    """The output of TA-Lib a golden row is about, all 252 rows of it."""
    takes = next((group for group, names in TAKES.items() if row["function"] in names), "close")
    params = [float(p) if "." in p else int(p) for p in row["parameters"].split()]
    if row["function"] == "STDDEV":
        params.append(1.0)
    if row["function"] == "BBANDS":
        params[1:] = [2.0, 2.0]
    found = getattr(talib, row["function"])(*INPUTS[takes], *params)
    if not isinstance(found, tuple):
        return found
    outputs = [one["output"] for one in GOLDEN if one["function"] == row["function"]]
    return found[outputs.index(row["output"])]


def said(function, output="0"):
    """First row, first value and last value of the golden table."""
    row = next(one for one in GOLDEN if one["function"] == function and one["output"] == output)
    return int(row["first_row"]), float(row["first"]), float(row["last"])


def ours(kind, *params, first=0):
    """Columns of one kind over the reference bars, by name, from row `first` on instead of from the warm-up."""
    entry = dataclasses.replace(next(one for one in KINDS if one.name == kind), warmup=lambda *_: first)
    X = np.full((len(BARS), len(INPUT_COLUMNS)), np.nan)
    for name, values in zip(("open", "high", "low", "close", "volume"), BARS.T, strict=True):
        X[:, INPUT_COLUMNS.index(name)] = values
    X[:, INPUT_COLUMNS.index("gap")] = 0.0
    fs = FeatureSet(((entry, params),), ("klines",))
    return dict(zip(fs.names, compute(fs, X, featuredata.stamps_us(len(X))).values.T, strict=True))


def test_reference_bars_are_the_published_ones():
    """252 bars, first close 91.5, last 107.87, the closes sum to 27133.035."""
    assert BARS.shape == (252, 5)
    assert (CLOSE[0], CLOSE[-1], round(CLOSE.sum(), 6)) == (91.5, 107.87, 27133.035)


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: f"{row['function']}-{row['output']}")
def test_talib_says_the_golden_numbers(row):
    """The pinned wheel has the committed first row, first value and last value: the oracle is the one we know."""
    found = reference(row)
    first = int(np.flatnonzero(~np.isnan(found))[0])
    assert first == int(row["first_row"])
    assert (found[first], found[-1]) == pytest.approx((float(row["first"]), float(row["last"])), rel=1e-11, abs=5e-11)


SAME_SEED = {
    # kind, params, column: (golden function, golden output, our number from TA-Lib's)
    ("rsi", (14,), "rsi_14"): ("RSI", "0", lambda x: x / 100 - 0.5),
    ("cmo", (14,), "cmo_14"): ("CMO", "0", lambda x: x / 100),
    ("natr", (14,), "natr_14"): ("NATR", "0", lambda x: math.log(x / 100)),
    ("stoch", (5,), "stoch_k_5"): ("STOCH", "slow %K", lambda x: x / 100),
    ("stoch", (5,), "stoch_d_5"): ("STOCH", "slow %D", lambda x: x / 100),
    ("cci", (11,), "cci_11"): ("CCI", "0", lambda x: x / 200),
    ("mfi", (14,), "mfi_14"): ("MFI", "0", lambda x: x / 100 - 0.5),
    ("donchian_pos", (14,), "donchian_pos_14"): ("WILLR", "0", lambda x: x / 100 + 0.5),
    ("ultosc", (7, 14, 28), "ultosc_7_14_28"): ("ULTOSC", "0", lambda x: x / 100 - 0.5),
    ("trix", (5,), "trix_5"): ("TRIX", "0", lambda x: x / 100),
    ("ret_raw", (14,), "ret_raw_14"): ("ROC", "0", lambda x: math.log1p(x / 100)),
}


@pytest.mark.parametrize(("key", "golden"), SAME_SEED.items(), ids=lambda x: x[2] if isinstance(x[0], str) else "")
def test_same_seed_gives_the_golden_numbers(key, golden):
    """Where we start as TA-Lib does, our column is its number on every one of the reference bars."""
    kind, params, column = key
    function, output, scaled = golden
    at, first, last = said(function, output)
    found = ours(kind, *params, first=at)[column]
    assert (found[at], found[-1]) == pytest.approx((scaled(first), scaled(last)), rel=1e-9, abs=1e-11)
    row = next(one for one in GOLDEN if one["function"] == function and one["output"] == output)
    np.testing.assert_allclose(found[at:], [scaled(x) for x in reference(row)[at:]], rtol=1e-9, atol=1e-11)


def test_composed_columns_give_the_golden_numbers():
    """Columns made of several of TA-Lib's numbers are those numbers put together."""
    (_, atr, _), (_, _, last_atr) = said("ATR"), said("ATR")
    at, first, last = said("EMA")
    assert ours("ema_dist", 10, first=14)["ema_dist_10"][-1] == pytest.approx((CLOSE[-1] - last) / last_atr, rel=1e-9)
    assert at == 9
    assert first == pytest.approx(CLOSE[:10].mean(), rel=1e-12)
    found = ours("range_atr", first=14)["range_atr"]
    assert (found[14], found[-1]) == pytest.approx(((HIGH[14] - LOW[14]) / atr, (HIGH[-1] - LOW[-1]) / last_atr))
    at, upper, last_upper = said("BBANDS", "upper")
    (_, middle, last_middle), (_, lower, last_lower) = said("BBANDS", "middle"), said("BBANDS", "lower")
    band = ours("bb", 20, first=at)
    widths = (upper - lower) / middle, (last_upper - last_lower) / last_middle
    places = (CLOSE[at] - lower) / (upper - lower), (CLOSE[-1] - last_lower) / (last_upper - last_lower)
    assert (band["bb_width_20"][at], band["bb_width_20"][-1]) == pytest.approx(widths, rel=1e-9)
    assert (band["bb_pctb_20"][at] + 0.5, band["bb_pctb_20"][-1] + 0.5) == pytest.approx(places, rel=1e-9)
    at, deviation, last_deviation = said("STDDEV")
    narrow = ours("bb", 5, first=at)["bb_width_5"]
    means = CLOSE[:5].mean(), CLOSE[-5:].mean()
    expected = 4 * deviation / means[0], 4 * last_deviation / means[1]
    assert (narrow[at], narrow[-1]) == pytest.approx(expected, rel=1e-9)
    at, up, last_up = said("AROON", "up")
    _, down, last_down = said("AROON", "down")
    arrow = ours("aroon_osc", 14, first=at)["aroon_osc_14"]
    assert (arrow[at], arrow[-1]) == pytest.approx(((up - down) / 100, (last_up - last_down) / 100), abs=1e-11)
    assert said("OBV")[1] == VOLUME[0]
    line = talib.OBV(CLOSE, VOLUME)
    assert ours("obv_slope", 20, first=20)["obv_slope_20"][-1] == pytest.approx(
        (said("OBV")[2] - line[-21]) / VOLUME[-20:].sum(), rel=1e-9
    )
    at, first, last = said("ADOSC")
    volumes = talib.EMA(VOLUME, 10)
    pressure = ours("adosc_n", 3, 10, first=at)["adosc_n_3_10"]
    assert (pressure[at], pressure[-1]) == pytest.approx((first / volumes[at], last / volumes[-1]), rel=1e-9)
    flow = ours("cmf", 20, first=19)["cmf_20"][-1] * VOLUME[-20:].sum()
    assert flow == pytest.approx(said("AD")[2] - talib.AD(HIGH, LOW, CLOSE, VOLUME)[-21], rel=1e-9)


def test_slope_has_the_sign_and_size_of_the_golden_one():
    """The slope behind our t-statistic is TA-Lib's: fed the exponential of the closes, it gives its number."""
    _, _, slope = said("LINEARREG_SLOPE")
    window, time = CLOSE[-14:], np.arange(14.0)
    residual = window - window.mean() - slope * (time - time.mean())
    expected = slope / math.sqrt((residual**2).sum() / 12 / ((time - time.mean()) ** 2).sum())
    kind = next(one for one in KINDS if one.name == "regress")
    X = np.full((252, len(INPUT_COLUMNS)), np.nan)
    prices = np.exp((CLOSE - 100) / 10)  # a logarithm of ours takes this back to the closes
    for name in ("open", "high", "low", "close"):
        X[:, INPUT_COLUMNS.index(name)] = prices
    X[:, INPUT_COLUMNS.index("volume")] = 1.0
    X[:, INPUT_COLUMNS.index("gap")] = 0.0
    fs = FeatureSet(((kind, (14,)),), ("klines",))
    found = compute(fs, X, featuredata.stamps_us(252)).values[-1, fs.index("lr_t_14")]
    assert found == pytest.approx(expected, rel=1e-7)  # the golden slope has ten decimals


DIFFERENT_SEED = {
    # column: (kind, params, TA-Lib's of the same thing)
    "macd_line_12_26_9": ("macd", (12, 26, 9), lambda: talib.MACD(CLOSE, 12, 26, 9)[0] / talib.ATR(HIGH, LOW, CLOSE)),
    "macd_sig_12_26_9": ("macd", (12, 26, 9), lambda: talib.MACD(CLOSE, 12, 26, 9)[1] / talib.ATR(HIGH, LOW, CLOSE)),
    "adx_14": ("dmi", (14,), lambda: talib.ADX(HIGH, LOW, CLOSE, 14) / 100),
    "di_diff_14": (
        "dmi", (14,), lambda: (talib.PLUS_DI(HIGH, LOW, CLOSE, 14) - talib.MINUS_DI(HIGH, LOW, CLOSE, 14))
        / (talib.PLUS_DI(HIGH, LOW, CLOSE, 14) + talib.MINUS_DI(HIGH, LOW, CLOSE, 14)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("column", DIFFERENT_SEED)
def test_different_seed_is_forgotten(column):
    """Where we start otherwise than TA-Lib the difference dies out within the reference bars.

    That it is gone, to 1e-9, once the declared warm-up is over is proved on long series in test_feature_oracles.
    """
    kind, params, talibs = DIFFERENT_SEED[column]
    off = np.abs(ours(kind, *params, first=40)[column] - talibs())
    assert off[-1] < 1e-6
    assert off[-1] <= off[45:60].max()


def test_ppo_differs_in_the_mean_it_takes():
    """TA-Lib's PPO takes simple means unless told; ours takes exponential ones, as TA-Lib does when told."""
    at, _, last = said("PPO")
    found = ours("ppo", 12, 26, first=at)["ppo_12_26"]
    np.testing.assert_allclose(found[60:], talib.PPO(CLOSE, 12, 26, 1)[60:] / 100, atol=1e-3)
    assert abs(found[-1] - last / 100) > 1e-3


@pytest.mark.parametrize("kind", ["parkinson", "garman_klass", "rogers_satchell", "yang_zhang"])
def test_range_estimators_give_the_golden_numbers(kind):
    """Estimators TA-Lib lacks have their committed value on the last reference bar."""
    assert ours(kind, 20)[f"{kind}_20"][-1] == pytest.approx(ESTIMATORS[kind], rel=1e-10)


def test_close_to_close_deviation_gives_the_golden_number():
    """Our realised volatility, its mean taken out, is the committed close-to-close deviation."""
    squares = math.exp(2 * ours("rv", 20)["rv_20"][-1])
    drift = ours("ret_raw", 20)["ret_raw_20"][-1] / 20
    assert math.sqrt((squares - 20 * drift**2) / 19) == pytest.approx(ESTIMATORS["close_close"], rel=1e-10)
