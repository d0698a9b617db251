"""Rolling statistics a feature can ask for. Each is computed once for all features that ask for it.

A request is data: which statistic, of which series, over how many rows. The engine gathers the
requests of a feature set, drops the repetitions and fills a block of rows for each before the first
kernel that asked for it; a kernel reads ``R[w[0]]``, ``R[w[1]]``, ... in the order it asked.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
# (numba infers the types of kernels)

from dataclasses import dataclass

from scalper_ml.features.series import ROW
from scalper_ml.features.window import (
    SHORT,
    age_of_extreme,
    centred,
    exponential,
    extreme,
    four_exponentials,
    slide_dot,
    slide_line,
    slide_moments,
    slide_pair,
    slide_powers,
    slide_sum,
)
from scalper_ml.kernel import inlined, view_kernel

__all__ = [
    "COLUMNS",
    "Rolling",
    "age_of_max",
    "age_of_min",
    "ema",
    "maximum",
    "minimum",
    "moments",
    "pair",
    "powers",
    "product",
    "roll",
    "roll_row",
    "total",
    "wilder",
]

SUM, PRODUCT, MOMENTS, POWERS, PAIR, MAX, MIN, AGE_OF_MAX, AGE_OF_MIN, EMA, WILDER = range(11)
_SUMS = {SUM: 1, PRODUCT: 1, MOMENTS: 2, POWERS: 4, PAIR: 5, MAX: 1, MIN: 1, AGE_OF_MAX: 2, AGE_OF_MIN: 2}
_ANCHORS = {MOMENTS: 1, POWERS: 1, PAIR: 2}
_ROWS = {MOMENTS: 2, POWERS: 4, PAIR: 3}

COLUMNS = 9
"""Numbers that tell `roll` about one statistic: `Rolling.row` and where its state and its answer lie."""


@dataclass(frozen=True, slots=True)
class Rolling:
    """One rolling statistic of series `x` (and `y`, `lag` rows before) over `n` rows; from the functions below.

    `lag` of an exponential mean is the first row, counted since the reset, that enters it.
    """

    code: int
    x: int
    y: int
    lag: int
    n: int

    @property
    def state(self) -> int:
        """Floats it carries."""
        if self.code == SUM and self.n <= SHORT:
            return 0
        return _SUMS[self.code] * (self.n + 1) + _ANCHORS.get(self.code, 0) if self.code in _SUMS else 1

    @property
    def exponential(self) -> bool:
        """Whether it is an exponential mean."""
        return self.code in (EMA, WILDER)

    @property
    def rows(self) -> int:
        """Blocks of rows it answers with."""
        return _ROWS.get(self.code, 1)

    @property
    def memory(self) -> int:
        """Rows of history it looks back on."""
        return self.n + self.lag + 1 if self.code in _SUMS else 1

    def row(self, state: int, answer: int) -> tuple[int, ...]:
        """What `roll` is told. Sums start anew at rows that differ from statistic to statistic, to share the work."""
        phase = (31 * self.code + 17 * self.x + 7 * self.y + 3 * self.lag) % self.n
        return self.code, self.x, self.y, self.lag, self.n, phase, state, state + self.state, answer


def total(x: int, n: int) -> Rolling:
    """Sum."""
    return Rolling(SUM, x, x, 0, n)


def product(x: int, y: int, n: int, lag: int = 0) -> Rolling:
    """Sum of x times y lagged."""
    return Rolling(PRODUCT, x, y, lag, n)


def moments(x: int, n: int) -> Rolling:
    """Mean; sum of squared deviations from it."""
    return Rolling(MOMENTS, x, x, 0, n)


def powers(x: int, n: int) -> Rolling:
    """Mean; 2nd, 3rd and 4th central moment, divided by n."""
    return Rolling(POWERS, x, x, 0, n)


def pair(x: int, y: int, n: int, lag: int = 0) -> Rolling:
    """Centred sums of x and y lagged: Sxx; Syy; Sxy."""
    return Rolling(PAIR, x, y, lag, n)


def maximum(x: int, n: int) -> Rolling:
    """Largest value."""
    return Rolling(MAX, x, x, 0, n)


def minimum(x: int, n: int) -> Rolling:
    """Smallest value."""
    return Rolling(MIN, x, x, 0, n)


def age_of_max(x: int, n: int) -> Rolling:
    """Rows since the largest value, the newest of equals."""
    return Rolling(AGE_OF_MAX, x, x, 0, n)


def age_of_min(x: int, n: int) -> Rolling:
    """Rows since the smallest value, the newest of equals."""
    return Rolling(AGE_OF_MIN, x, x, 0, n)


def ema(x: int, n: int, start: int = 0) -> Rolling:
    """Exponential mean with weight 2 / (n + 1), the plain mean of the first n values to begin with."""
    return Rolling(EMA, x, x, start, n)


def wilder(x: int, n: int, start: int = 1) -> Rolling:
    """Wilder's mean: the same with weight 1 / n."""
    return Rolling(WILDER, x, x, start, n)


@inlined
def _alpha(one):
    """Weight of the newest value in an exponential mean."""
    return 2.0 / (one[4] + 1) if one[0] == EMA else 1.0 / one[4]


@inlined
def _four_settled(wanted, e, t0):
    """Whether four exponential means follow whose first values have passed and whose states lie side by side."""
    if e + 4 > wanted.shape[0] or wanted[e + 3, 6] != wanted[e, 6] + 3:
        return False
    settled = True
    for j in range(e, e + 4):
        settled &= wanted[j, 0] >= EMA and t0 >= wanted[j, 3] + wanted[j, 4]
    return settled


