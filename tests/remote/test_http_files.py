"""Files from a web server that truncates, stalls, re-uploads, refuses and lies."""

import gzip
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import InputError
from scalper_ml.ingest import read_ticks
from scalper_ml.remote import Pace, RetryPolicy, SourceFile, fetch, list_location
from scalper_ml.remote.files import Published, Version
from scalper_ml.remote.http import _retry_after_s
from scalper_ml.remote.landing import Landing
from scalper_ml.remote.listing import bucket_page, companions, html_links
from scalper_ml.remote.transfer import Delivery, bring

NAME = "BTCUSDT-trades-2024-01-01.csv"
DATA = bytes(range(256)) * 40
LOCATION = "/data/"


def _get(
    server: Any, folder: Path, clock: Any, policy: RetryPolicy | None = None, place: str = LOCATION
) -> list[SourceFile]:
    return fetch(server.url + place, folder, symbol="BTCUSDT", policy=policy or RetryPolicy(), pace=clock.pace)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".origin")


def test_an_index_page_gives_the_files_of_the_symbol(server: Any, tmp_path: Path, clock: Any) -> None:
    """Of an index page the symbol's files come, verified, and nothing else on it."""
    server.publish("/data/" + NAME, DATA)
    for other in ("BTCUSDTPERP-x.csv", "ETHUSDT.csv", "BTCUSDT-notes.txt", "BTCUSDT.truth.json"):
        server.publish("/data/" + other, b"x")
    (file,) = _get(server, tmp_path, clock)
    digest = hashlib.sha256(DATA).hexdigest()
    assert (file.path.read_bytes(), file.sha256, file.published, file.outcome) == (DATA, digest, True, "downloaded")
    assert (file.size, file.origin) == (len(DATA), f"{server.url}/data/{NAME}")
    assert _names(tmp_path) == [NAME]


def test_a_bucket_listing_is_read_page_by_page(server: Any, tmp_path: Path, clock: Any) -> None:
    """All keys of a paginated S3 listing are found, whatever the page size."""
    names = [f"BTCUSDT-trades-2024-01-{day:02}.csv" for day in range(1, 8)]
    for name in names:
        server.publish("/spot/" + name, name.encode())
    for server.page_size in (1, 2, 3, 1000):
        listed = list_location(f"{server.url}/bucket?prefix=spot/", "BTCUSDT", pace=clock.pace)
        assert [file.name for file in listed] == names
        assert all(file.checksum is not None and file.version.decides for file in listed)
    files = _get(server, tmp_path, clock, place="/bucket?prefix=spot/")
    assert [file.path.read_bytes().decode() for file in files] == names


def test_a_bucket_that_does_not_say_where_it_goes_on_is_refused() -> None:
    """A cut listing whose next page is the same page is an error, not a loop."""
    page = "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a.csv</Key></Contents></ListBucketResult>"
    _, following = bucket_page(page, "http://host/?prefix=")
    assert following == "http://host/?prefix=&marker=a.csv"
    with pytest.raises(InputError, match="does not say where it goes on"):
        bucket_page(page, following)


def test_the_listing_decides_without_a_request(server: Any, tmp_path: Path, clock: Any) -> None:
    """What an S3 listing shows unchanged is not asked for, neither file nor checksum."""
    server.publish("/spot/" + NAME, DATA)
    _get(server, tmp_path, clock, place="/bucket?prefix=spot/")
    server.asked.clear()
    (file,) = _get(server, tmp_path, clock, place="/bucket?prefix=spot/")
    assert (file.outcome, [asked.path for asked in server.asked]) == ("unchanged", ["/bucket"])


@pytest.mark.parametrize("etag", [True, False])
def test_one_conditional_request_decides(etag: bool, server: Any, tmp_path: Path, clock: Any) -> None:
    """Where the listing says nothing, one question per file tells that it did not change."""
    server.publish("/data/" + NAME, DATA, checksum=False, etag=etag)
    _get(server, tmp_path, clock)
    before = (tmp_path / NAME).stat().st_mtime_ns
    server.asked.clear()
    (file,) = _get(server, tmp_path, clock)
    assert (file.outcome, len(server.asked_for(NAME)), file.replaced) == ("unchanged", 1, None)
    assert (tmp_path / NAME).stat().st_mtime_ns == before
    assert server.asked_for(NAME)[0].status == (304 if etag else 200)


