"""Few of many quotes, that say the same wherever labels ask."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.book.sequence import standing_quotes
from scalper_ml.labels.executable import mid_fills
from scalper_ml.schema import QUOTES, stamps, us


@given(
    known=st.lists(st.integers(0, 60), max_size=40),
    moments=st.lists(st.integers(-5, 70), max_size=12),
    cuts=st.lists(st.integers(0, 40), max_size=3),
    age=st.integers(0, 30),
)
def test_standing_quotes_say_the_same_as_all(known: list[int], moments: list[int], cuts: list[int], age: int) -> None:
    """However the quotes come in pieces, mids at the moments are those of all quotes."""
    ts = np.sort(np.array(known, dtype=np.int64))
    bid = np.arange(ts.size, dtype=np.float64) + 1
    values = [stamps(ts), stamps(ts), bid, bid, bid + 1, bid, pa.nulls(ts.size, pa.int64()), ["x"] * ts.size]
    table = pa.table(dict(zip(QUOTES.names, values, strict=True))).cast(QUOTES)
    edges = sorted({0, ts.size, *(cut for cut in cuts if cut < ts.size)})
    pieces = [(table.slice(a, b - a), None) for a, b in pairwise(edges)] or [(table, None)]
    due = np.sort(np.array(moments, dtype=np.int64))
    few = standing_quotes(pieces, due)
    assert few.num_rows <= (due.size + 1) * len(pieces)
    whole, thin = (
        mid_fills(due, us(one["ts_us"]), one["bid"].to_numpy(), one["ask"].to_numpy(), max_age_us=age)
        for one in (table, few)
    )
    assert whole.state.tolist() == thin.state.tolist()
    good = whole.state == 0
    assert whole.price[good].tolist() == thin.price[good].tolist()
