"""Pages of HTML that need nothing else: no script, no font, no address."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

__all__ = ["cell", "document", "figure", "records", "table"]

_STYLE: Final = """
body{font:14px/1.45 system-ui,sans-serif;color:#1f2933;margin:2rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}
h2{font-size:1.15rem;margin:2.2rem 0 .5rem;border-top:1px solid #d9dee4;padding-top:1rem}
h3{font-size:1rem;margin:1.2rem 0 .4rem}p{margin:.3rem 0}.quiet{color:#616e7c}a{color:#2563a8}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;border-bottom:1px solid #d9dee4;text-align:right;white-space:nowrap}
th:first-child,td:first-child,td:last-child,th:last-child{text-align:left}
th{border-bottom:2px solid #9aa5b1;font-weight:600}tr.chosen td{background:#eef5fc;font-weight:600}
.scroll{overflow-x:auto;margin:.5rem 0}.figures{display:flex;flex-wrap:wrap;gap:.6rem;margin:.6rem 0}
.figures figure{margin:0;border:1px solid #d9dee4;border-radius:4px;padding:.3rem;flex:0 1 35rem}
.figures svg{width:100%;height:auto;display:block}
"""


def document(title: str, parts: Sequence[str]) -> bytes:
    """A whole page of parts that are HTML already; equal parts give equal bytes."""
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    body = f"<h1>{escape(title)}</h1>{''.join(parts)}"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{body}</body></html>\n".encode()


def table(heads: Iterable[str], rows: Iterable[Sequence[str]], chosen: Sequence[bool] = ()) -> str:
    """A table of cells that are HTML already; `chosen` rows stand out."""
    body = "".join(
        f"<tr{' class=chosen' if place < len(chosen) and chosen[place] else ''}>"
        f"{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        for place, row in enumerate(rows)
    )
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def records(rows: Sequence[Mapping[str, Any]], heads: Mapping[str, str], chosen: Sequence[bool] = ()) -> str:
    """A table of records: `heads` names the keys shown and how they are headed; text is escaped, None is a dash."""
    return table(heads.values(), [[cell(row[key]) for key in heads] for row in rows], chosen)


def cell(value: Any) -> str:
    """A value as it is read: whole numbers with separators, others with four digits, None as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4f}" if isinstance(value, float) else escape(str(value))


def figure(*drawings: bytes) -> str:
    """Drawings side by side where there is room."""
    return f"<div class='figures'>{''.join(f'<figure>{one.decode()}</figure>' for one in drawings)}</div>"
