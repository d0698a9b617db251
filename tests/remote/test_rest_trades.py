"""Trades over REST: an exchange that pages, breaks, skips and forgets."""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import InputError
from scalper_ml.ingest import read_ticks
from scalper_ml.remote import Pace, RetryPolicy
from scalper_ml.remote.rest import fetch_trades

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000


class FakeExchange:
    """Behaves as ccxt's exchanges do: pages of `limit`, inclusive `since`, one hour at most if by id."""

    def __init__(self, stamps: list[int], *, name: str = "fakex", cap: int = 1000, recent_only: bool = False) -> None:
        self.id, self.cap, self.recent_only = name, cap, recent_only
        self.trades = [
            {
                "id": str(1000 + place),
                "timestamp": stamp,
                "datetime": None,
                "symbol": "BTC/USDT",
                "side": "buy" if place % 2 else "sell",
                "takerOrMaker": None,
                "price": 100.25 + place,
                "amount": 0.5,
                "cost": None,
                "info": {"raw": True},
            }
            for place, stamp in enumerate(sorted(stamps))
        ]
        self.asked: list[tuple[int | None, dict[str, Any]]] = []
        self.errors: list[Exception] = []

    def milliseconds(self) -> int:
        return START_MS + 100 * DAY_MS

    def fetch_trades(self, symbol: str, since: int | None = None, limit: int | None = None, params: Any = None) -> Any:
        self.asked.append((since, dict(params or {})))
        if self.errors:
            raise self.errors.pop(0)
        size = min(limit or self.cap, self.cap)
        if self.recent_only:
            return [trade for trade in self.trades[-size:] if since is None or trade["timestamp"] >= since]
        if "fromId" in (params or {}):
            return [trade for trade in self.trades if int(trade["id"]) >= int(params["fromId"])][:size]
        window = 3_600_000 if self.id == "binance" else DAY_MS * 1000
        return [t for t in self.trades if since is None or since <= t["timestamp"] <= since + window][:size]


def _get(exchange: Any, folder: Path, days: int = 1, **options: Any) -> Any:
    pace = Pace(now=lambda: 0.0, sleep=lambda seconds: None, jitter=lambda: 0.0)
    end_us = (START_MS + days * DAY_MS) * 1000
    return fetch_trades(exchange, "BTC/USDT", START_MS * 1000, end_us, folder=folder, pace=pace, **options)


def _ids(files: Any) -> list[Any]:
    tables = [read_ticks(file.path, symbol="BTCUSDT").ticks for file in files]
    return [number for table in tables for number in table["trade_id"].to_pylist()]


@pytest.mark.parametrize("name", ["fakex", "binance"])
def test_days_become_files_that_ingest_reads(name: str, tmp_path: Path) -> None:
    """Each day becomes one file of the ccxt-trades format, with every trade of that day once."""
    exchange = FakeExchange([START_MS + place * 7_000_000 for place in range(30)], name=name, cap=3)
    files = _get(exchange, tmp_path, days=2)
    assert [file.name for file in files] == [
        f"BTCUSDT-ccxt-{name}-20240101T000000Z-20240102T000000Z.json.gz",
        f"BTCUSDT-ccxt-{name}-20240102T000000Z-20240103T000000Z.json.gz",
    ]
    read = [read_ticks(file.path, symbol="BTCUSDT") for file in files]
    assert {(one.format, one.counts.quarantined) for one in read} == {("ccxt-trades", 0)}
    inside = [t for t in exchange.trades if t["timestamp"] < START_MS + 2 * DAY_MS]
    assert [str(number) for number in _ids(files)] == [trade["id"] for trade in inside]
    assert read[0].ticks["price"][0].as_py() == 100.25
    assert read[0].sha256 == files[0].sha256


def test_a_day_that_is_there_is_not_asked_for(tmp_path: Path) -> None:
    """A second run over the same days asks the exchange nothing."""
    exchange = FakeExchange([START_MS + 5])
    _get(exchange, tmp_path)
    exchange.asked.clear()
    assert [file.outcome for file in _get(exchange, tmp_path)] == ["unchanged"]
    assert exchange.asked == []


