"""The online store: in the process and in a real Redis, the same laws; writing behind; outages."""

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import featuredata
import numpy as np
import pytest

from scalper_ml.errors import FeatureSetError, StoreError
from scalper_ml.features import INPUT_COLUMNS, OnlineFeatureBuilder, compute, feature_set
from scalper_ml.features.store import MemoryStore, OnlineStore, StoredVector, open_store, read_fresh
from scalper_ml.features.write_behind import PublishingBuilder, WriteBehind

FS = feature_set(["klines", "trades", "calendar"])
MINUTE = 60_000_000


class Server:
    """A Redis server of the tests' own on a port that was free, without files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start and wait until it answers."""
        import redis
        from redis.backoff import ConstantBackoff
        from redis.retry import Retry

        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = ["redis-server", *options, "--dir", str(self.folder), "--daemonize", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with redis.Redis(port=self.port, retry=Retry(ConstantBackoff(0.02), 500)) as client:  # 10 s at most
            assert client.ping()

    def stop(self) -> None:
        """Kill it, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("redis", reason="the package redis is not installed: pip install scalper-ml[redis]")
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[OnlineStore]:
    """An empty store of each kind."""
    url = "memory://"
    if request.param == "redis":
        import redis

        server = request.getfixturevalue("server")
        url = server.url
        with redis.Redis(port=server.port) as client:
            client.flushall()
    found = open_store(url)
    yield found
    found.close()


def vector(
    symbol: str = "BTCUSDT", ts_us: int = 1_700_000_000_000_000, first: float = 1.0, warm: bool = True
) -> StoredVector:
    """A vector with everything a float can be."""
    return StoredVector(symbol, "abcdef012345", ts_us, np.array([first, -0.0, np.nan, 5e-324, -np.inf]), warm)


def test_what_is_read_has_the_bits_that_were_put(store: OnlineStore) -> None:
    """Every float comes back bit for bit, NaN, -0 and denormals too, with stamp, warmth and feature set."""
    put = vector(warm=False)
    store.put([put, vector("ETHUSDT", first=2.0)])
    got = store.get("BTCUSDT")
    assert got is not None
    assert got.values.tobytes() == put.values.tobytes()
    assert (got.symbol, got.feature_set, got.ts_us, got.warm) == ("BTCUSDT", "abcdef012345", put.ts_us, False)
    assert store.get("ETHUSDT").values[0] == 2.0  # type: ignore[union-attr]
    assert store.get("SOLUSDT") is None


def test_the_newest_wins_in_any_order(store: OnlineStore) -> None:
    """An older vector never takes the place of a newer one; the same stamp put again does."""
    for ts_us, first in ((300, 3.0), (100, 1.0), (2**40, 9.0), (200, 2.0), (2**40, 10.0)):
        store.put([vector(ts_us=ts_us, first=first)])
    got = store.get("BTCUSDT")
    assert got is not None
    assert (got.ts_us, got.values[0]) == (2**40, 10.0)


def test_the_builder_s_vectors_come_out_of_the_store_unchanged(store: OnlineStore) -> None:
    """Bars through a publishing builder: after each flush the store has the bytes of the batch row."""
    X, ts = featuredata.ordinary(700, 6), featuredata.stamps_us(700)
    block = compute(FS, X, ts)
    with WriteBehind(store) as behind:
        live = PublishingBuilder(OnlineFeatureBuilder(FS, MINUTE), "BTCUSDT", behind)
        for i in range(700):
            live.push_bar(dict(zip(INPUT_COLUMNS, X[i].tolist(), strict=True)) | {"ts_us": int(ts[i])})
            if i % 50 == 49:
                behind.flush()
                got = store.get("BTCUSDT")
                assert got is not None
                assert got.values.tobytes() == block.values[i].tobytes()
                assert (got.ts_us, got.warm, got.feature_set) == (int(ts[i]), bool(block.warm[i]), FS.id)
    assert read_fresh(store, "BTCUSDT", FS.id, now_us=int(ts[-1]) + 5, max_age_us=10).warm


def test_ticks_publish_a_vector_a_bar(store: OnlineStore) -> None:
    """Trades give no vector until a bar closes; the end of the file publishes the last one."""
    with WriteBehind(store) as behind:
        live = PublishingBuilder(OnlineFeatureBuilder(FS, MINUTE), "BTCUSDT", behind)
        assert live.push_tick(featuredata.START, 100.0, 1.0, 1) is None
        behind.flush()
        assert store.get("BTCUSDT") is None
        row = live.push_tick(featuredata.START + MINUTE, 101.0, 1.0, -1)
        assert row is not None
        behind.flush()
        assert store.get("BTCUSDT").ts_us == row.ts_us  # type: ignore[union-attr]
        last = live.finish()
        assert last is not None
    assert store.get("BTCUSDT").ts_us == last.ts_us  # type: ignore[union-attr]
    assert live.names == FS.names
    assert live.state() == live.builder.state()


def test_a_reader_is_told_why_it_may_not_decide(store: OnlineStore) -> None:
    """Nothing there, another set, too old, from the future, not warm: each is refused, and says so."""
    ask = {"now_us": 2_000_000, "max_age_us": 500_000}
    with pytest.raises(StoreError, match="nothing of BTCUSDT"):
        read_fresh(store, "BTCUSDT", "abcdef012345", **ask)
    store.put([vector(ts_us=1_600_000)])
    assert read_fresh(store, "BTCUSDT", "abcdef012345", **ask).ts_us == 1_600_000
    with pytest.raises(FeatureSetError, match="set abcdef012345, expected 000000000000"):
        read_fresh(store, "BTCUSDT", "000000000000", **ask)
    with pytest.raises(StoreError, match=r"closed 0\.501 s ago .* expected 0 to 0\.500 s"):
        read_fresh(store, "BTCUSDT", "abcdef012345", now_us=2_101_000, max_age_us=500_000)
    with pytest.raises(StoreError, match=r"closed -0\.600 s ago"):
        read_fresh(store, "BTCUSDT", "abcdef012345", now_us=1_000_000)
    store.put([vector(ts_us=1_700_000, warm=False)])
    with pytest.raises(StoreError, match="not warm"):
        read_fresh(store, "BTCUSDT", "abcdef012345", **ask)


class Gate:
    """A memory store that writes only while its gate is open, and fails while told to."""

    def __init__(self) -> None:
        self.inner, self.open, self.entered = MemoryStore(), threading.Event(), threading.Event()
        self.failing: Exception | None = None
        self.batches: list[int] = []

    def put(self, vectors: Sequence[StoredVector]) -> None:
        self.entered.set()
        assert self.open.wait(10)
        if self.failing is not None:
            raise self.failing
        self.batches.append(len(vectors))
        self.inner.put(vectors)

    def get(self, symbol: str) -> StoredVector | None:
        return self.inner.get(symbol)

    def close(self) -> None:
        self.inner.close()


def test_the_builder_never_waits_and_the_queue_is_bounded() -> None:
    """While the store hangs, newer vectors take the place of older ones; a symbol too many is refused."""
    gate = Gate()
    behind = WriteBehind(gate, capacity=2)
    behind.put(vector("A", 1))
    assert gate.entered.wait(10)  # the writer hangs with A@1
    for ts_us in range(2, 500):
        behind.put(vector("A", ts_us))
        behind.put(vector("B", ts_us))
    with pytest.raises(StoreError, match="2 symbols wait"):
        behind.put(vector("C", 1))
    assert behind.stats().superseded == 2 * 497
    with pytest.raises(StoreError, match=r"3 vectors not written after 0\.01 s"):
        behind.flush(0.01)
    gate.open.set()
    behind.close()
    assert gate.batches == [1, 2]
    assert (gate.get("A").ts_us, gate.get("B").ts_us) == (499, 499)  # type: ignore[union-attr]
    assert (behind.stats().written, behind.stats().waiting) == (3, 0)
    with pytest.raises(StoreError, match="closed"):
        behind.put(vector("A", 501))
    behind.close()


def test_values_are_taken_when_they_are_put() -> None:
    """An array the caller goes on using is copied: later changes do not reach the store."""
    gate = Gate()
    with WriteBehind(gate) as behind:
        mine = vector()
        behind.put(mine)
        mine.values[0] = 77.0
        gate.open.set()
    assert gate.get("BTCUSDT").values[0] == 1.0  # type: ignore[union-attr]


def test_an_outage_is_told_and_survived() -> None:
    """While the store fails nothing is lost: flush says why; when it is back, the newest vectors are written."""
    gate = Gate()
    gate.open.set()
    gate.failing = StoreError("store is down")
    behind = WriteBehind(gate, pause_s=0.001)
    behind.put(vector("A", 1))
    with pytest.raises(StoreError, match=r"1 vectors not written .* store is down"):
        behind.flush(0.1)
    assert behind.stats().failures >= 1
    assert behind.stats().failing_s > 0
    behind.put(vector("A", 2))
    gate.failing = None
    behind.flush()
    assert gate.get("A").ts_us == 2  # type: ignore[union-attr]
    assert behind.stats().failing_s == 0
    gate.failing = StoreError("down again")
    behind.put(vector("A", 3))
    with pytest.raises(StoreError, match="down again"):
        behind.close(0.05)


def test_what_trying_again_does_not_mend_is_raised() -> None:
    """A store that breaks in another way stops the writer; put, flush and close say by what."""
    gate = Gate()
    gate.open.set()
    gate.failing = TypeError("not a store")
    behind = WriteBehind(gate)
    behind.put(vector())
    with pytest.raises(StoreError, match="TypeError: not a store"):
        behind.flush()
    with pytest.raises(StoreError, match="TypeError: not a store"):
        behind.put(vector())
    with pytest.raises(StoreError, match="TypeError: not a store"):
        behind.close()


def test_a_restarted_server_is_found_again(server: Server) -> None:
    """A crash of Redis between writes: reads and writes fail by name, then go on, and the newest vector is there."""
    store = open_store(server.url)
    behind = WriteBehind(store)
    behind.put(vector(ts_us=1))
    behind.flush()
    server.stop()
    try:
        with pytest.raises(StoreError, match=r"redis://127\.0\.0\.1:\d+/0: ConnectionError"):
            store.get("BTCUSDT")
        behind.put(vector(ts_us=2, first=8.0))
        with pytest.raises(StoreError, match="1 vectors not written"):
            behind.flush(0.05)
    finally:
        server.start()
    behind.flush(20)
    got = store.get("BTCUSDT")
    assert got is not None
    assert (got.ts_us, got.values[0]) == (2, 8.0)
    behind.close()
    store.close()


def test_foreign_bytes_and_wrong_addresses_are_refused(server: Server) -> None:
    """A key that holds something else, a kind of store there is not, and a password in an address that fails."""
    import redis

    with redis.Redis(port=server.port) as client:
        client.set("scalper:features:FOO", b"hello")
    store = open_store(server.url)
    with pytest.raises(StoreError, match="5 bytes of FOO are no feature vector"):
        store.get("FOO")
    store.close()
    with pytest.raises(StoreError, match="'mongo': unknown; expected memory://"):
        open_store("mongo://x")
    wrong = open_store("redis://:hunter2@127.0.0.1:1/0")
    with pytest.raises(StoreError) as caught:
        wrong.get("BTCUSDT")
    assert "hunter2" not in str(caught.value)
    wrong.close()
