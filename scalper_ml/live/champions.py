"""Follow the champion pointers: another one is in the loop before the next bar is decided on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scalper_ml.errors import ScalperError
from scalper_ml.live.lane import NoChampion
from scalper_ml.live.loop import Loop
from scalper_ml.live.signal_model import SignalModel
from scalper_ml.live.start import champion_of
from scalper_ml.project import Project

__all__ = ["ChampionWatch", "Change"]


@dataclass(frozen=True, slots=True)
class Change:
    """A champion that was replaced while the loop ran: bundle ids, or why there is none."""

    symbol: str
    horizon: int
    before: str
    after: str


class ChampionWatch:
    """Looks at the pointers of a loop's symbols now and then, and replaces what has changed.

    A pointer that cannot be followed takes the old champion away as well: it is not the champion any more. The
    decisions then say what was wrong.

    Parameters
    ----------
    project : Project
    loop : Loop
    every_s : float
        Pointers are looked at no more often.
    now : callable, optional
    """

    def __init__(
        self, project: Project, loop: Loop, *, every_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._project, self._loop, self._every_s, self._now = project, loop, every_s, now
        self._looked = now()
        self._seen = {(lane.symbol, h): self._pointer(lane.symbol, h) for lane in loop.lanes.values()
                      for h in lane.champions}  # fmt: skip
        self.changes: list[Change] = []

    def __call__(self) -> None:
        """Look, if it is time to."""
        if self._now() - self._looked >= self._every_s:
            self._looked = self._now()
            self.look()

    def look(self) -> list[Change]:
        """Replace every champion whose pointer has changed; what was replaced."""
        found = []
        for (symbol, horizon), seen in self._seen.items():
            pointer = self._pointer(symbol, horizon)
            if pointer == seen:
                continue
            self._seen[symbol, horizon] = pointer
            lane = self._loop.lanes[symbol]
            before, after = lane.champions[horizon], champion_of(self._project, symbol, horizon, lane.fs)
            if isinstance(after, SignalModel):
                after = _continued(before, after)
            self._loop.replace(symbol, horizon, after)
            found.append(Change(symbol, horizon, _named(before), _named(after)))
        self.changes += found
        return found

    def _pointer(self, symbol: str, horizon: int) -> Any:
        """What the pointer says, or what is wrong with it."""
        try:
            pointer = self._project.warehouse.require("champions", {"symbol": symbol, "horizon": horizon}).summary
        except ScalperError as error:
            return str(error)
        return tuple(pointer.get(name) for name in ("bundle_id", "layer", "action", "reason", "suspended"))


def _continued(before: SignalModel | NoChampion, after: SignalModel) -> SignalModel | NoChampion:
    """The new champion where the old one's scaler stands; what scales causally must have seen every row."""
    if after.state() is None:
        return after
    state = before.state() if isinstance(before, SignalModel) else None
    if state is None or state["names"] != list(after.model.names):
        return NoChampion(f"{after.bundle_id[:12]} scales by rows that this loop has not kept; start the bot anew")
    after.restore(state)
    return after


def _named(champion: SignalModel | NoChampion) -> str:
    return champion.reason if isinstance(champion, NoChampion) else champion.bundle_id