@pytest.mark.parametrize("place", ["/data/", "/bucket?prefix=data/"])
@pytest.mark.parametrize("checksum", [True, False])
def test_a_reupload_is_fetched_and_names_what_it_replaced(
    place: str, checksum: bool, server: Any, tmp_path: Path, clock: Any
) -> None:
    """A file of the same size with other bytes is fetched again, and the version before is named."""
    server.publish("/data/" + NAME, DATA, checksum=checksum)
    _get(server, tmp_path, clock, place=place)
    server.publish("/data/" + NAME, DATA[::-1], checksum=checksum)
    (file,) = _get(server, tmp_path, clock, place=place)
    assert file.path.read_bytes() == DATA[::-1]
    assert file.outcome == "replaced"
    assert file.replaced is not None
    assert (file.replaced.sha256, file.replaced.size) == (hashlib.sha256(DATA).hexdigest(), len(DATA))
    (after,) = _get(server, tmp_path, clock, place=place)
    assert (after.outcome, after.replaced) == ("unchanged", None)


def test_a_date_that_goes_back_is_a_reupload(server: Any, tmp_path: Path, clock: Any) -> None:
    """Without an ETag any other date counts, also an older one."""
    server.publish("/data/" + NAME, DATA, checksum=False, etag=False)
    _get(server, tmp_path, clock)
    server.publish("/data/" + NAME, DATA[::-1], checksum=False, etag=False)
    server.files["/data/" + NAME].last_modified = "Sun, 01 Jan 2023 00:00:00 GMT"
    (file,) = _get(server, tmp_path, clock)
    assert (file.outcome, file.path.read_bytes()) == ("replaced", DATA[::-1])


@pytest.mark.parametrize("kind", ["truncate", "stall"])
def test_a_broken_download_goes_on_where_it_broke(
    kind: str, server: Any, tmp_path: Path, clock: Any, impatient: RetryPolicy
) -> None:
    """After a cut or a stall only the rest is asked for, and only if the version is still the same."""
    server.publish("/data/" + NAME, DATA)
    server.faults = [(kind, 4000)]
    (file,) = _get(server, tmp_path, clock, impatient)
    first, second = server.asked_for(NAME)
    assert file.path.read_bytes() == DATA
    assert "Range" not in first.headers
    assert (second.headers["Range"], second.headers["If-Range"]) == ("bytes=4000-", server.files["/data/" + NAME].etag)
    assert (second.status, second.sent) == (206, len(DATA) - 4000)


def test_a_server_that_ignores_ranges_sends_the_whole_again(server: Any, tmp_path: Path, clock: Any) -> None:
    """A 200 to a request for the rest replaces the part, it is not appended."""
    server.publish("/data/" + NAME, DATA)
    server.faults = [("truncate", 5000), ("ignore-range", 0)]
    (file,) = _get(server, tmp_path, clock)
    assert file.path.read_bytes() == DATA
    assert [asked.status for asked in server.asked_for(NAME)] == [200, 200]


def test_two_versions_are_never_mixed(server: Any, tmp_path: Path, clock: Any) -> None:
    """A file that changes between the first and the second half comes whole in its new version."""
    server.publish("/data/" + NAME, DATA, checksum=False)
    server.faults = [("reupload-midway", 5000)]
    (file,) = _get(server, tmp_path, clock)
    assert file.path.read_bytes() == bytes(byte ^ 0x55 for byte in DATA)


