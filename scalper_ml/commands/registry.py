"""``scalper models``: who is champion, since when and why; compare, promote, roll back."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalper_ml.clock import iso, stamp_us
from scalper_ml.commands.console import console, print_json, table_of
from scalper_ml.errors import ScalperError, SettingsError
from scalper_ml.project import Project, open_project

if TYPE_CHECKING:
    from scalper_ml.champions.record import Record

__all__ = ["models"]

models = typer.Typer(no_args_is_help=True, help="Champions and challengers: list, show, compare, promote, roll back.")

Symbol = Annotated[str, typer.Option(help="A configured symbol.")]
Horizon = Annotated[int, typer.Option(help="A configured horizon, in bars.")]
Profile = Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Reason = Annotated[str, typer.Option(help="Kept in the history.")]


def _opened(profile: str | None, overrides: list[str] | None) -> Project:
    return open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])


def _partitions(project: Project) -> Iterator[dict[str, str | int]]:
    for symbol in project.settings.symbols:
        for horizon in project.settings.horizons:
            yield {"symbol": symbol, "horizon": horizon}


def _recorded(
    symbol: str, horizon: int, profile: str | None, overrides: list[str] | None
) -> tuple[Project, dict[str, str | int], "Record"]:
    """The project, the keys of a symbol x horizon, and what is recorded of its champions."""
    from scalper_ml.layers.base import keys_of
    from scalper_ml.layers.champion_record import read_record

    project = _opened(profile, overrides)
    keys = keys_of(project.settings, symbol=symbol, horizon=horizon)
    return project, keys, read_record(project, keys)


@models.command("list")
def list_models(profile: Profile = None, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Champion and challenger of every symbol x horizon."""
    from scalper_ml.champions.record import Record, standing
    from scalper_ml.layers.champion_record import read_record

    project = _opened(profile, overrides)
    rows: list[dict[str, Any]] = []
    for keys in _partitions(project):
        record, drift, wrong = Record(), None, ""
        try:
            record = read_record(project, keys)
            drift = project.warehouse.manifest("drift/performance", keys)
        except ScalperError as error:  # what is wrong with one coin hides no other
            wrong = str(error)
        pointer, other = record.pointer or {}, record.challenger or {}
        rows.append(
            {
                **keys,
                "standing": "unreadable" if wrong else standing(record),
                "bundle_id": record.bundle_id,
                "kind": pointer.get("kind"),
                "action": pointer.get("action"),
                "tier": pointer.get("quality_tier"),
                "since": _stamp(pointer.get("since_us")),
                "drift": drift.summary["state"] if drift else None,
                "challenger": other.get("bundle_id"),
                "challenger_says": wrong or (f"{other['status']}: {other['reason']}" if other else None),
            }
        )
    if as_json:
        print_json(rows)
        return
    heads = {"symbol": "left", "h": "right", "": "left", "champion": "left", "kind": "left", "action": "left"}
    heads |= {"tier": "left", "since": "left", "drift": "left", "challenger": "left", "because": "left"}
    cells = [
        tuple(_short(value) if name in ("bundle_id", "challenger") else value for name, value in row.items())
        for row in rows
    ]
    console().print(table_of("Champions and challengers", heads, cells))


