"""Independent answers: TA-Lib where it has the indicator, else numpy over whole windows. No code of ours."""

import math

import numpy as np
import talib
from numpy.lib.stride_tricks import sliding_window_view

from scalper_ml.features import INPUT_COLUMNS


class Bars:
    """Named columns of an input matrix and what every definition shares."""

    def __init__(self, X, ts_us):
        for j, name in enumerate(INPUT_COLUMNS):
            setattr(self, name, X[:, j].copy())
        self.ts = ts_us
        self.lnc = np.log(self.close)
        self.r = np.diff(self.lnc, prepend=np.nan)
        self.sigma = np.sqrt(last(self.r**2, 60).mean(axis=1))
        self.atr = talib.ATR(self.high, self.low, self.close, 14)
        self.tr = talib.TRANGE(self.high, self.low, self.close)
        self.typical = talib.TYPPRICE(self.high, self.low, self.close)
        self.net = self.buy_volume - self.sell_volume
        self.flow = self.buy_volume + self.sell_volume


def last(x, n):
    """The last n values at every row, shape (rows, n), NaN where there are fewer."""
    return sliding_window_view(np.r_[np.full(n - 1, np.nan), x], n)


def lag(x, n):
    """x n rows ago."""
    return np.r_[np.full(n, np.nan), x[:-n]]


def total(x, n):
    return last(x, n).sum(axis=1)


def z(x, n):
    w = last(x, n)
    return (x - w.mean(axis=1)) / w.std(axis=1)


def corr(x, y, n):
    a, b = last(x, n), last(y, n)
    a = a - a.mean(axis=1, keepdims=True)
    b = b - b.mean(axis=1, keepdims=True)
    return (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))


def slope(y, x, n):
    a, b = last(x, n), last(y, n)
    a = a - a.mean(axis=1, keepdims=True)
    return (a * b).sum(axis=1) / (a * a).sum(axis=1)


def move(b, n):
    return b.lnc - lag(b.lnc, n)


def rank(x, n):
    w = last(x, n)
    below, equal = (w < x[:, None]).sum(axis=1), (w == x[:, None]).sum(axis=1)
    return np.where(np.isnan(w).any(axis=1), np.nan, (below + (equal + 1) / 2) / n)


def runs(signs, limit=20):
    """Signed run lengths, by walking."""
    out, run = [], 0
    for s in signs:
        run = 0 if s == 0 or np.isnan(s) else (run if run * s > 0 else 0) + int(s)
        out.append(max(-limit, min(limit, run)))
    return np.array(out, dtype=float)


def ema_after(x, n, skip):
    """TA-Lib's EMA of a series that starts with `skip` NaN."""
    return np.r_[np.full(skip, np.nan), talib.EMA(x[skip:], n)]


def entropy(codes, n, states):
    shares = np.stack([total((codes == s).astype(float), n) / n for s in range(states)])
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log(shares), 0.0)
    return -terms.sum(axis=0) / math.log(states)


def stochrsi(b, n):
    rsi = talib.RSI(b.close, n)
    w = last(rsi, n)
    return (rsi - w.min(axis=1)) / (w.max(axis=1) - w.min(axis=1))


def stoch(b, n):
    k, d = talib.STOCH(b.high, b.low, b.close, n, 3, 0, 3, 0)
    return k / 100, d / 100


def tsi(b, long, short):
    def twice(x):
        return ema_after(ema_after(x, long, 1), short, long)

    change = np.diff(b.close, prepend=np.nan)
    return twice(change) / twice(np.abs(change))


def di(b, n):
    plus, minus = talib.PLUS_DI(b.high, b.low, b.close, n), talib.MINUS_DI(b.high, b.low, b.close, n)
    return talib.ADX(b.high, b.low, b.close, n) / 100, (plus - minus) / (plus + minus)


def regress(b, n):
    t = np.arange(len(b.lnc), dtype=float)
    r = corr(b.lnc, t, n)
    return r * np.sqrt((n - 2) / (1 - r * r)), r * r


def middle(b, n):
    return (last(b.high, n).max(axis=1) + last(b.low, n).min(axis=1)) / 2


def since(b, n):
    return (
        last(b.high, n)[:, ::-1].argmax(axis=1) / n,
        last(b.low, n)[:, ::-1].argmin(axis=1) / n,
    )


