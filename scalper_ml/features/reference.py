"""The reference page of the features, written from the registry."""

from collections.abc import Iterator

from scalper_ml.features.registry import FeatureSet, FeatureSpec, feature_set
from scalper_ml.schema import INPUT_GROUPS

__all__ = ["reference_page"]

_INTRO = """# Feature reference

Written from the registry by `scalper_ml.features.reference`; do not edit.

Feature set `{id}`: {count} columns in {families} families; warm after {warmup} bars, resets after a gap of
{gap} bars. `C-1` is the close before; row numbers of the warm-up count from 0 since the last reset: a column is
NaN before its row and finite from it on. Windows are in bars. Every column is clipped to its range and does not
depend on the unit of price or volume. Row i uses rows up to i only.

## Against TA-Lib

Where TA-Lib has the indicator, ours equals it to 1e-9 once the column is warm (TA-Lib 0.8.1, wheel 0.8.2), scaled as
the definition says. The two start alike, so that every row agrees, but for these:

| column | TA-Lib starts | ours starts |
|---|---|---|
| macd_* | the fast EMA at row `slow - 1`, with the mean of its last closes | each EMA with its own first closes |
| adx_*, di_diff_* | the movements with the plain sum of `n - 1` values | with the mean of the first `n` values |
| ppo_* | simple means, unless told to take exponential ones (`matype=1`) | exponential ones |
| ewma_vol_* | (not in TA-Lib) | weights that sum to one, as pandas `ewm(adjust=True)` |

A difference of starts is forgotten before the column's warm-up ends.
"""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _line(spec: FeatureSpec) -> str:
    span = f"{spec.low:.6g} .. {spec.high:.6g}"
    cells = [f"`{spec.name}`", spec.definition, ", ".join(spec.inputs), str(spec.warmup), spec.unit, span, spec.source]
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _lines(fs: FeatureSet) -> Iterator[str]:
    for family in fs.families:
        specs = [spec for spec in fs.specs if spec.family == family]
        groups = ", ".join(dict.fromkeys(spec.group for spec in specs))
        yield f"\n## {family.capitalize()}\n\n{len(specs)} columns from {groups}.\n"
        yield "| column | definition | inputs | warm-up | unit | range | source |"
        yield "|---|---|---|---|---|---|---|"
        yield from map(_line, specs)


def reference_page(fs: FeatureSet | None = None) -> str:
    """Markdown page with every column of `fs`: definition, inputs, warm-up, unit, range and source.

    Parameters
    ----------
    fs : FeatureSet, optional
        The default set of all input groups if not given.

    Examples
    --------
    >>> page = reference_page(feature_set(["klines"], families=["volatility"]))
    >>> "| `ewma_vol_97` |" in page
    True
    """
    fs = fs or feature_set(INPUT_GROUPS)
    intro = _INTRO.format(
        id=fs.id, count=len(fs.names), families=len(fs.families), warmup=fs.warmup, gap=fs.reset_after_gap
    )
    return intro + "\n".join(_lines(fs)) + "\n"
