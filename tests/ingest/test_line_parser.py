"""The fast parser accepts nothing that the careful one does not, and gives the same numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.ingest.lines import text_columns
from scalper_ml.ingest.parse import LineParser
from scalper_ml.ingest.trades import parse_trades
from scalper_ml.ingest.values import EARLIEST, LATEST

POSITIONS = {"ts": 0, "price": 1, "qty": 2, "side": 3, "id": 4}
fields = [
    st.one_of(
        st.integers(0, 10**19).map(str),
        st.sampled_from(
            ["1704067200000", "1704067200", "1704067200000123", "1704067200000123456", "1704067200.25", "", "-1",
             f"{EARLIEST - 1}", f"{EARLIEST}", f"{LATEST}", "2024-01-01T00:00:00Z", "17040672000000.5", "nan"]
        ),
    ),
    st.one_of(
        st.floats(1e-9, 1e9).map(repr),
        st.decimals(min_value=0, max_value=10**9, places=8).map(str),
        st.sampled_from(["", ".", "1.", ".5", "0", "-1", "+1", "1e5", "1_0", "9007199254740993", "9007199254740991",
                         "999999999999999", "1000000000000000", "1000000000000000.0", "999999999999999.9",
                         "0." + 25 * "0"]),
    ),
    st.one_of(st.floats(0, 1e6).map(repr), st.sampled_from(["1", "00012.5000", "nan", "inf", "1 ", " 1"])),
    st.sampled_from(["buy", "SELL", "b", "S", "1", "-1", "bought", "", "BuyTaker", '"buy"']),
    st.one_of(st.integers(-1, 10**18 + 5).map(str), st.sampled_from(["", "12.0", "x"])),
]  # fmt: skip
line = st.one_of(
    st.tuples(*fields).map(",".join), st.sampled_from(["", ",,,,", "a,b", "1,2,3,4,5,6", "\r", '"1,2",3,4,5'])
)


@given(st.lists(line, min_size=1, max_size=12), st.booleans())
def test_what_the_fast_parser_reads_is_what_the_careful_one_reads(lines: list[str], dos: bool) -> None:
    """Every row is read to the same bits by both, or left to the careful one; every line is one or the other."""
    data = (("\r\n" if dos else "\n").join(lines) + "\n").encode()
    parsed, count, end = LineParser(POSITIONS, 5).parse(bytearray(data), 1)
    assert (count, end) == (len(lines), len(data))
    careful = text_columns(data, 0, 5, POSITIONS)
    trades, reasons = parse_trades(careful.values, named=True)
    good = {int(number): row for row, number in enumerate(careful.lines) if reasons[row] == 0}
    for row, number in enumerate(parsed.lines.tolist()):
        other = good[number]
        for name in ("ts_us", "price", "qty", "side", "trade_id"):
            assert getattr(parsed, name)[row] == getattr(trades, name)[other], name
    left = set(parsed.left[:, 2].tolist())
    rows = {i for i, text in enumerate(lines, 1) if text.strip()}
    assert rows <= left | set(parsed.lines.tolist()) <= rows | left
    for begin, end, number in parsed.left.tolist():
        assert data[begin:end].decode().strip("\r\n") == lines[number - 1].strip("\r\n")


def test_plain_rows_are_not_left() -> None:
    """The rows that exchanges write are read by the fast parser: it is no decoration."""
    data = bytearray(b"".join(b"%d,%d.%04d,0.%05d,%s,%d\n" % (1704067200000 + i, i + 1, i, i + 1, side, i)
                              for i, side in enumerate([b"buy", b"sell"] * 500)))  # fmt: skip
    parsed, lines, _ = LineParser(POSITIONS, 5).parse(data, 1)
    assert (lines, len(parsed.ts_us), len(parsed.left)) == (1000, 1000, 0)
    assert np.array_equal(parsed.trade_id, np.arange(1000))
    assert parsed.price[7] == 8.0007


@pytest.mark.parametrize(("word", "side"), [(b"true", -1), (b"False", 1), (b"1", -1), (b"0", 1)])
def test_a_true_maker_flag_is_a_seller(word: bytes, side: int) -> None:
    """The buyer was the maker: the aggressor sold."""
    parser = LineParser({"ts": 0, "price": 1, "qty": 2, "maker": 3}, 4)
    parsed, _, _ = parser.parse(bytearray(b"1704067200000,1,1," + word + b"\n"), 1)
    assert parsed.side.tolist() == [side]


def test_another_symbol_is_left_to_be_named() -> None:
    """A row of another symbol is not read as one of this."""
    parser = LineParser({"symbol": 0, "ts": 1, "price": 2, "qty": 3, "side": 4}, 5, b"BTC-USDT")
    rows = b"BTC-USDT,1704067200000,1,1,buy\nBTC-USDC,1704067200000,1,1,buy\nBTC-USDT2,1704067200000,1,1,buy\n"
    parsed, _, _ = parser.parse(bytearray(rows), 1)
    assert parsed.lines.tolist() == [1]
    assert parsed.left[:, 2].tolist() == [2, 3]