@view_kernel
def _roll_four(H, i0, i1, wanted, e, S, R):
    a, b, c, d = wanted[e], wanted[e + 1], wanted[e + 2], wanted[e + 3]
    four_exponentials(
        H[a[1], i0:i1], H[b[1], i0:i1], H[c[1], i0:i1], H[d[1], i0:i1], _alpha(a), _alpha(b), _alpha(c), _alpha(d),
        S[a[6] : a[6] + 4], R[a[8]], R[b[8]], R[c[8]], R[d[8]],
    )  # fmt: skip


@view_kernel
def roll(H, i0, i1, t0, wanted, S, R):
    """Compute every row of the table `wanted` (k, COLUMNS) over rows ``i0 <= i < i1`` of `H` into rows of `R`."""
    e = 0
    while e < wanted.shape[0]:
        if _four_settled(wanted, e, t0):
            _roll_four(H, i0, i1, wanted, e, S, R)
            e += 4
            continue
        code, lag, n = wanted[e, 0], wanted[e, 3], wanted[e, 4]
        t, state, r = t0 + wanted[e, 5], S[wanted[e, 6] : wanted[e, 7]], wanted[e, 8]
        x, y, answer = H[wanted[e, 1]], H[wanted[e, 2]], R[r]
        if code == SUM:
            slide_sum(x, i0, i1, t, n, state, answer)
        elif code == PRODUCT:
            slide_dot(x, y, lag, i0, i1, t, n, state, answer)
        elif code == MOMENTS:
            slide_moments(x, i0, i1, t, n, state, answer, R[r + 1])
        elif code == POWERS:
            slide_powers(x, i0, i1, t, n, state, R[r : r + 4])
        elif code == PAIR and wanted[e, 2] == ROW:
            slide_line(x, i0, i1, t, n, state, R[r : r + 3])
        elif code == PAIR:
            slide_pair(x, y, lag, i0, i1, t, n, state, R[r : r + 3])
        elif code in (MAX, MIN):
            extreme(x, 1.0 if code == MAX else -1.0, i0, i1, t, n, state, answer)
        elif code in (AGE_OF_MAX, AGE_OF_MIN):
            age_of_extreme(x, 1.0 if code == AGE_OF_MAX else -1.0, i0, i1, t, n, state, answer)
        else:
            exponential(x, lag, i0, i1, t0, n, _alpha(wanted[e]), state, answer)
        e += 1


@view_kernel
def roll_row(H, i, t0, wanted, S, R):
    """`roll` of the one row i, to the same bits: what a live stream does, without the views that a block of rows needs.

    Whatever happens once in a window, or is rare, is left to `roll`.
    """
    for e in range(wanted.shape[0]):
        code, lag, n, s, r = wanted[e, 0], wanted[e, 3], wanted[e, 4], wanted[e, 6], wanted[e, 8]
        x, y = H[wanted[e, 1]], H[wanted[e, 2]]
        if code == SUM and n <= SHORT:
            total = x[i - n + 1]
            for j in range(i - n + 2, i + 1):
                total += x[j]
            R[r, 0] = total
            continue
        if code >= EMA and t0 >= lag + n:
            mean = S[s]
            mean = mean + _alpha(wanted[e]) * (x[i] - mean)
            S[s] = mean
            R[r, 0] = mean
            continue
        k, m, share = (t0 + wanted[e, 5]) % n, n + 1, 1.0 / n
        tail = s + k + 1
        if code >= EMA or k == 0:
            roll(H, i, i + 1, t0, wanted[e : e + 1], S, R)
        elif code == SUM:
            S[s] += x[i]
            R[r, 0] = S[s] + S[tail]
        elif code == PRODUCT:
            S[s] += x[i] * y[i - lag]
            R[r, 0] = S[s] + S[tail]
        elif code == MAX:
            S[s] = max(S[s], x[i])
            R[r, 0] = max(S[s], S[tail])
        elif code == MIN:
            S[s] = max(S[s], -x[i])
            R[r, 0] = -max(S[s], S[tail])
        elif code == MOMENTS:
            anchor = S[s + 2 * m]
            d = x[i] - anchor
            S[s] += d
            S[s + m] += d * d
            a = S[s] + S[tail]
            R[r, 0] = anchor + a * share
            R[r + 1, 0] = max(centred(S[s + m] + S[tail + m], a, a, share), 0.0)
        elif code == PAIR and wanted[e, 2] != ROW:
            dx, dy = x[i] - S[s + 5 * m], y[i - lag] - S[s + 5 * m + 1]
            S[s] += dx
            S[s + m] += dy
            S[s + 2 * m] += dx * dx
            S[s + 3 * m] += dy * dy
            S[s + 4 * m] += dx * dy
            for c in range(5):  # what is left of the block before is needed once: the whole window takes its place
                S[tail + c * m] += S[s + c * m]
            x_all, y_all = S[tail], S[tail + m]
            R[r, 0] = max(centred(S[tail + 2 * m], x_all, x_all, share), 0.0)
            R[r + 1, 0] = max(centred(S[tail + 3 * m], y_all, y_all, share), 0.0)
            R[r + 2, 0] = centred(S[tail + 4 * m], x_all, y_all, share)
        else:
            roll(H, i, i + 1, t0, wanted[e : e + 1], S, R)
