"""Volatility, activity, trend and causes of a synthetic market, bar by bar."""

import numpy as np
from scipy.signal import lfilter

from scalper_ml.ingest.synthetic_spec import SyntheticSpec, Texture
from scalper_ml.ingest.synthetic_transparent import Motion, student

__all__ = ["motion_of", "volatility"]

_DAY_US = 86_400_000_000
_HOUR_US = 3_600_000_000
_PEAK_US = 15 * _HOUR_US
_TEXTURE_STREAM = 1  # beside the stream that draws signal and trades: a plain market does not change


def motion_of(spec: SyntheticSpec, cause: np.ndarray | None = None) -> Motion:
    """What a spec says of every bar.

    Parameters
    ----------
    spec : SyntheticSpec
        Of level A or null.
    cause : ndarray, shape (bars,), optional
        What foretells each bar's return instead of the flow before it, unit variance.
    """
    n, rng = spec.bars, np.random.default_rng([spec.seed, _TEXTURE_STREAM])
    scale = volatility(spec.texture, spec, rng)
    sign = np.ones(n)
    if spec.flip_at:
        sign[int(spec.flip_at * n) :] = -1.0
    trend = np.full(n, spec.trend) + _jumps(spec.texture, spec, rng)
    activity = scale / scale.mean()
    arrivals = _excited(spec, activity, rng) if spec.texture.branching else None
    return Motion(spec.sigma * scale, activity, trend, sign, cause, spec.texture.shock_df, arrivals)


def volatility(texture: Texture, spec: SyntheticSpec, rng: np.random.Generator) -> np.ndarray:
    """Volatility of every bar (n,), mean square 1 by law, and 1 throughout for a plain texture.

    Examples
    --------
    >>> volatility(Texture(), SyntheticSpec(days=0.002), np.random.default_rng(1)).tolist()
    [1.0, 1.0]
    """
    n = spec.bars
    if texture.calm:
        return np.ones(n)
    log_scale = np.zeros(n)
    for half_life in (texture.fast_half_life, texture.slow_half_life):
        keep = 0.5 ** (1 / half_life)
        draws = rng.standard_normal(n) * texture.vol_sd
        draws[1:] *= np.sqrt(1 - keep**2)
        log_scale += lfilter([1.0], [1.0, -keep], draws) - texture.vol_sd**2  # E[exp(2 x)] = exp(2 var)
    at = spec.start_us + spec.interval_us * np.arange(n)
    log_scale += np.log1p(texture.season * np.cos(2 * np.pi * ((at - _PEAK_US) % _DAY_US) / _DAY_US))
    log_scale += np.log1p(texture.burst) * (at % _HOUR_US < 60_000_000)
    return np.exp(log_scale)


def _excited(spec: SyntheticSpec, activity: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Trades of each bar (bars,) and the time from each trade to the next (n,), of a Hawkes process by its clusters.

    Trades that come of themselves are a Poisson process; each sets off others, and these again. A bar has at least
    four trades.
    """
    texture, bars = spec.texture, spec.bars
    own = rng.poisson((1 - texture.branching) * spec.trades_per_bar * activity, bars)
    generation = np.repeat(np.arange(bars, dtype=np.float64), own) + rng.random(int(own.sum()))
    delay = texture.excitation_s * 1e6 / spec.interval_us
    born = [generation]
    while generation.size:
        generation = np.repeat(generation, rng.poisson(texture.branching, generation.size))
        generation = generation + rng.exponential(delay, generation.size)
        generation = generation[generation < bars]
        born.append(generation)
    at = np.concatenate(born)
    missing = np.maximum(4 - np.bincount(at.astype(np.int64), minlength=bars), 0)
    at = np.sort(np.concatenate([at, np.repeat(np.arange(bars), missing) + rng.random(int(missing.sum()))]))
    bar = at.astype(np.int64)
    until = np.minimum(np.append(at[1:], bars), bar + 1)  # the last trade of a bar is followed by its end
    return np.bincount(bar, minlength=bars), np.maximum(until - at, 1e-12)


def _jumps(texture: Texture, spec: SyntheticSpec, rng: np.random.Generator) -> np.ndarray:
    """Jumps of each bar in units of its volatility; most bars have none."""
    jumps = np.zeros(spec.bars)
    if texture.jumps_per_day:
        at = np.flatnonzero(rng.random(spec.bars) < texture.jumps_per_day * spec.interval_us / _DAY_US)
        jumps[at] = texture.jump_sigmas * student(rng, 5.0, len(at))
    return jumps