def chop(b, n):
    span = last(b.high, n).max(axis=1) - last(b.low, n).min(axis=1)
    return np.log10(total(b.tr, n) / span) / math.log10(n)


def ewma_vol(b, percent):
    lam = percent / 100
    out = np.full(len(b.r), np.nan)
    for i in range(1, len(out)):
        weights = lam ** np.arange(i)[::-1]
        out[i] = math.sqrt((weights * b.r[1 : i + 1] ** 2).sum() / weights.sum())
    return out


def gk(b):
    return 0.5 * np.log(b.high / b.low) ** 2 - (2 * math.log(2) - 1) * np.log(b.close / b.open) ** 2


def rs(b):
    return np.log(b.high / b.close) * np.log(b.high / b.open) + np.log(b.low / b.close) * np.log(b.low / b.open)


def yang_zhang(b, n):
    night = last(np.log(b.open / lag(b.close, 1)), n).var(axis=1, ddof=1)
    day = last(np.log(b.close / b.open), n).var(axis=1, ddof=1)
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    return np.sqrt(night + k * day + (1 - k) * total(rs(b), n) / n)


def bands(b, n):
    upper, mid, lower = talib.BBANDS(b.close, n, 2.0, 2.0)
    return (upper - lower) / mid, (b.close - lower) / (upper - lower) - 0.5


def eom(b, n):
    mid = (b.high + b.low) / 2
    moves = last((mid - lag(mid, 1)) * (b.high - b.low), n)
    volume = last(b.volume, n)
    mean = volume.mean(axis=1, keepdims=True)
    return (moves * mean / np.maximum(volume, mean / 1000)).mean(axis=1) / b.atr**2


def amihud(b, n):
    def level(m):
        return np.log(total(np.abs(b.r), m) / total(b.volume * b.close, m))

    return level(n) - level(240)


def shape(b):
    span = b.high - b.low
    top, bottom = np.maximum(b.open, b.close), np.minimum(b.open, b.close)
    clv = (2 * b.close - b.low - b.high) / span
    return (b.close - b.open) / span, (b.high - top) / span, (bottom - b.low) / span, clv


def two_bars(b):
    o1, h1, l1, c1 = (lag(x, 1) for x in (b.open, b.high, b.low, b.close))
    inside = (b.high < h1) & (b.low > l1)
    outside = (b.high > h1) & (b.low < l1)
    up = (b.close > b.open) & (c1 < o1) & (b.open <= c1) & (b.close >= o1)
    down = (b.close < b.open) & (c1 > o1) & (b.open >= c1) & (b.close <= o1)
    return inside.astype(float), outside.astype(float), up.astype(float) - down


def one_bar(b):
    body, up, down, _ = shape(b)
    size = np.abs(body)
    hammer = (size <= 1 / 3) & (down >= 0.6) & (up <= 0.1)
    star = (size <= 1 / 3) & (up >= 0.6) & (down <= 0.1)
    return (size <= 0.1).astype(float), hammer.astype(float) - star, np.sign(body) * (size >= 0.95)


def three_line(b):
    rising = (last(np.sign(b.close - b.open), 3) == 1).all(axis=1) & (np.diff(last(b.close, 3)) > 0).all(axis=1)
    falling = (last(np.sign(b.close - b.open), 3) == -1).all(axis=1) & (np.diff(last(b.close, 3)) < 0).all(axis=1)
    return rising.astype(float) - falling


def ha_run(b):
    close = (b.open + b.high + b.low + b.close) / 4
    colours, open_ = [], (b.open[0] + b.close[0]) / 2
    for i, c in enumerate(close):
        open_ = open_ if i == 0 else (open_ + close[i - 1]) / 2
        colours.append(np.sign(c - open_))
    return runs(colours)


def drawdown(b, n):
    w = last(b.lnc, n)
    scale = b.sigma * math.sqrt(n)
    return (b.lnc - w.max(axis=1)) / scale, (b.lnc - w.min(axis=1)) / scale


def skew_kurt(b, n):
    w = last(b.r, n)
    d = w - w.mean(axis=1, keepdims=True)
    m2, m3, m4 = ((d**p).mean(axis=1) for p in (2, 3, 4))
    return m3 / m2**1.5, m4 / m2**2 - 3


