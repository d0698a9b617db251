"""Drawings of 640 x 280 as SVG: a frame with axes, and marks placed in the units of the data.

A plot is drawn at every materialisation; a general plotting library takes as long for one as training a small tree.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from xml.sax.saxutils import escape

import numpy as np

__all__ = [
    "BLUE",
    "FONT",
    "GREEN",
    "GREY",
    "GRID",
    "INK",
    "RED",
    "WHITE",
    "Drawing",
    "blend",
    "nice_ticks",
    "time_ticks",
]

WIDTH: Final = 640
HEIGHT: Final = 280
FONT: Final = 11  # pixels
INK: Final = "#1f2933"
GRID: Final = "#d9dee4"
BLUE: Final = "#2563a8"
GREEN: Final = "#1a8a5a"
RED: Final = "#c0392b"
GREY: Final = "#9aa5b1"
WHITE: Final = "#ffffff"
TOP: Final = 26  # below the title
RIGHT: Final = 12
STEPS_S: Final = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800),
    *(3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000, 2_592_000),
)  # fmt: skip


class Drawing:
    """A titled frame whose x runs over `x` and y over `y` (bottom to top); marks are drawn in the order they are added.

    Parameters
    ----------
    title : str
        Written above the frame.
    x, y : pair of float
        The data's first and last value of each axis; ``y = (1, 0)`` runs from top to bottom.
    labels : sequence of str
        What is written left of the frame, for the margin.
    below : int
        Pixels below the frame.
    right : int
        Pixels right of the frame.
    """

    def __init__(
        self,
        title: str,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        labels: Sequence[str] = (),
        below: int = 22,
        right: int = RIGHT,
    ) -> None:
        self.left = 14 + min(round(max(map(_width, labels), default=0.0)), WIDTH // 2)
        self.right, self.bottom = WIDTH - right, HEIGHT - below
        self._x, self._y = _open(x), _open(y)
        self._parts: list[str] = []
        self._overlay: list[str] = []
        self.write(6, 16, title, size=FONT + 2)

    def px(self, x: float) -> float:
        """Pixels from the left of a value."""
        return self.left + (x - self._x[0]) / (self._x[1] - self._x[0]) * (self.right - self.left)

    def py(self, y: float) -> float:
        """Pixels from the top of a value."""
        return self.bottom - (y - self._y[0]) / (self._y[1] - self._y[0]) * (self.bottom - TOP)

    def write(
        self, left: float, top: float, text: str, *, anchor: str = "start", size: float = FONT, colour: str = INK
    ) -> None:
        """Text whose baseline lies at a pixel; `anchor` is start, middle or end."""
        self._overlay.append(
            f'<text x="{left:.1f}" y="{top:.1f}" font-size="{size:g}" text-anchor="{anchor}" fill="{colour}">'
            f"{escape(text)}</text>"
        )

    def label(self, x: float, y: float, text: str, *, anchor: str = "middle", colour: str = INK) -> None:
        """Text centred at the height of a value."""
        self.write(self.px(x), self.py(y) + FONT * 0.36, text, anchor=anchor, colour=colour)

    def rows(self, names: Sequence[str], *, size: float = FONT) -> None:
        """Names left of the rows 0, 1, ..."""
        for row, name in enumerate(names):
            self.write(self.left - 6, self.py(row) + size * 0.36, name, anchor="end", size=size)

    def columns(self, names: Sequence[tuple[float, str]]) -> None:
        """Names below places on the x axis."""
        for x, name in names:
            half = _width(name) / 2 + 2
            self.write(min(max(self.px(x), half), WIDTH - half), self.bottom + 14, name, anchor="middle")

    def box(self, x: tuple[float, float], y: tuple[float, float], colour: str) -> None:
        """A filled rectangle between two values of each axis."""
        self.boxes([(*x, *y)], colour)

    def boxes(self, spans: Sequence[tuple[float, float, float, float]], colour: str) -> None:
        """Rectangles of one colour, each from x to x and from y to y."""
        corners = "".join(
            f"M{self.px(x0):.1f} {self.py(y0):.1f}H{self.px(x1):.1f}V{self.py(y1):.1f}H{self.px(x0):.1f}z"
            for x0, x1, y0, y1 in spans
        )
        self._parts.append(f'<path d="{corners}" fill="{colour}"/>')

    def line(self, x: np.ndarray, y: np.ndarray, *, colour: str = BLUE, width: float = 1.1) -> None:
        """A line through points."""
        self._parts.append(
            f'<polyline points="{self._points(x, y)}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
            'stroke-linejoin="round"/>'
        )

    def area(self, x: np.ndarray, low: np.ndarray, high: np.ndarray, *, colour: str, opacity: float = 0.22) -> None:
        """The area between two lines."""
        points = self._points(np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]]))
        self._parts.append(f'<polygon points="{points}" fill="{colour}" fill-opacity="{opacity:g}"/>')

    def dot(self, x: float, y: float, colour: str, *, radius: float = 2.2) -> None:
        """A small disc at a place."""
        self._parts.append(
            f'<circle cx="{self.px(x):.1f}" cy="{self.py(y):.1f}" r="{radius:g}" fill="{colour}" fill-opacity=".7"/>'
        )

    def arrow(self, x: float, y: float, *, up: bool, colour: str) -> None:
        """A triangle that points up or down at a place."""
        left, top, tip = self.px(x), self.py(y), -4 if up else 4
        self._parts.append(
            f'<path d="M{left:.1f} {top + tip:.1f}l-3.5 {-tip * 1.7:.1f}h7z" fill="{colour}" stroke="{WHITE}" '
            'stroke-width=".5"/>'
        )

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Names with their colours, on the right of the title's line."""
        left = float(WIDTH - RIGHT)
        for name, colour in reversed(entries):
            left -= _width(name)
            self.write(left, 16, name)
            left -= 13
            self._overlay.append(f'<rect x="{left:.1f}" y="7" width="9" height="9" fill="{colour}"/>')
            left -= 12

    def grid(self, ticks: Sequence[tuple[float, str]], *, upright: bool = False) -> None:
        """Lines across the frame at ticks, named left of it, or upright ones, named below it."""
        for at, name in ticks:
            if upright:
                self._segment(self.px(at), TOP, self.px(at), self.bottom, GRID)
            else:
                self._segment(self.left, self.py(at), self.right, self.py(at), GRID)
                self.write(self.left - 6, self.py(at) + FONT * 0.36, name, anchor="end")
        if upright:
            self.columns(ticks)

    def level(self, y: float) -> None:
        """A dark line across the frame."""
        self._segment(self.left, self.py(y), self.right, self.py(y), INK)

    def frame(self) -> None:
        """The left and lower edges."""
        self._segment(self.left, TOP, self.left, self.bottom, GREY)
        self._segment(self.left, self.bottom, self.right, self.bottom, GREY)

    def svg(self) -> bytes:
        """The document: marks first, writing on top."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="Helvetica, Arial, DejaVu Sans, sans-serif">'
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{WHITE}"/>'
        )
        return (head + "".join(self._parts) + "".join(self._overlay) + "</svg>").encode()

    def _segment(self, x0: float, y0: float, x1: float, y1: float, colour: str) -> None:
        self._parts.append(
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}" stroke-width=".7"/>'
        )

    def _points(self, x: np.ndarray, y: np.ndarray) -> str:
        pixels = zip(self.px(x).tolist(), self.py(y).tolist(), strict=True)  # type: ignore[arg-type, attr-defined]
        return " ".join(f"{left:.1f},{top:.1f}" for left, top in pixels)


def _width(text: str) -> float:
    """About the pixels that a text takes; capitals and digits are wider."""
    return FONT * sum(0.69 if one.isupper() else 0.56 if one.isalnum() else 0.4 for one in text)


def _open(span: tuple[float, float]) -> tuple[float, float]:
    """A span that is not empty."""
    first, last = map(float, span)
    return (first - 0.5, last + 0.5) if first == last else (first, last)


def blend(share: float, colours: Sequence[str]) -> str:
    """The colour at `share` in [0, 1] of the way through `colours`.

    Examples
    --------
    >>> blend(0.25, ("#000000", "#808080", "#ffffff"))
    '#404040'
    """
    place = min(max(share, 0.0), 1.0) * (len(colours) - 1)
    k = min(int(place), len(colours) - 2)
    ends = (bytes.fromhex(colours[k][1:]), bytes.fromhex(colours[k + 1][1:]))
    return "#" + bytes(round(a + (b - a) * (place - k)) for a, b in zip(*ends, strict=True)).hex()


def nice_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Multiples of 1, 2 or 5 times a power of ten within [low, high], at most `most`, with their names.

    Examples
    --------
    >>> nice_ticks(0.2, 10.3)
    [(2.0, '2'), (4.0, '4'), (6.0, '6'), (8.0, '8'), (10.0, '10')]
    """
    low, high = _open((low, high))
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [
        (at, f"{at:,.{decimals}f}" if decimals <= 8 else f"{at:.6g}")
        for at in (k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1))
    ]


def time_ticks(first_us: int, last_us: int, most: int = 7) -> list[tuple[float, str]]:
    """Round times of UTC within [first_us, last_us], `most` or one more, named by what differs between them.

    Examples
    --------
    >>> [name for _, name in time_ticks(1_704_067_200_000_000, 1_704_081_600_000_000)]
    ['2024-01-01', '01:00', '02:00', '03:00', '04:00']
    """
    seconds = max(last_us - first_us, 1) / 1e6
    step = next((s for s in STEPS_S if seconds / s <= most), 31_536_000 * math.ceil(seconds / 31_536_000 / most))
    start = -(-first_us // (step * 1_000_000)) * step
    at = [second for second in range(start, last_us // 1_000_000 + 1, step)]
    names, before = [], ""
    for second in at:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
        day = f"{moment:%Y-%m-%d}"
        clock = f"{moment:%H:%M:%S}" if step < 60 else f"{moment:%H:%M}"
        names.append(
            clock if day == before else day if second % 86_400 == 0 or step >= 86_400 else f"{day[5:]} {clock}"
        )
        before = day
    return [(second * 1e6, name) for second, name in zip(at, names, strict=True)]
