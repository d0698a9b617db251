"""The record of a symbol x horizon: who is champion, who is challenger, and every transition that led there.

A record is a value: each transition gives a new one. Stamps are of stream time, the newest close known when a
transition was made, so that a record built anew of the same data is the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from scalper_ml.errors import WarehouseError

__all__ = ["KEPT", "Record", "Transition", "begun", "live_at", "standing"]

KEPT: Final = 5
"""Champions of the past whose bundles stay, for a rollback."""

Transition = dict[str, Any]
"""``event``, ``at_us``, ``bundle_id``, what it ``replaced``, ``reason``, ``inputs`` hash, ``pointer`` from then on."""

_LEAST: Final = 4  # digits of the beginning of an id

_RUNS: Final = ("promoted", "rolled_back", "verdict", "suspended", "resumed", "retired", "none")


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one symbol x horizon.

    Parameters
    ----------
    pointer : mapping or None
        What the bot follows; its ``bundle_id`` is None where nothing may run. None before the first build.
    challenger : mapping or None
        The newest bundle that asked for the place: ``bundle_id``, ``since_us``, ``status`` (``shadow``, ``refused``),
        ``reason`` and what it was held against.
    history : tuple of Transition
        In time order, the oldest first.
    """

    pointer: Mapping[str, Any] | None = None
    challenger: Mapping[str, Any] | None = None
    history: tuple[Transition, ...] = ()

    @property
    def bundle_id(self) -> str | None:
        """Of the champion."""
        return None if self.pointer is None else self.pointer["bundle_id"]

    @property
    def pinned(self) -> list[str]:
        """Bundles that must stay: champion, challenger, and the champions before, the newest five."""
        past = dict.fromkeys(one["bundle_id"] for one in reversed(self.history) if one["event"] in _RUNS)
        own = [self.bundle_id, self.challenger["bundle_id"] if self.challenger else None, *list(past)[: KEPT + 1]]
        return list(dict.fromkeys(one for one in own if one is not None))

    def withdrawn(self, bundle_id: str) -> bool:
        """Whether the newest transition of a bundle took it from its place by a rollback."""
        for one in reversed(self.history):
            if one.get("replaced") == bundle_id and one["event"] == "rolled_back":
                return True
            if one["bundle_id"] == bundle_id and one["event"] == "promoted":
                return False
        return False

    def with_pointer(self, event: str, pointer: Mapping[str, Any], *, at_us: int, reason: str, inputs: str) -> "Record":
        """The record after a transition that changes what runs; unchanged where the pointer is the one in force."""
        if self.pointer == pointer:
            return self
        entry: Transition = {
            "event": event,
            "at_us": at_us,
            "bundle_id": pointer["bundle_id"],
            "replaced": self.bundle_id if self.bundle_id != pointer["bundle_id"] else None,
            "reason": reason,
            "inputs": inputs,
            "pointer": dict(pointer),
        }
        return replace(self, pointer=dict(pointer), history=(*self.history, entry))

    def with_challenger(self, challenger: Mapping[str, Any], *, at_us: int, inputs: str) -> "Record":
        """The record after a challenger was kept or refused; told once while its status and reason stay the same."""
        before = self.challenger
        if before is not None and all(before[key] == challenger[key] for key in ("bundle_id", "status", "reason")):
            return replace(self, challenger=dict(challenger))
        entry: Transition = {
            "event": f"challenger_{challenger['status']}",
            "at_us": at_us,
            "bundle_id": challenger["bundle_id"],
            "replaced": None,
            "reason": challenger["reason"],
            "inputs": inputs,
            "pointer": None,
        }
        return replace(self, challenger=dict(challenger), history=(*self.history, entry))

    @property
    def past(self) -> dict[str, Mapping[str, Any]]:
        """The pointers of the champions before whose bundles are kept, the newest last."""
        past: dict[str, Mapping[str, Any]] = {}
        for one in self.history:
            if one["pointer"] is not None and one["bundle_id"] not in (None, self.bundle_id):
                past.pop(one["bundle_id"], None)
                past[one["bundle_id"]] = one["pointer"]
        return {bundle_id: pointer for bundle_id, pointer in past.items() if bundle_id in self.pinned}

    @property
    def others(self) -> dict[str, Mapping[str, Any]]:
        """The pointers that could take the champion's place: of the champions before, and of the challenger."""
        asks = {} if self.challenger is None else {self.challenger["bundle_id"]: self.challenger["pointer"]}
        return self.past | asks

    def before(self, bundle_id: str | None = None) -> Mapping[str, Any]:
        """The pointer a rollback returns to: the newest of another bundle that ran, or of the one that begins so.

        Raises
        ------
        WarehouseError
            There is none, or its bundle is no longer kept; names those that are.
        """
        past = self.past
        if bundle_id is None and not past:
            raise WarehouseError("rollback: no champion before is kept; nothing else has run here")
        return dict(past[next(reversed(past)) if bundle_id is None else begun(bundle_id, past)])


def begun(beginning: str, ids: Iterable[str]) -> str:
    """The one of these ids that begins so.

    Raises
    ------
    WarehouseError
        None does, more than one does, or it is shorter than four digits; names the ids.

    Examples
    --------
    >>> begun("93af", ["93af12", "0bcc77"])
    '93af12'
    """
    known = sorted(set(ids))
    found = [one for one in known if one.startswith(beginning)] if len(beginning) >= _LEAST else []
    if len(found) != 1:
        raise WarehouseError(
            f"bundle {beginning!r}: {len(found) or 'none'} kept here begin so; expected {_LEAST} digits or more of one "
            f"of {[one[:12] for one in known] or 'none: there is no other'}"
        )
    return found[0]


def live_at(history: Sequence[Transition], ts_us: int) -> Transition | None:
    """The transition in force at a moment of stream time; None before the first.

    Examples
    --------
    >>> history = [{"event": "promoted", "at_us": 5, "bundle_id": "a", "pointer": {}},
    ...            {"event": "challenger_shadow", "at_us": 7, "bundle_id": "b", "pointer": None},
    ...            {"event": "promoted", "at_us": 9, "bundle_id": "b", "pointer": {}}]
    >>> [(found := live_at(history, t)) and found["bundle_id"] for t in (4, 5, 8, 9)]
    [None, 'a', 'a', 'b']
    """
    found = None
    for one in history:
        if one["pointer"] is not None and one["at_us"] <= ts_us:
            found = one
    return found


def standing(record: Record) -> str:
    """One word for a table: ``none``, ``live``, ``suspended``."""
    if record.bundle_id is None or record.pointer is None:
        return "none"
    return "suspended" if record.pointer.get("suspended") else "live"