def perm_entropy(b, n):
    triples = last(b.close, 3)
    codes = np.array([np.ravel_multi_index(np.argsort(t, kind="stable"), (3, 3, 3)) for t in triples])
    known = {code: i for i, code in enumerate(sorted(set(codes[2:])))}
    return entropy(np.array([-1, -1, *(known[c] for c in codes[2:])]), n, 6)


def sign_entropy(b, n):
    up = (b.r > 0).astype(int)
    codes = 4 * lag(up.astype(float), 2) + 2 * lag(up.astype(float), 1) + up
    codes[:3] = -1
    return entropy(codes, n, 8)


def reversion(b, n):
    x, y = lag(b.lnc, 1), b.r
    k = slope(y, x, n)
    r = corr(y, x, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = np.where(k < 0, -math.log(2) / np.log1p(k) / n, 1.0)
    return np.clip(half, 0, 1), r * np.sqrt((n - 2) / (1 - r * r))


def circle(part):
    return np.sin(2 * math.pi * part), np.cos(2 * math.pi * part)


def clock(b):
    return b.ts.astype("datetime64[us]")


def time_of_day(b):
    return circle((clock(b) - clock(b).astype("datetime64[D]")) / np.timedelta64(1, "D"))


def weekday(b):
    return np.array([stamp.weekday() for stamp in clock(b).astype(object)], dtype=float)


def hour_part(b):
    return (clock(b) - clock(b).astype("datetime64[h]")) / np.timedelta64(1, "h")


def session(b):
    hour = np.array([stamp.hour for stamp in clock(b).astype(object)])
    return (hour < 8) * 1.0, ((hour >= 7) & (hour < 15)) * 1.0, ((hour >= 13) & (hour < 22)) * 1.0


def etfi(b, half):
    out = []
    for i in range(len(b.net)):
        weights = 0.5 ** (np.arange(i + 1)[::-1] / half)
        out.append((weights * b.net[: i + 1]).sum() / (weights * b.flow[: i + 1]).sum())
    return np.array(out)


def tfi_z(b, n):
    return total(b.net, n) / np.sqrt(total(b.net**2, n))


def kyle(b, n):
    x = np.sign(b.net) * np.sqrt(np.abs(b.net))
    return slope(b.r, x, n) * last(x, n).std(axis=1) / b.sigma


def cvd_slope(b, n):
    time = np.arange(n) - (n - 1) / 2
    levels = np.cumsum(last(b.net, n), axis=1)
    return (levels * time).sum(axis=1) / (time**2).sum() / (total(b.flow, n) / n)


def absorption(b, n):
    return tfi_z(b, n) * (1 - np.minimum(1, np.abs(move(b, n)) / (b.sigma * math.sqrt(n))))


def flow_accel(b, n):
    mean = total(b.net / b.flow, n) / n
    return mean - lag(mean, n)


def rms60(x):
    return np.sqrt(total(x**2, 60) / 60)


def resid(b, n):
    k = slope(b.r, b.mkt_ret, 60)
    own, other = last(b.r, 60), last(b.mkt_ret, 60)
    residual = own - k[:, None] * other
    return (move(b, n) - k * total(b.mkt_ret, n)) / ((residual.std(axis=1) + 1e-7) * math.sqrt(n))


def leadlag(b, n):
    return slope(b.r, lag(b.lead_ret, 1), n) * b.lead_ret / b.sigma


def obv_slope(b, n):
    line = talib.OBV(b.close, b.volume)
    return (line - lag(line, n)) / total(b.volume, n)


def macd(b, fast, slow, signal):
    return tuple(x / b.atr for x in talib.MACD(b.close, fast, slow, signal))


def basis(b):
    return (b.mark_price / b.index_price - 1) * 1e4


def log_change(x, n):
    return np.log(x) - np.log(lag(x, n))


def price_and(interest, b, n):
    return np.sign(interest - lag(interest, n)) * move(b, n) / (b.sigma * math.sqrt(n))


def liquidated(b):
    return np.minimum((b.liquidated_long + b.liquidated_short) / (b.volume * b.close), 10)


def liq_imb(b, n):
    long, short = total(b.liquidated_long, n), total(b.liquidated_short, n)
    with np.errstate(invalid="ignore"):
        return np.where(long + short == 0, 0.0, (short - long) / (short + long))


def depth_imbalance(bid, ask, n):
    return total(bid - ask, n) / total(bid + ask, n)


def depth(b):
    return b.bid_depth_10bps + b.ask_depth_10bps


ORACLES = {
    "ret_raw": lambda b, n: np.log1p(talib.ROCP(b.close, n)),
    "ret_z": lambda b, n: move(b, n) / (b.sigma * math.sqrt(n)),
    "ret_accel": lambda b, n: (move(b, n) - lag(move(b, n), n)) / (b.sigma * math.sqrt(n)),
    "rsi": lambda b, n: talib.RSI(b.close, n) / 100 - 0.5,
    "stoch": stoch,
    "stochrsi": stochrsi,
    "cmo": lambda b, n: talib.CMO(b.close, n) / 100,
    "macd": macd,
    "ppo": lambda b, fast, slow: talib.PPO(b.close, fast, slow, 1) / 100,
    "trix": lambda b, n: talib.TRIX(b.close, n) / 100,
    "ultosc": lambda b, *n: talib.ULTOSC(b.high, b.low, b.close, *n) / 100 - 0.5,
    "tsi": tsi,
    "up_share": lambda b, n: total((b.r > 0) * 1.0, n) / n,
    "run_len": lambda b: runs(np.sign(b.r)),
    "ret_rank": lambda b, n: rank(move(b, 5), n),
    "extreme_ret": lambda b, n: (last(b.r, n).max(axis=1) / b.sigma, last(b.r, n).min(axis=1) / b.sigma),
    "ema_dist": lambda b, n: (b.close - talib.EMA(b.close, n)) / b.atr,
    "ema_slope": lambda b, n: (talib.EMA(b.close, n) - lag(talib.EMA(b.close, n), 3)) / b.atr,
    "ema_cross": lambda b, m, n: (talib.EMA(b.close, m) - talib.EMA(b.close, n)) / b.atr,
    "vwap_dist": lambda b, n: (b.close - total(b.typical * b.volume, n) / total(b.volume, n)) / b.atr,
    "dmi": di,
    "aroon_osc": lambda b, n: talib.AROONOSC(b.high, b.low, n) / 100,
    "vortex": lambda b, n: total(np.abs(b.high - lag(b.low, 1)) - np.abs(b.low - lag(b.high, 1)), n) / total(b.tr, n),
    "regress": regress,
    "eff_ratio": lambda b, n: np.abs(move(b, n)) / total(np.abs(b.r), n),
    "donchian_pos": lambda b, n: talib.WILLR(b.high, b.low, b.close, n) / 100 + 0.5,
    "keltner_pos": lambda b, n: (b.close - talib.EMA(b.close, n)) / (2 * talib.ATR(b.high, b.low, b.close, 10)),
    "ichimoku_tk": lambda b, m, n: (talib.MIDPRICE(b.high, b.low, m) - talib.MIDPRICE(b.high, b.low, n)) / b.atr,
    "bars_since": since,
    "cci": lambda b, n: talib.CCI(b.high, b.low, b.close, n) / 200,
    "chop": chop,
    "rv": lambda b, n: np.log(np.sqrt(total(b.r**2, n))),
    "natr": lambda b, n: np.log(talib.NATR(b.high, b.low, b.close, n) / 100),
    "parkinson": lambda b, n: np.sqrt(total(np.log(b.high / b.low) ** 2, n) / (4 * n * math.log(2))),
    "garman_klass": lambda b, n: np.sqrt(total(gk(b), n) / n),
    "rogers_satchell": lambda b, n: np.sqrt(total(rs(b), n) / n),
    "yang_zhang": yang_zhang,
    "rv_ratio": lambda b, m, n: np.sqrt(total(b.r**2, m) / m / (total(b.r**2, n) / n)),
    "ewma_vol": ewma_vol,
    "bipower_jump": lambda b, n: np.maximum(
        0, 1 - math.pi / 2 * total(np.abs(b.r) * np.abs(lag(b.r, 1)), n) / total(b.r**2, n)
    ),
    "semivar_ratio": lambda b, n: (total(b.r**2 * (b.r < 0), n) - total(b.r**2 * (b.r > 0), n)) / total(b.r**2, n),
    "bb": bands,
    "vol_of_vol": lambda b, n: last(np.log(np.sqrt(total(b.r**2, 5))), n).std(axis=1),
    "range_atr": lambda b: (b.high - b.low) / b.atr,
    "vol_z": lambda b, n: z(np.log(b.volume), n),
    "obv_slope": obv_slope,
    "cmf": lambda b, n: total(shape(b)[3] * b.volume, n) / total(b.volume, n),
    "adosc_n": lambda b, m, n: talib.ADOSC(b.high, b.low, b.close, b.volume, m, n) / talib.EMA(b.volume, n),
    "mfi": lambda b, n: talib.MFI(b.high, b.low, b.close, b.volume, n) / 100 - 0.5,
    "force": lambda b, n: (
        ema_after(np.diff(b.close, prepend=np.nan) * b.volume, n, 1) / (b.atr * talib.EMA(b.volume, n))
    ),
    "eom": eom,
    "updown_vol": lambda b, n: total(np.sign(b.close - b.open) * b.volume, n) / total(b.volume, n),
    "vol_ret_corr": lambda b, n: corr(np.abs(b.r), b.volume, n),
    "amihud": amihud,
    "shape": shape,
    "body_z": lambda b: np.abs(b.close - b.open) / b.atr,
    "open_gap": lambda b: (b.open - lag(b.close, 1)) / b.atr,
    "wick_imb": lambda b, n: total((shape(b)[2] - shape(b)[1]) * (b.high - b.low), n) / total(b.high - b.low, n),
    "two_bars": two_bars,
    "one_bar": one_bar,
    "three_line": three_line,
    "hh_ll": lambda b, n: total((b.high > lag(b.high, 1)) * 1.0 - (b.low < lag(b.low, 1)) * 1.0, n) / n,
    "nr": lambda b, n: (b.high - b.low <= last(b.high - b.low, n).min(axis=1)) * 1.0,
    "ha_run": ha_run,
    "drawdown": drawdown,
    "zscore": lambda b, n: z(b.lnc, n),
    "acf1": lambda b, n: corr(b.r, lag(b.r, 1), n),
    "acf5": lambda b, n: corr(b.r, lag(b.r, 5), n),
    "var_ratio_5": lambda b, n: last(move(b, 5), n).var(axis=1) / (5 * last(b.r, n).var(axis=1)) - 1,
    "moments": skew_kurt,
    "perm_entropy": perm_entropy,
    "sign_entropy": sign_entropy,
    "reversion": reversion,
    "rank_price": lambda b, n: rank(b.close, n),
    "tod": time_of_day,
    "dow": lambda b: circle(weekday(b) / 7),
    "moh": lambda b: circle(hour_part(b)),
    "m15_phase": lambda b: (-hour_part(b) * 4) % 1,
    "session": session,
    "weekend": lambda b: (weekday(b) >= 5) * 1.0,
    "tfi": lambda b, n: total(b.net, n) / total(b.flow, n),
    "tfi_z": tfi_z,
    "cnt_imb": lambda b, n: total(2 * b.buy_trades - b.trades, n) / total(b.trades, n),
    "etfi": etfi,
    "cnt_z": lambda b, n: z(np.log1p(b.trades), n),
    "avg_size_z": lambda b, n: z(np.log(b.volume / b.trades), n),
    "vwap_dev": lambda b: (b.close - b.vwap) / b.atr,
    "flow_accel": flow_accel,
    "kyle_lambda": kyle,
    "cvd_slope": cvd_slope,
    "absorption": absorption,
    "flow_acf1": lambda b, n: corr(b.net / b.flow, lag(b.net / b.flow, 1), n),
    "flow_ret_corr": lambda b, n: corr(b.net / b.flow, b.r, n),
    "toxicity": lambda b, n: total(np.abs(b.net), n) / total(b.flow, n),
    "aggr_run": lambda b: runs(np.sign(b.net)),
    "mkt_ret": lambda b, n: total(b.mkt_ret, n) / (rms60(b.mkt_ret) * math.sqrt(n)),
    "lead_ret_z": lambda b, n: total(b.lead_ret, n) / (rms60(b.lead_ret) * math.sqrt(n)),
    "mkt_up": lambda b, n: total(b.mkt_up, n) / n - 0.5,
    "mkt_disp_z": lambda b, n: z(np.log(b.mkt_disp), n),
    "beta_mkt": lambda b, n: slope(b.r, b.mkt_ret, n),
    "corr_mkt": lambda b, n: corr(b.r, b.mkt_ret, n),
    "corr_lead": lambda b, n: corr(b.r, b.lead_ret, n),
    "resid_ret": resid,
    "rel_ret": lambda b, n: (move(b, n) - total(b.mkt_ret, n)) / (b.sigma * math.sqrt(n)),
    "leadlag_pred": leadlag,
    "spread_bp": lambda b: b.spread_bps,
    "spread_mean": lambda b, n: last(b.spread_tw_bps, n).mean(axis=1),
    "spread_z": lambda b, n: z(np.log(b.spread_tw_bps), n),
    "spread_sigma": lambda b: b.spread_tw_bps / 1e4 / b.sigma,
    "obi1": lambda b: b.imbalance,
    "obi1_mean": lambda b, n: last(b.imbalance_tw, n).mean(axis=1),
    "queue_imb_chg": lambda b, n: b.imbalance - lag(b.imbalance, n),
    "micro_dev": lambda b: b.micro_dev_bps / 1e4 / b.sigma,
    "ofi": lambda b, n: total(b.ofi_qty, n) / total(b.top_qty_tw, n),
    "ofi_z": lambda b, n: total(b.ofi_qty, n) / np.sqrt(total(b.ofi_qty**2, n)),
    "ofi_ret_corr": lambda b, n: corr(b.ofi_qty, b.r, n),
    "quote_rate_z": lambda b, n: z(np.log1p(b.quote_updates), n),
    "obi_5bp": lambda b, n: depth_imbalance(b.bid_depth_5bps, b.ask_depth_5bps, n),
    "obi_10bp": lambda b, n: depth_imbalance(b.bid_depth_10bps, b.ask_depth_10bps, n),
    "obi_25bp": lambda b, n: depth_imbalance(b.bid_depth_25bps, b.ask_depth_25bps, n),
    "depth_near_bid": lambda b, n: total(b.bid_depth_5bps, n) / total(b.bid_depth_25bps, n),
    "depth_near_ask": lambda b, n: total(b.ask_depth_5bps, n) / total(b.ask_depth_25bps, n),
    "depth_vol": lambda b, m, n: np.log(last(depth(b), m).mean(axis=1) / last(b.volume, n).mean(axis=1)),
    "depth_z": lambda b, n: z(np.log(depth(b)), n),
    "funding_bp": lambda b: b.funding_rate * 1e4 * 8 / b.funding_interval_h,
    "funding_z": lambda b: (b.funding_rate - b.funding_mean_30) / b.funding_sd_30,
    "funding_cum": lambda b: b.funding_24h * 1e4,
    "fund_to": lambda b: b.hours_to_funding / b.funding_interval_h,
    "basis_bp": basis,
    "basis_z": lambda b, n: z(basis(b), n),
    "basis_chg": lambda b, n: basis(b) - lag(basis(b), n),
    "oi_chg": lambda b, n: log_change(b.open_interest, n),
    "oi_price_q": lambda b, n: price_and(b.open_interest, b, n),
    "oi_z": lambda b, n: z(np.log(b.open_interest), n),
    "oi_value_chg": lambda b, n: log_change(b.open_interest_value, n),
    "oi_value_price_q": lambda b, n: price_and(b.open_interest_value, b, n),
    "oi_value_z": lambda b, n: z(np.log(b.open_interest_value), n),
    "ls_ratio": lambda b: np.log(b.long_short_ratio),
    "ls_chg": lambda b, n: log_change(b.long_short_ratio, n),
    "top_ls": lambda b: np.log(b.top_long_short_positions),
    "top_ls_accounts": lambda b: np.log(b.top_long_short_accounts),
    "taker_ratio": lambda b, n: last(np.log(b.taker_buy_sell_ratio), n).mean(axis=1),
    "liq_imb": liq_imb,
    "liq_z": lambda b, n: z(liquidated(b), n),
}
"""By kind: ``f(bars, *params)`` gives its output, or a tuple of its outputs."""
