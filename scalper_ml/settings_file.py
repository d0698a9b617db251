"""Settings from one YAML file, a profile laid over it, the environment and the command line.

The file's top-level keys are defaults; ``profiles.<name>`` is laid over them. Overrides come from
the environment (``SCALPER__LABELS__K_VOL=0.5``) or the command line (``labels.k_vol=0.5``). A wrong
key or value names itself, the line it stands on and what is allowed.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from scalper_ml.errors import SettingsError
from scalper_ml.sections.market import PlantedMarket
from scalper_ml.settings import Settings

__all__ = ["load_settings"]

ENVIRONMENT_PREFIX = "SCALPER__"

Lines = dict[tuple[str, ...], int]


def load_settings(
    path: Path,
    *,
    profile: str | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
) -> Settings:
    """Settings from a file, a profile laid over it, the environment and ``key=value`` overrides.

    Parameters
    ----------
    path : Path
        The YAML file.
    profile : str, optional
        Name below ``profiles``; default: the environment's ``SCALPER__PROFILE``, else the file's ``profile``.
    environment : mapping, optional
        Variables such as ``SCALPER__SPLITS__SEED``; others are ignored.
    overrides : iterable of str
        ``section.key=value``, the value in YAML.

    Raises
    ------
    SettingsError
        Naming the key, its origin (file and line, variable or override), what was found and what is allowed.
    """
    values, lines = _read_yaml(path)
    origin = {key: f"{path.name} line {line}" for key, line in lines.items()}
    profiles = values.pop("profiles", {})
    layers: list[tuple[tuple[str, ...], Any, str]] = []
    for name, text in sorted((environment or {}).items()):
        if name.startswith(ENVIRONMENT_PREFIX):
            keys = tuple(part.lower() for part in name.removeprefix(ENVIRONMENT_PREFIX).split("__"))
            layers.append((keys, _parse(text, f"environment {name}"), f"environment {name}"))
    for item in overrides:
        name, sign, text = item.partition("=")
        if not sign:
            raise SettingsError(f"override {item!r}: expected section.key=value")
        layers.append((tuple(name.strip().split(".")), _parse(text, f"override {name}"), f"override {name}"))
    chosen = str(
        profile or next((v for k, v, _ in reversed(layers) if k == ("profile",)), None) or values.get("profile")
    )
    if not isinstance(profiles, dict) or chosen not in profiles:
        known = sorted(profiles) if isinstance(profiles, dict) else []
        raise SettingsError(f"{path.name}: profile {chosen!r} is unknown; known profiles: {known}")
    _overlay(values, profiles[chosen] or {}, ("profiles", chosen), (), origin)
    for keys, value, source in layers:
        keys = _spelled(values, keys)
        _assign(values, keys, value, source)
        origin = {known: where for known, where in origin.items() if known[: len(keys)] != keys} | {keys: source}
    values["profile"] = chosen
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(f"{_explain(error, origin, path)} (profile {chosen!r} of {path})") from None


def _read_yaml(path: Path) -> tuple[dict[str, Any], Lines]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"settings file not found: {path}; expected config/settings.yaml of the project") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path.name}: byte {error.start} is not UTF-8; expected a YAML file in UTF-8") from None
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is built
        node = yaml.compose(text, Loader=loader)
        values = yaml.load(text, loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{path.name}{where}: not valid YAML - {getattr(error, 'problem', error)}") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path.name}: expected a mapping of sections, found {type(values).__name__}")
    lines: Lines = {}
    if node is not None:
        _collect_lines(node, (), lines, path.name)
    return values, lines


def _collect_lines(node: yaml.Node, at: tuple[str, ...], lines: Lines, name: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            if here in lines:
                raise SettingsError(
                    f"{name} line {key.start_mark.line + 1}: key {'.'.join(here)!r} stands twice "
                    f"(first on line {lines[here]})"
                )
            lines[here] = key.start_mark.line + 1
            _collect_lines(value, here, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*at, str(index))] = value.start_mark.line + 1
            _collect_lines(value, (*at, str(index)), lines, name)


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        shown = "(not shown)" if "options" in source.lower() else repr(text)
        raise SettingsError(f"{source}: value {shown} is not valid YAML - {getattr(error, 'problem', error)}") from None


def _overlay(
    base: dict[str, Any], layer: Any, source: tuple[str, ...], at: tuple[str, ...], origin: dict[tuple[str, ...], str]
) -> None:
    if not isinstance(layer, dict):
        raise SettingsError(f"{'.'.join(source)}: expected a mapping, found {type(layer).__name__}")
    for key, value in layer.items():
        here, there = (*at, str(key)), (*source, str(key))
        for known, where in list(origin.items()):
            if known[: len(there)] == there:
                origin[here + known[len(there) :]] = where
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _overlay(base[key], value, there, here, origin)
        else:
            base[key] = value


def _spelled(values: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys as the file spells them: variables cannot keep the case of a symbol."""
    spelled, target = [], values
    for key in keys:
        known = {str(name).lower(): name for name in target} if isinstance(target, Mapping) else {}
        spelled.append(str(known.get(key.lower(), key)))
        target = target.get(spelled[-1], {}) if isinstance(target, Mapping) else {}
    return tuple(spelled)


def _assign(values: dict[str, Any], keys: tuple[str, ...], value: Any, source: str) -> None:
    target = values
    for depth, key in enumerate(keys[:-1]):
        if depth == 0 and key in Settings.model_fields:
            target.setdefault(key, {})  # a section that the file leaves to its defaults
        elif keys[0] in ("training", "ensembles", "forecasts") and depth == 1:
            target.setdefault(key, {})  # a kind whose parameters the file leaves to their defaults
        if not isinstance(target.get(key), dict):
            known = sorted(k for k in target if isinstance(target[k], dict))
            raise SettingsError(f"{source}: unknown section {key!r}; sections there: {known}")
        target = target[key]
    target[keys[-1]] = value


def _allowed(model: type[BaseModel], at: tuple[str, ...]) -> list[str]:
    fields: Mapping[str, Any] = model.model_fields
    for key in at:
        annotation = fields[key].annotation if key in fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return sorted(PlantedMarket.model_fields) if "markets" in at else []
        fields = annotation.model_fields
    return sorted(fields)


def _explain(error: ValidationError, origin: Mapping[tuple[str, ...], str], path: Path) -> str:
    messages = []
    for problem in error.errors():
        at = tuple(str(part) for part in problem["loc"])
        where = next((origin[at[:n]] for n in range(len(at), 0, -1) if at[:n] in origin), path.name)
        name = ".".join(at)
        if problem["type"] == "extra_forbidden":
            allowed = _allowed(Settings, at[:-1])
            close = difflib.get_close_matches(at[-1], allowed, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            messages.append(f"{where}: unknown key {name!r}{hint} allowed here: {allowed}")
        elif problem["type"] == "missing":
            messages.append(f"{where}: key {name!r} is missing")
        else:
            secret = at[:2] == ("source", "options")
            found = "" if problem["type"] == "value_error" or secret else f", found {problem['input']!r}"
            said = problem["msg"].removeprefix("Value error, ")
            messages.append(f"{where}: {name + ': ' if name else ''}{said}{found}")
    return "\n".join(messages)
