"""Parameters of labellers in one flat mapping, as tests vary them, and as labellers take them."""

from typing import Any

from scalper_ml.labels.rule import LabelRule

__all__ = ["ruled"]

_FIELDS = ("horizon", "interval_us", "k_vol", "kappa", "max_gap_bars")


def ruled(**given: Any) -> dict[str, Any]:
    """The fields of a rule as one `LabelRule`, everything else as it is."""
    rule = {name: given.pop(name) for name in _FIELDS if name in given}
    return {"rule": LabelRule(**rule), **given}
