"""Files of an object store: an S3 server on this machine, and a store in memory."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tickproject import TickProject, tape

from scalper_ml.errors import InputError
from scalper_ml.ingest.batches import TradeFile
from scalper_ml.remote import RetryPolicy, fetch, list_location
from scalper_ml.remote.files import Version
from scalper_ml.remote.objects import ObjectOrigin

NAME = "BTCUSDT-trades-2024-01-01.csv"
DATA = bytes(range(256)) * 40


class Bucket:
    """A place to publish to and to fetch from, whatever the kind of store."""

    def __init__(self, store: Any, location: str, options: dict[str, Any]) -> None:
        self.store, self.location, self.options = store, location, options

    def publish(self, name: str, data: bytes, *, checksum: bool = True) -> None:
        root = self.location.partition("://")[2]
        self.store.pipe_file(f"{root}/{name}", data)
        if checksum:
            digest = hashlib.sha256(data).hexdigest()
            self.store.pipe_file(f"{root}/{name}.CHECKSUM", f"{digest}  {name}\n".encode())


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    server_module = pytest.importorskip("moto.server", reason="moto is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    if request.param == "memory":
        store = fsspec.filesystem("memory")
        yield Bucket(store, "memory://market/spot", {})
        store.rm("/market", recursive=True)
        return
    for name, value in {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    options = {"endpoint_url": request.getfixturevalue("s3_endpoint")}
    store = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False, **options)
    store.mkdir("market")
    yield Bucket(store, "s3://market/spot", options)
    store.rm("market", recursive=True)


def _get(bucket: Bucket, folder: Path, clock: Any, place: str = "", **policy: Any) -> list[Any]:
    return fetch(
        bucket.location + place,
        folder,
        symbol="BTCUSDT",
        pace=clock.pace,
        policy=RetryPolicy(**policy),
        options=bucket.options,
    )


@pytest.mark.parametrize("place", ["", "/", "/*", "/" + NAME])
def test_a_prefix_a_glob_and_an_object(place: str, bucket: Bucket, tmp_path: Path, clock: Any) -> None:
    """A prefix, a glob and one object's address give the symbol's files, verified by their checksum files."""
    bucket.publish(NAME, DATA)
    bucket.publish("ETHUSDT.csv", b"x")
    (file,) = _get(bucket, tmp_path, clock, place)
    assert (file.path.read_bytes(), file.outcome, file.size) == (DATA, "downloaded", len(DATA))
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()
    assert file.published
    assert file.origin.endswith("market/spot/" + NAME)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".origin"] == [NAME]


def test_the_listing_of_a_store_decides(bucket: Bucket, tmp_path: Path, clock: Any, monkeypatch: Any) -> None:
    """An object that did not change is not read again."""
    bucket.publish(NAME, DATA)
    _get(bucket, tmp_path, clock)

    def never(*args: Any, **options: Any) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(ObjectOrigin, "deliver", never)
    monkeypatch.setattr(ObjectOrigin, "checksum", never)
    assert [file.outcome for file in _get(bucket, tmp_path, clock)] == ["unchanged"]


@pytest.mark.parametrize("checksum", [True, False])
def test_a_reuploaded_object(checksum: bool, bucket: Bucket, tmp_path: Path, clock: Any) -> None:
    """An object of the same size with other bytes replaces the earlier one, which is named."""
    bucket.publish(NAME, DATA, checksum=checksum)
    _get(bucket, tmp_path, clock)
    bucket.publish(NAME, DATA[::-1], checksum=checksum)
    (file,) = _get(bucket, tmp_path, clock)
    assert (file.path.read_bytes(), file.outcome) == (DATA[::-1], "replaced")
    assert file.replaced is not None
    assert file.replaced.sha256 == hashlib.sha256(DATA).hexdigest()


def test_an_object_that_fails_its_checksum(bucket: Bucket, tmp_path: Path, clock: Any) -> None:
    """An object that is not what its checksum file says is refused; nothing is left."""
    bucket.publish(NAME, DATA)
    bucket.publish(NAME, DATA[::-1], checksum=False)
    with pytest.raises(InputError, match="its checksum file says"):
        _get(bucket, tmp_path, clock)
    assert [path.name for path in tmp_path.iterdir()] == [".origin"]


def test_a_broken_read_goes_on(bucket: Bucket, tmp_path: Path, clock: Any, monkeypatch: Any) -> None:
    """After a broken connection the rest of the same version is read, and only that."""
    bucket.publish(NAME, DATA, checksum=False)
    monkeypatch.setattr("scalper_ml.remote.objects._CHUNK", 4096)
    starts: list[int] = []
    chunks = ObjectOrigin._chunks

    def breaking(self: ObjectOrigin, path: str, file: Any, start: int, version: Version) -> Iterator[bytes]:
        starts.append(start)
        store, read = self._store, self._store.cat_file
        if len(starts) == 1:
            answers = [read(path, start=0, end=4096)]

            def broken(*args: Any, **options: Any) -> bytes:
                if answers:
                    return bytes(answers.pop())
                raise ConnectionResetError("reset by peer")

            monkeypatch.setattr(store, "cat_file", broken, raising=False)
        else:
            monkeypatch.undo()
        return chunks(self, path, file, start, version)

    monkeypatch.setattr(ObjectOrigin, "_chunks", breaking)
    (file,) = _get(bucket, tmp_path, clock)
    assert (file.path.read_bytes(), starts) == (DATA, [0, 4096])


def test_an_object_that_changes_while_it_is_read(bucket: Bucket, tmp_path: Path, clock: Any, monkeypatch: Any) -> None:
    """Halves of two versions are never joined."""
    bucket.publish(NAME, DATA, checksum=False)
    now, asked = ObjectOrigin._now, []

    def changing(self: ObjectOrigin, path: str, file: Any) -> Version:
        asked.append(path)
        if len(asked) == 2:
            bucket.publish(NAME, DATA[::-1], checksum=False)
        return now(self, path, file)

    monkeypatch.setattr(ObjectOrigin, "_now", changing)
    (file,) = _get(bucket, tmp_path, clock)
    assert (file.path.read_bytes(), len(asked)) == (DATA[::-1], 4)


def test_a_place_that_is_not_there(bucket: Bucket, tmp_path: Path, clock: Any) -> None:
    """A prefix, object or bucket that does not exist is an error that names it."""
    bucket.publish(NAME, DATA)
    with pytest.raises(InputError, match="market/spot/nowhere: is not there"):
        list_location(bucket.location + "/nowhere", "BTCUSDT", pace=clock.pace, options=bucket.options)


def test_a_store_that_nobody_knows(tmp_path: Path) -> None:
    """An unknown kind of address is an error that says what is possible."""
    with pytest.raises(InputError, match="expected a folder, a glob, http"):
        fetch("nosuch://bucket/x", tmp_path, symbol="BTCUSDT")


def test_a_driver_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the driver the error names the extra to install."""
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(InputError, match=r"pip install 'scalper-ml\[remote\]'"):
        fetch("s3://bucket/x", tmp_path, symbol="BTCUSDT")


