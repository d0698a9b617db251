"""A dataset's profile as one HTML page that needs nothing else: no script, no font, no address."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from scalper_ml.datasets.drift import DatasetDrift
from scalper_ml.datasets.profile import FeatureProfile, Profile, RoleProfile
from scalper_ml.schema import CLASSES

__all__ = ["profile_page"]

_COLOURS: Final = dict(zip(CLASSES, ("#c0392b", "#9aa5b1", "#1a8a5a"), strict=True))
_STYLE: Final = """
body{font:14px/1.45 system-ui,sans-serif;color:#1f2933;margin:2rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.3rem 0}.quiet{color:#616e7c}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid #d9dee4;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}th{border-bottom:2px solid #9aa5b1;font-weight:600}
tr.bad td{background:#fdecea}tr.bad td:last-child{color:#c0392b;font-weight:600}
.bar{display:flex;width:16rem;height:.9rem;border-radius:2px;overflow:hidden}.bar i{display:block;height:100%}
.key i{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;margin:0 .3rem 0 .9rem;vertical-align:-1px}
.scroll{overflow-x:auto}
"""


def profile_page(profile: Profile, title: str) -> str:
    """The page; equal profiles give equal text.

    Parameters
    ----------
    profile : Profile
    title : str
        What the dataset is called.
    """
    nan = sum(feature.nan for feature in profile.features)
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p class='quiet'>{profile.rows:,} label rows, {len(profile.features)} features, {nan:,} values missing, "
        f"{len(profile.suspicious)} features beyond plausibility</p>",
        "<h2>Class balance</h2>",
        _key(),
        _balance(profile.roles, "role"),
        *([] if not profile.folds else ["<h2>Class balance by fold</h2>", _balance(profile.folds, "fold")]),
        "<h2>Leakage</h2>",
        f"<p>One feature alone does not honestly tell UP from DOWN with an AUC further than {profile.auc_limit:g} from "
        "0.5, noise allowed for. What does is a bug until it is shown not to be one.</p>",
        _leakage(profile),
        "<h2>Against the version before</h2>",
        _drift(profile.drift),
        "<h2>Features</h2>",
        _features(profile.features),
    ]
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _key() -> str:
    boxes = "".join(f"<i style='background:{colour}'></i>{name}" for name, colour in _COLOURS.items())
    return f"<p class='key quiet'>{boxes}</p>"


def _balance(rows: Sequence[RoleProfile], name: str) -> str:
    cells = []
    for role in rows:
        widths = "".join(
            f"<i style='width:{100 * role.shares[one]:.2f}%;background:{_COLOURS[one]}'></i>" for one in CLASSES
        )
        shares = [f"{role.shares[one]:.1%}" for one in CLASSES]
        bar = f"<div class='bar'>{widths}</div>" if role.rows else ""
        spans = [escape(stamp or "-") for stamp in (role.first_t0, role.last_t1)]
        cells.append((escape(role.role), f"{role.rows:,}", *shares, bar, *spans))
    return _table((name, "rows", *CLASSES, "", "first decision", "last outcome"), cells)


def _leakage(profile: Profile) -> str:
    known = [feature for feature in profile.features if feature.auc is not None]
    shown = [feature for feature in known if feature.suspicious] or known[:10]
    cells = []
    for feature in shown:
        away = abs((feature.auc or 0.5) - 0.5)
        noise = feature.auc_noise or 0.0
        errors = f"{away / noise:.1f}" if noise else "-"
        verdict = "beyond plausibility" if feature.suspicious else "plausible"
        cells.append((escape(feature.name), f"{feature.auc:.4f}", f"{noise:.4f}", errors, verdict))
    bad = [feature.suspicious for feature in shown]
    return _table(("feature", "AUC", "st. dev. of noise", "st. devs from 0.5", ""), cells, bad)


def _drift(drift: DatasetDrift | None) -> str:
    if drift is None:
        return "<p class='quiet'>There is none: this is the first.</p>"
    shares = ", ".join(f"{name} {drift.shares_before[name]:.1%}" for name in CLASSES)
    said = (
        f"<p>Version {escape(drift.before[:12])}: {drift.rows_before:,} rows, {shares}. Class shares moved by "
        f"{drift.prior_drift:.1%}; {len(drift.moved)} features moved, {len(drift.added)} were added, "
        f"{len(drift.removed)} removed.</p>"
    )
    shown = drift.features[:30]
    cells = [
        (escape(one.name), f"{one.psi:.4f}", f"{one.limit:.4f}", _number(one.mean_before), _number(one.mean),
         "moved" if one.moved else "")
        for one in shown
    ]  # fmt: skip
    heads = ("feature", "PSI", "limit", "mean before", "mean now", "")
    return said + _table(heads, cells, [one.moved for one in shown])


def _features(features: Sequence[FeatureProfile]) -> str:
    keys = ("mean", "sd", "min", "q01", "median", "q99", "max")
    cells = [
        (escape(one.name), f"{one.n:,}", f"{one.nan:,}", *(_number(getattr(one, key)) for key in keys),
         "-" if one.auc is None else f"{one.auc:.3f}",
         "suspicious" if one.suspicious else "constant" if one.constant else "")
        for one in features
    ]  # fmt: skip
    heads = ("feature", "n", "NaN", "mean", "sd", "min", "1 %", "median", "99 %", "max", "AUC", "")
    return _table(heads, cells, [one.suspicious for one in features])


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]], bad: Sequence[bool] | None = None) -> str:
    marked = enumerate(rows)
    body = "".join(
        f"<tr{' class=bad' if bad and bad[place] else ''}>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        for place, row in marked
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
