"""The thresholds file as a consumer sees it: followed when it changes, refused when anything about it is wrong."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from scalper_ml.errors import ScalperError
from scalper_ml.gate.thresholds import FORMAT, document_id
from scalper_ml.gate.tiers import TIERS

__all__ = ["PublishedFile", "Refused", "Thresholds"]

_TIERS: Final = {tier.name: tier for tier in TIERS}
_ACTIONS: Final = {"HIGH": {"ACTIVE"}, "MEDIUM": {"WARMUP"}, "LOW": {"LOW"}, "REJECTED": set[str]()}


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """Why the file cannot be used: a reason code, and words for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Thresholds:
    """A whole and valid document.

    Attributes
    ----------
    document : mapping
    written_us : int
        When the file was written, microseconds UTC.
    """

    document: Mapping[str, Any]
    written_us: int

    def verdict(self, symbol: str, horizon: int | str | None) -> tuple[str, Mapping[str, Any]]:
        """Horizon and verdict of a coin; without `horizon` those of its best accepted one.

        Raises
        ------
        Refused
            The coin or the horizon is not in the file, or the coin was never scored.
        """
        coin = self.document["coins"].get(symbol)
        if coin is None:
            raise Refused("unknown_coin", f"{symbol} is not in the thresholds")
        chosen = coin["horizon"] if horizon is None else horizon
        if chosen is None:
            raise Refused("not_scored", f"{symbol} has not been scored")
        verdict = coin["horizons"].get(str(chosen))
        if verdict is None:
            raise Refused("unknown_horizon", f"{symbol} has no horizon {chosen}; it has {sorted(coin['horizons'])}")
        return str(chosen), verdict

    def check_age(self, verdict: Mapping[str, Any], now_us: int) -> None:
        """Refuse what is older than the document allows: the file, or the data that the score was made of.

        Raises
        ------
        Refused
            ``file_stale`` or ``score_stale``. Scores of planted markets, which have no calendar, age with the file.
        """
        limit = float(self.document["max_age_days"])
        ages = [("file_stale", "the thresholds were written", self.written_us)]
        if verdict["scored_until"] is not None:
            until = datetime.fromisoformat(verdict["scored_until"])
            ages.append(("score_stale", "the scored data ends", round(until.timestamp() * 1e6)))
        for code, what, at_us in ages:
            age = (now_us - at_us) / 86_400e6
            if age > limit:
                raise Refused(code, f"{what} {age:.1f} days ago; at most {limit:g} are allowed - score again")


class PublishedFile:
    """One thresholds file, read again whenever it was replaced.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._found: Thresholds | Refused | None = None

    def current(self) -> Thresholds:
        """The document as it is now; the one before is never used in the place of a file that cannot be.

        Raises
        ------
        Refused
            ``file_missing``, ``file_unreadable`` or ``file_corrupt``.
        """
        try:
            status = self.path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen or self._found is None:
                self._found = _parsed(self.path.read_bytes(), status.st_mtime_ns // 1000)
                self._seen = seen
        except FileNotFoundError:
            self._found = None
            raise Refused("file_missing", f"no thresholds at {self.path}; run `scalper run`") from None
        except OSError as error:
            self._found = None
            raise Refused("file_unreadable", f"{self.path} cannot be read: {error.strerror}") from None
        if isinstance(self._found, Refused):
            raise self._found
        return self._found


def _parsed(data: bytes, written_us: int) -> Thresholds | Refused:
    """The document in `data`, or why it is none."""
    try:
        document = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        return Refused("file_corrupt", f"the thresholds are no JSON ({error}); publish them again")
    try:
        return _checked(document, written_us)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError, ScalperError) as error:
        told = f"{type(error).__name__}: {error}"
        return Refused("file_corrupt", f"the thresholds are not as they were published ({told}); publish them again")


def _no_number(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _checked(document: Any, written_us: int) -> Thresholds | Refused:
    """The document, if it is one and whole; any error says that it is not."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else type(document).__name__
        return Refused("file_corrupt", f"the thresholds have format {found!r}; expected {FORMAT} - publish them again")
    if document.get("document_id") != document_id(document):
        return Refused("file_corrupt", "the thresholds were altered after they were published; publish them again")
    if not (isinstance(document["timeframe"], str) and 0 < float(document["max_age_days"]) < math.inf):
        return Refused("file_corrupt", "the thresholds have no timeframe or no max_age_days; publish them again")
    if document["min_score"] is not None:
        float(document["min_score"])
    wrong = [
        f"{symbol} x {horizon}"
        for symbol, coin in document["coins"].items()
        for horizon, verdict in coin["horizons"].items()
        if not _plausible(verdict) or (coin["horizon"] is not None and str(coin["horizon"]) not in coin["horizons"])
    ]
    if wrong:
        return Refused("file_corrupt", f"verdicts that contradict themselves: {wrong[:5]}; publish them again")
    return Thresholds(document, written_us)


def _plausible(verdict: Mapping[str, Any]) -> bool:
    """Whether an action belongs to its tier, and its confidence is no looser than floor and threshold."""
    tier = _TIERS.get(verdict["quality_tier"])
    words = [verdict["reason"], verdict["layer"] or "", *verdict["reasons"]]
    if tier is None or not math.isfinite(verdict["min_confidence"]) or not all(isinstance(one, str) for one in words):
        return False
    if verdict["scored_until"] is not None:
        datetime.fromisoformat(verdict["scored_until"])
    if verdict["action"] == "NO_TRADE":
        return bool(verdict["size_factor"] == 0)
    least = max(tier.min_confidence, verdict["threshold"])
    allowed = _ACTIONS[tier.name] | ({"WARMUP"} if _ACTIONS[tier.name] else set())
    scored = isinstance(verdict["bundle_id"], str) and tier.min_score <= verdict["score_0_100"] <= 100
    sized = verdict["size_factor"] == tier.size_factor
    return bool(verdict["action"] in allowed and verdict["min_confidence"] >= least and scored and sized)