def contents(place: TickProject) -> dict[Path, bytes]:
    """Every file of a project but the memory of hashes, written once the files are old enough to be sure of."""
    paths = (path for path in place.folder.rglob("*") if path.is_file() and ".hashes" not in path.parts)
    return {path: path.read_bytes() for path in paths}


def test_the_command_ingests_a_bucket_and_reads_nothing_twice(
    s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`scalper ingest s3://...` stores what a folder would; a second run transfers, opens and changes nothing."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    options = {"endpoint_url": s3_endpoint}
    store = pytest.importorskip("fsspec").filesystem(
        "s3", skip_instance_cache=True, use_listings_cache=False, **options
    )
    store.mkdir("ticks")
    bucket = Bucket(store, "s3://ticks/2024", options)
    local = TickProject.make(tmp_path / "local", monkeypatch)
    for name, text in {NAME: tape(0), "BTCUSDT2024-01-02.csv": tape(1), "SOLUSDT-1.csv": tape(0)}.items():
        bucket.publish(name, text.encode())
        local.put(f"ticks/{name}", text)
    assert local.scalper("ingest", "ticks").code == 0
    place = TickProject.make(tmp_path / "remote", monkeypatch, source={"options": options})
    before = place.tree()
    dry = place.scalper("ingest", bucket.location, "--symbol", "BTCUSDT", "--dry-run")
    assert (dry.code, dry.out.count(" new"), place.tree() == before) == (0, 2, True), dry.err
    first = place.scalper("ingest", bucket.location)
    assert first.code == 0, first.err
    assert place.days() == local.days()
    assert len(place.days()) == 2
    before = contents(place)

    def never(*arguments: object, **named: object) -> None:
        raise AssertionError("nothing is to be read a second time")

    monkeypatch.setattr(TradeFile, "batches", never)
    monkeypatch.setattr(ObjectOrigin, "_chunks", never)
    second = place.scalper("ingest", bucket.location)
    assert (second.code, "nothing new" in second.out) == (0, True), second.err
    assert place.days() == local.days()
    assert contents(place) == before
    assert not any(b"s3cr3t" in data for data in before.values())
    store.rm("ticks", recursive=True)