@pytest.mark.parametrize("kind", ["other-range", "blind-range"])
def test_the_rest_of_another_version_is_not_appended(kind: str, server: Any, tmp_path: Path, clock: Any) -> None:
    """A server that sends the rest of a new version although only the old one's was asked for mixes nothing."""
    server.publish("/data/" + NAME, DATA, checksum=False)
    server.faults = [("truncate", 5000), (kind, 0)]
    (file,) = _get(server, tmp_path, clock)
    assert file.path.read_bytes() == bytes(byte ^ 0x55 for byte in DATA)
    assert [asked.status for asked in server.asked_for(NAME)] == [200, 206, 200]


def test_a_quiet_cut_is_noticed(tmp_path: Path, clock: Any) -> None:
    """Fewer bytes than announced are never accepted, even if the connection ends without complaint."""

    class Short:
        def listing(self, symbol: str) -> list[Published]:
            return []

        def checksum(self, file: Published) -> str | None:
            return None

        @contextmanager
        def deliver(self, file: Published, have: Any, resume: Any) -> Iterator[Delivery]:
            yield Delivery(Version(10, '"x"'), 0, iter([b"12345"]), resumable=False)

    file = Published(NAME, "http://host/x", "http://host/x")
    with pytest.raises(InputError, match="cut off after 5 of 10 bytes"):
        bring(Short(), file, Landing(tmp_path, NAME), policy=RetryPolicy(attempts=2), pace=clock.pace)
    assert not (tmp_path / NAME).exists()


def test_retry_after_is_obeyed(server: Any, tmp_path: Path, clock: Any) -> None:
    """A server that answers 429 with Retry-After is left alone for that long, else waits double."""
    server.publish("/data/" + NAME, DATA)
    server.faults, server.headers = [("status", 429)], {"Retry-After": "17"}
    _get(server, tmp_path, clock)
    assert clock.slept == [17.0]
    clock.slept.clear()
    server.publish("/data/" + NAME, DATA[1:])
    server.faults, server.headers = [("status", 503), ("status", 500), ("status", 502)], {}
    _get(server, tmp_path, clock)
    assert clock.slept == [0.5, 1.0, 2.0]


