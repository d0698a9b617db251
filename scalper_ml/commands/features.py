"""``scalper features list|show|audit|diff|reference``: what the features are, and whether they can be trusted."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from scalper_ml.commands.console import console, print_json, table_of
from scalper_ml.project import Project, open_project

__all__ = ["features"]

features = typer.Typer(no_args_is_help=True, help="What the features are, their look-ahead audit, their differences.")

Profile = Annotated[str | None, typer.Option(help="A profile of config/settings.yaml.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="section.key=value; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Symbol = Annotated[str | None, typer.Option(help="The set of this symbol's features partition; default: all features.")]


def _opened(profile: str | None, overrides: list[str] | None = None) -> Project:
    return open_project(os.environ, Path.cwd(), profile=profile, overrides=overrides or [])


def _set(symbol: str | None, profile: str | None) -> Any:
    from scalper_ml.layers.feature_sets import partition_set

    if symbol is None:
        from scalper_ml.features.registry import feature_set
        from scalper_ml.schema import INPUT_GROUPS

        return feature_set(INPUT_GROUPS)
    return partition_set(_opened(profile), symbol)


@features.command("list")
def list_features(
    symbol: Symbol = None,
    family: Annotated[str | None, typer.Option(help="Only this family.")] = None,
    group: Annotated[str | None, typer.Option(help="Only what needs this input group.")] = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Every column: name, family, unit, warm-up and inputs."""
    from scalper_ml.errors import SettingsError
    from scalper_ml.features.registry import FAMILIES
    from scalper_ml.schema import INPUT_GROUPS

    for what, given, known in (("family", family, FAMILIES), ("input group", group, INPUT_GROUPS)):
        if given is not None and given not in known:
            raise SettingsError(f"{what} {given!r} is unknown; expected one of {list(known)}")
    fs = _set(symbol, profile)
    specs = [s for s in fs.specs if family in (None, s.family) and group in (None, s.group)]
    if as_json:
        print_json([_said(spec) for spec in specs])
        return
    columns = {"column": "left", "family": "left", "unit": "left", "warm-up": "right", "inputs": "left"}
    cells = [(s.name, s.family, s.unit, s.warmup, ", ".join(s.inputs)) for s in specs]
    title = f"{len(specs)} of {len(fs.names)} columns of feature set {fs.id}, warm after {fs.warmup} bars"
    console().print(table_of(title, columns, cells))