@given(
    st.lists(st.integers(0, 12).map(lambda place: START_MS + place * 2_000_000), min_size=1, max_size=60),
    st.integers(4, 70),
    st.sampled_from(["fakex", "binance"]),
)
def test_every_trade_once_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, stamps: list[int], cap: int, name: str
) -> None:
    """Whatever the page size and however many trades share a stamp, each comes once, or the day is refused."""
    exchange = FakeExchange(stamps, name=name, cap=cap)
    folder = tmp_path_factory.mktemp("rest")
    if name == "fakex" and max(stamps.count(stamp) for stamp in stamps) >= cap:
        with pytest.raises(InputError, match="fill a page"):
            _get(exchange, folder, limit=cap)
        assert list(folder.iterdir()) == []
        return
    (file,) = _get(exchange, folder, limit=cap)
    records = json.loads(gzip.decompress(file.path.read_bytes()))
    assert [record["id"] for record in records] == [trade["id"] for trade in exchange.trades]


def test_an_exchange_that_only_gives_recent_trades(tmp_path: Path) -> None:
    """Pages that do not join are an error, not a hole; no file is written."""
    exchange = FakeExchange([START_MS + place * 60_000 for place in range(1000)], cap=10)
    pages = iter([exchange.trades[:10], exchange.trades[500:510]])
    exchange.fetch_trades = lambda *args: next(pages)  # type: ignore[method-assign]
    with pytest.raises(InputError, match="does not begin with the last trade of the page before"):
        _get(exchange, tmp_path)
    recent = FakeExchange([START_MS + 3 * DAY_MS + place for place in range(50)], recent_only=True)
    with pytest.raises(InputError, match="no trade from 2024-01-01T00:00:00Z to 2024-01-02T00:00:00Z"):
        _get(recent, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_hole_in_the_ids(tmp_path: Path) -> None:
    """An id that is left out between two pages is an error."""
    exchange = FakeExchange([START_MS + place * 1000 for place in range(20)], name="binance", cap=5)
    del exchange.trades[5]
    with pytest.raises(InputError, match="asked for trades from id 1005, found '1006' first"):
        _get(exchange, tmp_path)


def test_passing_errors_are_tried_again(tmp_path: Path) -> None:
    """Network trouble is tried again, a refusal is not."""
    ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed")
    exchange = FakeExchange([START_MS + 5])
    exchange.errors = [TimeoutError("late"), ccxt.RateLimitExceeded("slow down"), ccxt.RequestTimeout("late")]
    assert len(_get(exchange, tmp_path)) == 1
    exchange.errors = [ccxt.BadSymbol("fakex does not have market symbol")]
    with pytest.raises(InputError, match=r"the exchange refuses \(BadSymbol"):
        _get(exchange, tmp_path / "other")
    exchange.errors = [ccxt.NetworkError("https://api/x?signature=s3cr3t")] * 9
    with pytest.raises(InputError, match="gave up after 2 attempts") as error:
        _get(exchange, tmp_path / "other", policy=RetryPolicy(attempts=2))
    assert "s3cr3t" not in str(error.value)


def test_an_unknown_exchange(tmp_path: Path) -> None:
    """A misspelt exchange is an error with the nearest names."""
    pytest.importorskip("ccxt", reason="ccxt is not installed")
    with pytest.raises(InputError, match=r"'binanc' is not known to ccxt .*'binance'"):
        _get("binanc", tmp_path)


def test_ccxt_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ccxt the error names the extra; an exchange of the caller's own still works."""
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(InputError, match=r"pip install 'scalper-ml\[rest\]'"):
        _get("binance", tmp_path)
    assert len(_get(FakeExchange([START_MS + 5]), tmp_path)) == 1


@pytest.mark.parametrize(("since", "until"), [(5, 1_000_000), (0, 0), (2000, 1000), (0, 10**18)])
def test_a_window_that_is_none(since: int, until: int, tmp_path: Path) -> None:
    """A window must be whole milliseconds, forward, and over."""
    with pytest.raises(InputError, match="expected whole milliseconds"):
        fetch_trades(FakeExchange([START_MS]), "BTC/USDT", since, until, folder=tmp_path)