def test_retry_after_as_a_date() -> None:
    """Retry-After as a date is read by the server's own clock."""
    headers = {"Retry-After": "Mon, 01 Jan 2024 00:01:30 GMT", "Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
    assert _retry_after_s(httpx.Response(429, headers=headers)) == 90.0


def test_attempts_and_time_are_bounded(server: Any, tmp_path: Path, clock: Any) -> None:
    """A server that stays busy ends in an error that says so; nothing lies under the final name."""
    server.publish("/data/" + NAME, DATA)
    server.faults = [("status", 503)] * 99
    with pytest.raises(InputError, match=r"gave up after 3 attempts in .* HTTP 503"):
        _get(server, tmp_path, clock, RetryPolicy(attempts=3))
    assert len(server.asked_for(NAME)) == 3
    server.headers = {"Retry-After": "7200"}
    with pytest.raises(InputError, match="asks to be left alone for 7200 s"):
        _get(server, tmp_path, clock, RetryPolicy(total_s=600.0))
    assert _names(tmp_path) == []
    assert max(clock.slept) <= 600.0


def test_time_is_up_also_while_bytes_trickle(server: Any, tmp_path: Path) -> None:
    """Bytes that keep coming do not keep a download alive beyond its time."""
    server.publish("/data/" + NAME, DATA)
    ticking = iter(range(0, 10_000, 70))
    pace = Pace(now=lambda: float(next(ticking)), sleep=lambda seconds: None, jitter=lambda: 0.0)
    with pytest.raises(InputError, match="out of time"):
        fetch(f"{server.url}/data/{NAME}", tmp_path, symbol="BTCUSDT", policy=RetryPolicy(total_s=60.0), pace=pace)
    assert not (tmp_path / NAME).exists()


def test_a_refusal_is_final(server: Any, tmp_path: Path, clock: Any) -> None:
    """A 403 is not tried again."""
    server.publish("/data/" + NAME, DATA)
    server.faults = [("status", 403)]
    with pytest.raises(InputError, match="HTTP 403 Forbidden; expected the file"):
        _get(server, tmp_path, clock)
    assert (len(server.asked_for(NAME)), clock.slept) == (1, [])


def test_a_wrong_checksum_leaves_nothing(server: Any, tmp_path: Path, clock: Any) -> None:
    """A file that keeps failing its checksum is an error that shows both; part and file are gone."""
    server.publish("/data/" + NAME, DATA)
    server.files[f"/data/{NAME}.CHECKSUM"].data = f"{'ab' * 32}  {NAME}\n".encode()
    with pytest.raises(InputError, match=f"{hashlib.sha256(DATA).hexdigest()}, its checksum file says {'ab' * 32}"):
        _get(server, tmp_path, clock)
    assert (_names(tmp_path), len(server.asked_for(NAME))) == ([], 2)


def test_files_beside_a_wrong_one_are_fetched(server: Any, tmp_path: Path, clock: Any) -> None:
    """A file that differs from its checksum, or is not there, is named; those after it come all the same."""
    names = [f"BTCUSDT-trades-2024-01-{day:02}.csv" for day in range(1, 5)]
    for name in names:
        server.publish("/data/" + name, DATA)
    server.publish("/data/" + names[1] + ".CHECKSUM", b"0" * 64 + b"  " + names[1].encode())
    with pytest.raises(InputError, match=names[1]):
        _get(server, tmp_path, clock)
    assert _names(tmp_path) == [names[0], *names[2:]]


def test_a_wrong_checksum_keeps_the_version_before(server: Any, tmp_path: Path, clock: Any) -> None:
    """A re-upload that fails its checksum does not harm what was there."""
    server.publish("/data/" + NAME, DATA)
    _get(server, tmp_path, clock)
    server.publish("/data/" + NAME, DATA[::-1], checksum=False)
    with pytest.raises(InputError, match="checksum file says"):
        _get(server, tmp_path, clock)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_corrupt_transfer_is_tried_again(server: Any, tmp_path: Path, clock: Any) -> None:
    """One flipped byte is noticed by the checksum, the part is thrown away, and the second try is whole."""
    server.publish("/data/" + NAME, DATA)
    server.faults = [("corrupt", 77)]
    (file,) = _get(server, tmp_path, clock)
    assert file.path.read_bytes() == DATA
    assert "Range" not in server.asked_for(NAME)[1].headers


@pytest.mark.parametrize("text", ["", "<html>not found</html>", f"{'ab' * 32}  OTHER.csv", "ab" * 31])
def test_a_checksum_file_that_is_none(text: str, server: Any, tmp_path: Path, clock: Any) -> None:
    """A checksum file of another form or of another file is refused, never ignored."""
    server.publish("/data/" + NAME, DATA)
    server.files[f"/data/{NAME}.CHECKSUM"].data = text.encode()
    with pytest.raises(InputError, match="its checksum file says"):
        _get(server, tmp_path, clock)
    assert _names(tmp_path) == []


def test_one_file_by_its_address(server: Any, tmp_path: Path, clock: Any) -> None:
    """The address of a file is enough; its checksum file is used where there is one."""
    for checksum in (True, False):
        server.publish("/data/" + NAME, DATA, checksum=checksum)
        (file,) = _get(server, tmp_path / str(checksum), clock, place="/data/" + NAME)
        assert (file.path.read_bytes(), file.published) == (DATA, checksum)
        server.reset()


def test_bytes_without_length_and_checksum_are_refused(server: Any, tmp_path: Path, clock: Any) -> None:
    """A download whose cut could not be noticed is not accepted."""
    server.publish("/data/" + NAME, DATA, checksum=False)
    server.faults = [("no-length", 0)]
    with pytest.raises(InputError, match="without a length"):
        _get(server, tmp_path, clock)
    assert not (tmp_path / NAME).exists()


def test_a_size_other_than_listed_is_refused(server: Any, tmp_path: Path, clock: Any) -> None:
    """A file that is shorter than its listing says is not accepted."""
    server.publish("/data/" + NAME, DATA, checksum=False)
    server.files["/bucket/data/" + NAME] = server.files["/data/" + NAME]
    listed = list_location(f"{server.url}/bucket?prefix=data/", "BTCUSDT", pace=clock.pace)
    assert listed[0].version.size == len(DATA)
    server.faults = [("reupload", 0)] * 9
    server.again = b"more"
    with pytest.raises(InputError, match=r"sends a file of \d+ bytes where its listing says"):
        _get(server, tmp_path, clock, place="/bucket?prefix=data/")
    assert _names(tmp_path) == []


def test_a_damaged_local_file_is_healed(server: Any, tmp_path: Path, clock: Any) -> None:
    """A fetched file that was changed on disk is fetched again, even if its size is the same."""
    server.publish("/spot/" + NAME, DATA)
    _get(server, tmp_path, clock, place="/bucket?prefix=spot/")
    (tmp_path / NAME).write_bytes(DATA[::-1])
    (file,) = _get(server, tmp_path, clock, place="/bucket?prefix=spot/")
    assert (file.path.read_bytes(), file.outcome) == (DATA, "replaced")
    os.utime(tmp_path / NAME, ns=(1, 1))
    server.asked.clear()
    assert _get(server, tmp_path, clock, place="/bucket?prefix=spot/")[0].outcome == "unchanged"
    assert server.asked_for(NAME) == []


def test_a_file_from_somewhere_else_is_not_overwritten(server: Any, tmp_path: Path, clock: Any) -> None:
    """A file put there by hand or fetched from another place stays, unless it is the same."""
    server.publish("/data/" + NAME, DATA)
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.raises(InputError, match="was put there by hand"):
        _get(server, tmp_path, clock)
    assert (tmp_path / NAME).read_bytes() == b"mine"
    (tmp_path / NAME).write_bytes(DATA)
    assert _get(server, tmp_path, clock)[0].outcome == "unchanged"
    server.publish("/futures/" + NAME, DATA[1:])
    with pytest.raises(InputError, match=r"came from .*/data/"):
        _get(server, tmp_path, clock, place="/futures/")
    assert (tmp_path / NAME).read_bytes() == DATA


@pytest.mark.parametrize("name", ["BTCUSDT-%2F..%2Fx.csv", "BTCUSDT-%5C..%5Cx.csv", "BTCUSDT-%00.csv"])
def test_names_that_leave_the_folder_are_refused(name: str) -> None:
    """A listed name with a path or a control character in it is refused."""
    links = html_links(f'<a href="{name}">x</a>', "http://host/data/")
    with pytest.raises(InputError, match="expected a plain name"):
        companions(links, "BTCUSDT", "http://host/data/")


def test_two_files_of_one_name_are_refused() -> None:
    """One name at two addresses is an error that shows both."""
    links = html_links('<a href="a/BTCUSDT.csv">x</a><a href="b/BTCUSDT.csv">y</a>', "http://host/")
    with pytest.raises(InputError, match=r"http://host/a/BTCUSDT\.csv and http://host/b/BTCUSDT\.csv"):
        companions(links, "BTCUSDT", "http://host/")


def test_a_page_that_is_no_listing(server: Any, clock: Any) -> None:
    """A page of another kind is refused with its beginning."""
    server.publish("/data", b'{"files": []}', checksum=False)
    with pytest.raises(InputError, match="neither an index page nor an S3 listing"):
        list_location(server.url + "/data", "BTCUSDT", pace=clock.pace)


def test_nobody_answers(clock: Any) -> None:
    """A place where nobody listens is an error after the allowed attempts."""
    with pytest.raises(InputError, match=r"listing http://127\.0\.0\.1:1/: gave up after 2 attempts"):
        list_location("http://127.0.0.1:1/", "BTCUSDT", pace=clock.pace, policy=RetryPolicy(attempts=2))


def test_secrets_stay_out_of_messages_logs_and_records(
    server: Any, tmp_path: Path, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """User, password and signature show up nowhere: not in errors, logs, results or on disk."""
    server.publish("/data/" + NAME, DATA)
    host = server.url.removeprefix("http://")
    place = f"http://someone:hunter2@{host}/data/{NAME}?X-Amz-Signature=s3cr3t"
    with caplog.at_level(logging.DEBUG):
        (file,) = fetch(place, tmp_path, symbol="BTCUSDT", pace=clock.pace)
        server.faults = [("status", 404)]
        server.publish("/data/" + NAME, DATA[1:])
        with pytest.raises(InputError) as refused:
            fetch(place, tmp_path, symbol="BTCUSDT", pace=clock.pace)
        server.faults = [("status", 503)] * 2
        with pytest.raises(InputError) as gave_up:
            fetch(place, tmp_path, symbol="BTCUSDT", pace=clock.pace, policy=RetryPolicy(attempts=2))
    assert "Authorization" in server.asked_for(NAME)[0].headers
    listed = repr(list_location(place, "BTCUSDT", pace=clock.pace))
    on_disk = "".join(path.read_text() for path in (tmp_path / ".origin").iterdir())
    seen = f"{file} {refused.value} {gave_up.value} {caplog.text} {listed} {on_disk}"
    assert "HTTP Request: GET" in caplog.text
    assert "hunter2" not in seen
    assert "s3cr3t" not in seen


def _killed(folder: Path, server: Any, clock: Any, *, part: bytes, note: dict[str, Any] | None) -> None:
    """The folder as a process leaves it that was killed while bytes came."""
    (folder / ".origin").mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.part").write_bytes(part)
    if note is not None:
        (folder / ".origin" / f"{NAME}.part.json").write_text(json.dumps(note))


def _note(server: Any, **changed: Any) -> dict[str, Any]:
    content = server.files["/data/" + NAME]
    known = {
        "origin": f"{server.url}/data/{NAME}",
        "size": len(content.data),
        "etag": content.etag,
        "last_modified": content.last_modified,
        "resumable": True,
    }
    return {**known, **changed}


@pytest.mark.parametrize("had", [1, 4000, len(DATA) - 1, len(DATA)])
def test_a_killed_download_is_continued(had: int, server: Any, tmp_path: Path, clock: Any) -> None:
    """What a killed run left is continued; of a whole part only the last byte is asked for again."""
    server.publish("/data/" + NAME, DATA, checksum=False)
    _killed(tmp_path, server, clock, part=DATA[:had], note=_note(server))
    (file,) = _get(server, tmp_path, clock)
    assert file.path.read_bytes() == DATA
    assert server.asked_for(NAME)[0].sent == max(1, len(DATA) - had)
    assert _names(tmp_path) == [NAME]


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        (b"old" * 100, {"etag": '"old"'}),
        (b"old" * 100, {"origin": "http://elsewhere/" + NAME}),
        (b"old" * 100, {"resumable": False}),
        (DATA + b"more", {}),
        (b"", {}),
    ],
)
def test_what_cannot_be_continued_is_thrown_away(
    part: bytes, changed: dict[str, Any], server: Any, tmp_path: Path, clock: Any
) -> None:
    """A part of another version, from another place or longer than the file is not used."""
    server.publish("/data/" + NAME, DATA, checksum=False)
    _killed(tmp_path, server, clock, part=part, note=_note(server, **changed))
    (file,) = _get(server, tmp_path, clock)
    assert file.path.read_bytes() == DATA
    assert _names(tmp_path) == [NAME]