@features.command("show")
def show_feature(
    name: Annotated[str, typer.Argument(help="A column (rsi_14) or a kind with all its columns (rsi).")],
    symbol: Symbol = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """All that is declared of a column, and its definition."""
    fs = _set(symbol, profile)
    found = [spec for spec in fs.specs if spec.kind == name and name not in fs.names] or [fs.specs[fs.index(name)]]
    if as_json:
        print_json([_said(spec) for spec in found])
        return
    out = console()
    for spec in found:
        rows = [(key, ", ".join(map(str, value)) if isinstance(value, list | tuple) else _text(value))
                for key, value in _said(spec).items() if key != "name"]  # fmt: skip
        out.print(table_of(spec.name, {"": "left", " ": "left"}, rows), markup=False)


def _said(spec: Any) -> dict[str, Any]:
    from dataclasses import asdict

    said = asdict(spec)
    return {"name": said.pop("name"), "definition": said.pop("definition"), **said}


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@features.command("audit")
def audit(
    symbol: Annotated[str, typer.Option(help="A configured symbol whose features are materialised.")],
    rows: Annotated[int, typer.Option(min=0, help="Newest bars to audit; 0: all of them.")] = 5000,
    cuts: Annotated[int, typer.Option(min=1, help="Random rows from which on the future is changed.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random rows.")] = 0,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Look-ahead audit of every feature and label of a symbol; ends with code 1 if one of them sees the future."""
    from scalper_ml.layers.feature_audit import audit_symbol

    found = audit_symbol(_opened(profile, overrides), symbol, rows=rows, cuts=cuts, seed=seed)
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        _print_audit(found)
    if not found.ok:
        raise typer.Exit(1)


def _print_audit(found: Any) -> None:
    report, late, cuts = found.features, found.warmup, len(found.features.cuts)
    cells = [
        ("features: future removed, x1000, reversed, NaN", report.values_compared, len(report.violations)),
        ("features: started late, after the warm-up", late and late.values_compared, late and len(late.violations)),
        ("features: stored and computed anew", found.rows and found.columns, len(found.stored)),
        *((f"labels of horizon {h}: future removed, x1000, reversed, thinned", one.compared, len(one.violations))
          for h, one in found.labels.items()),
    ]  # fmt: skip
    title = f"{found.symbol}: {found.columns} columns of {found.feature_set}, {found.rows:,} bars, {cuts} cuts"
    out = console()
    out.print(table_of(title, {"audit": "left", "compared": "right", "changed": "right"}, cells))
    if late is None:
        out.print("No stretch of bars is twice as long as the warm-up: late starts were not compared.")
    if found.ok:
        out.print("No feature and no label sees the future.")
        return
    rows = [(one["what"], one["row"], one["kind"]) for one in found.findings()[:50]]
    out.print(table_of("What saw the future", {"what": "left", "first row": "right", "how": "left"}, rows))


@features.command("diff")
def diff(
    before: Annotated[str, typer.Argument(help="default, a JSON file, a symbol, SYMBOL/HORIZON or an id.")],
    after: Annotated[str, typer.Argument(help="The same.")],
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Columns added, removed and changed from one feature set to another; ends with code 1 if there are any."""
    from scalper_ml.features.diff import diff_sets
    from scalper_ml.layers.feature_sets import columns_of

    project = _opened(profile)
    found = diff_sets(columns_of(project, before), columns_of(project, after))
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
    else:
        rows = [("added", name, "") for name in found.added] + [("removed", name, "") for name in found.removed]
        for name, fields in found.changed.items():
            rows += [("changed", name, f"{field}: {old!r} -> {new!r}") for field, (old, new) in fields.items()]
        out = console()
        if rows:
            title = f"{found.before} -> {found.after}"
            out.print(table_of(title, {"": "left", "column": "left", "what": "left"}, rows), markup=False)
        else:
            out.print(f"{found.before} and {found.after} have the same columns")
        if found.reordered:
            out.print("The columns both have stand in another order.")
        if found.unknown:
            out.print(f"{found.unknown} common columns are recorded by name only: their definitions were not compared.")
    if not found.same:
        raise typer.Exit(1)


@features.command("select")
def select(
    symbol: Annotated[str, typer.Option(help="A configured symbol.")],
    horizon: Annotated[int, typer.Option(help="A configured horizon, in bars.")],
    limit: Annotated[int, typer.Option(min=0, help="Most features to list, the best first; 0: all of them.")] = 30,
    profile: Profile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Choose features on the train role of a dataset: clusters, gain, SHAP values, permutations on purged folds.

    This is what `selection.enabled` does before a final fit; training chooses anew in each fold.
    """
    from scalper_ml.layers.base import keys_of
    from scalper_ml.layers.models import select_of, selection_params

    project = _opened(profile, overrides)
    keys = keys_of(project.settings, symbol=symbol, horizon=horizon)
    found = select_of(project, keys, selection_params(project))
    if as_json:
        print(json.dumps(found.to_dict(), indent=1))
        return
    shown = found.scores[: limit or None]
    cells = [
        (s.name, s.cluster, f"{s.gain:.4f}", f"{s.shap:.5f}", f"{s.permutation:+.6f} +-{s.error:.6f}",
         f"{s.helped}/{found.folds}", f"{s.rank:.1f}", "yes" if s.chosen else "no", s.reason)
        for s in shown
    ]  # fmt: skip
    columns = {"feature": "left", "cluster": "right", "gain": "right", "SHAP": "right", "permuted": "right"}
    columns |= {"helped": "right", "rank": "right", "chosen": "left", "why": "left"}
    title = (
        f"{len(found.chosen.names)} of {len(found.scores)} features in {found.clusters} clusters chosen on "
        f"{found.rows:,} rows: set {found.chosen.id} of {found.chosen.parent}"
    )
    console().print(table_of(title, columns, cells))


@features.command("reference")
def reference() -> None:
    """The reference of every feature as Markdown: family, definition, inputs, warm-up, unit, range and source."""
    from scalper_ml.features.reference import reference_page

    print(reference_page(), end="")
