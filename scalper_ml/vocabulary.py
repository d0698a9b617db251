"""Words that settings and tables share: classes, roles, groups of inputs. Nothing is imported for them."""

from typing import Final, Literal

__all__ = ["CLASSES", "INPUT_GROUPS", "LONG", "NEUTRAL", "ROLES", "SHORT", "InputGroup", "Role"]

SHORT: Final = 0
NEUTRAL: Final = 1
LONG: Final = 2
CLASSES: Final = ("SHORT", "NEUTRAL", "LONG")
"""Order of the columns of every probability matrix ``P (n, 3)`` and the codes of every label."""

Role = Literal["train", "calibrate", "select", "score", "purged"]
ROLES: Final = ("train", "calibrate", "select", "score")

InputGroup = Literal["klines", "trades", "market", "calendar", "quotes", "book", "derivatives"]
INPUT_GROUPS: Final = ("klines", "trades", "market", "calendar", "quotes", "book", "derivatives")