def test_a_part_without_a_note_is_thrown_away(server: Any, tmp_path: Path, clock: Any) -> None:
    """Bytes of unknown version are never continued."""
    server.publish("/data/" + NAME, DATA, checksum=False)
    _killed(tmp_path, server, clock, part=b"x" * 10, note=None)
    assert _get(server, tmp_path, clock)[0].path.read_bytes() == DATA


def test_killed_between_record_and_rename(server: Any, tmp_path: Path, clock: Any) -> None:
    """A record that is ahead of its file is not believed: the new version is put in place by the next run."""
    server.publish("/spot/" + NAME, DATA)
    _get(server, tmp_path, clock, place="/bucket?prefix=spot/")
    status = (tmp_path / NAME).stat()
    server.publish("/spot/" + NAME, DATA[::-1])
    (new,) = _get(server, tmp_path, clock, place="/bucket?prefix=spot/")
    (tmp_path / NAME).rename(tmp_path / f"{NAME}.part")
    (tmp_path / NAME).write_bytes(DATA)
    os.utime(tmp_path / NAME, ns=(status.st_atime_ns, status.st_mtime_ns))
    (file,) = _get(server, tmp_path, clock, place="/bucket?prefix=spot/")
    assert (file.path.read_bytes(), file.outcome, file.sha256) == (DATA[::-1], "replaced", new.sha256)
    assert file.replaced is not None
    assert file.replaced.sha256 == hashlib.sha256(DATA).hexdigest()