@models.command()
def show(
    symbol: Symbol,
    horizon: Horizon,
    at: Annotated[str | None, typer.Option(help="Which was live then? A moment, UTC: 2026-01-15T12:00:00Z.")] = None,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Every transition of a symbol x horizon; with --at the one in force at a moment of stream time."""
    from scalper_ml.champions.record import live_at

    _, _, record = _recorded(symbol, horizon, profile, overrides)
    found = list(record.history)
    if at is not None:
        one = live_at(record.history, stamp_us(at, "--at"))
        found = [] if one is None else [one]
    if as_json:
        print_json(found)
        return
    heads = {"at": "left", "event": "left", "bundle": "left", "instead of": "left", "action": "left", "reason": "left"}
    cells = [
        (_stamp(one["at_us"]), one["event"], _short(one["bundle_id"]), _short(one["replaced"]),
         (one["pointer"] or {}).get("action"), one["reason"])
        for one in found
    ]  # fmt: skip
    title = f"{symbol} x {horizon}" + (f": live at {at}" if at else f": {len(found)} transitions")
    console().print(table_of(title, heads, cells))
    if at is not None and not found:
        console().print("nothing had been decided by then")


@models.command()
def compare(
    symbol: Symbol,
    horizon: Horizon,
    first: Annotated[str, typer.Argument(help="The beginning of a bundle id; default: the champion.")] = "champion",
    second: Annotated[str, typer.Argument(help="The same; default: the challenger.")] = "challenger",
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Two bundles on the bars that neither was made from: trades, expectancy, and how sure the difference is."""
    from scalper_ml.layers.champions import compare_bundles

    project, keys, record = _recorded(symbol, horizon, profile, overrides)
    pointers = [_pointer(record, name) for name in (first, second)]
    found = compare_bundles(project, keys, pointers[0], pointers[1]).to_dict()
    if as_json:
        print_json([{"first": pointers[0]["bundle_id"], "second": pointers[1]["bundle_id"], **found}])
        return
    heads = {"bundle": "left", "kind": "left", "confidence": "right", "trades": "right", "E[R]": "right"}
    rows = [
        (_short(one["bundle_id"]), one["kind"], f"{one['min_confidence']:.3f}", found[f"{name}_trades"],
         f"{found[f'{name}_r']:+.4f}")
        for one, name in zip(pointers, ("champion", "challenger"), strict=True)
    ]  # fmt: skip
    out = console()
    out.print(table_of(f"{symbol} x {horizon}: {found['rows']:,} bars that neither was made from", heads, rows))
    said = "too few bars to tell" if found["better"] is None else f"better in {found['better']:.1%} of paired draws"
    out.print(f"the second earns {found['delta']:+.4f} R a trade more; {said} (95 % are asked for)")


@models.command()
def promote(
    symbol: Symbol,
    horizon: Horizon,
    bundle: Annotated[str, typer.Argument(help="The beginning of the challenger's id, or of a champion's before.")],
    reason: Reason = "promoted by hand",
    profile: Profile = None,
    overrides: Overrides = None,
) -> None:
    """Put a bundle in place by hand; the gate's verdict on it still holds."""
    from scalper_ml.layers import champion_changes

    project, keys, record = _recorded(symbol, horizon, profile, overrides)
    after = champion_changes.promote(project, keys, bundle, reason, expected=record.bundle_id)
    console().print(f"{symbol} x {horizon}: {_short(after.bundle_id)} instead of {_short(record.bundle_id)}")


@models.command()
def rollback(
    symbol: Symbol,
    horizon: Horizon,
    to: Annotated[str | None, typer.Option(help="The beginning of a bundle id; default: the champion before.")] = None,
    reason: Reason = "rolled back by hand",
    profile: Profile = None,
    overrides: Overrides = None,
) -> None:
    """Return to the champion before, or to an older one that is still kept."""
    from scalper_ml.layers import champion_changes

    project, keys, record = _recorded(symbol, horizon, profile, overrides)
    after = champion_changes.rollback(project, keys, reason, to=to, expected=record.bundle_id)
    console().print(f"{symbol} x {horizon}: {_short(after.bundle_id)} instead of {_short(record.bundle_id)}")


@models.command()
def suspend(
    symbol: Symbol,
    horizon: Horizon,
    reason: Reason = "suspended by hand",
    profile: Profile = None,
    overrides: Overrides = None,
) -> None:
    """Stop the champion from trading; it goes on in the shadow until it is resumed or replaced."""
    from scalper_ml.layers import champion_changes

    project, keys, record = _recorded(symbol, horizon, profile, overrides)
    if record.bundle_id is None:
        raise SettingsError(f"{symbol} x {horizon}: nothing runs here; there is nothing to suspend")
    champion_changes.suspend(project, keys, reason, expected=record.bundle_id)
    console().print(f"{symbol} x {horizon}: {_short(record.bundle_id)} is suspended")


@models.command()
def resume(
    symbol: Symbol,
    horizon: Horizon,
    reason: Reason = "resumed by hand",
    profile: Profile = None,
    overrides: Overrides = None,
) -> None:
    """Let a suspended champion trade again, as the gate let it before."""
    from scalper_ml.layers import champion_changes

    project, keys, record = _recorded(symbol, horizon, profile, overrides)
    if not (record.pointer or {}).get("suspended"):
        raise SettingsError(f"{symbol} x {horizon}: its champion is not suspended; there is nothing to resume")
    after = champion_changes.resume(project, keys, reason, expected=record.bundle_id)
    console().print(f"{symbol} x {horizon}: {_short(after.bundle_id)} trades again, {(after.pointer or {})['action']}")


def _pointer(record: "Record", name: str) -> dict[str, Any]:
    """The pointer of the champion, of the challenger, or of a champion before."""
    from scalper_ml.champions.record import begun

    own, other = record.bundle_id, record.challenger
    known = record.others | ({own: record.pointer or {}} if own else {})
    named = {"champion": own, "challenger": other and other["bundle_id"]}
    if name in named and named[name] is None:
        raise SettingsError(f"compare: there is no {name}; name two bundles of `scalper models show`")
    return dict(known[named.get(name) or begun(name, known)])


def _stamp(ts_us: int | None) -> str | None:
    return None if ts_us is None else iso(ts_us)


def _short(bundle_id: str | None) -> str | None:
    return None if bundle_id is None else bundle_id[:12]