def test_a_fetched_file_is_read_by_ingest(server: Any, tmp_path: Path, clock: Any) -> None:
    """What comes from a place is what `read_ticks` reads, its sha256 included."""
    rows = "id,price,qty,quoteQty,time,isBuyerMaker\n"
    rows += "1,100.5,2,201,1704067200000,true\n2,100.6,1,100.6,1704067200001,false\n"
    server.publish("/data/BTCUSDT-x.csv.gz", gzip.compress(rows.encode(), mtime=0))
    (file,) = _get(server, tmp_path, clock)
    ticks = read_ticks(file.path, symbol="BTCUSDT")
    assert (ticks.counts.accepted, ticks.sha256) == (2, file.sha256)


def test_progress_is_told(server: Any, tmp_path: Path, clock: Any) -> None:
    """The watcher sees bytes grow to the size of the file."""
    server.publish("/data/" + NAME, DATA)
    seen: list[tuple[str, int, int | None]] = []
    fetch(server.url + LOCATION, tmp_path, symbol="BTCUSDT", pace=clock.pace, watch=lambda *told: seen.append(told))
    assert seen[-1] == (NAME, len(DATA), len(DATA))
    assert all(before[1] < after[1] for before, after in pairwise(seen))


_BREAKS = st.one_of(
    st.tuples(st.sampled_from(["truncate", "reupload-midway"]), st.integers(0, 400)),
    st.tuples(st.just("status"), st.sampled_from([408, 429, 500, 502, 503, 504, 404])),
    st.tuples(st.sampled_from(["ignore-range", "other-range", "reupload"]), st.just(0)),
)
_LIES = st.tuples(st.just("corrupt"), st.integers(0, 400))
_LEFT = st.sampled_from(["nothing", "part of this", "part of another", "part without note"])


@given(st.data())
def test_whole_or_not_at_all(running_server: Any, new_clock: Any, data: st.DataObject) -> None:
    """For any sequence of faults the file is the published one to the byte, or there is an error and no file."""
    server, clock = running_server, new_clock()
    server.reset()
    checksum, etag = data.draw(st.booleans(), "checksum"), data.draw(st.booleans(), "etag")
    server.publish("/data/" + NAME, data.draw(st.binary(min_size=0, max_size=400)), checksum=checksum, etag=etag)
    server.again = data.draw(st.sampled_from([b"", b"!"]))
    server.faults = data.draw(st.lists(_BREAKS | _LIES if checksum else _BREAKS, max_size=6))
    with tempfile.TemporaryDirectory() as name:
        folder, left = Path(name), data.draw(_LEFT)
        if left != "nothing":
            half = server.files["/data/" + NAME].data[:100]
            note = _note(server) if left == "part of this" else _note(server, etag='"other"', last_modified="x")
            _killed(folder, server, clock, part=half, note=None if left == "part without note" else note)
        place = data.draw(st.sampled_from(["/data/", "/data/" + NAME]))
        try:
            (file,) = _get(server, folder, clock, RetryPolicy(attempts=5), place)
        except InputError:
            assert not (folder / NAME).exists()
            server.faults = []
            (file,) = _get(server, folder, clock, place=place)
        assert file.path.read_bytes() == server.files["/data/" + NAME].data
        assert _names(folder) == [NAME]
