"""Folders, globs and file addresses: used where they lie."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import InputError
from scalper_ml.ingest import find_sources
from scalper_ml.ingest.names import is_source
from scalper_ml.remote import fetch, list_location
from scalper_ml.remote.retry import RetryPolicy

_PIECES = (
    "BTCUSDT",
    "PERP",
    "-trades",
    "_",
    "1",
    ".csv",
    ".gz",
    ".zip",
    ".json",
    ".truth",
    ".part",
    ".CHECKSUM",
    ".feather",
)


def _folder(tmp_path: Path) -> Path:
    for name in ("BTCUSDT-b.csv", "BTCUSDT-a.zip", "BTCUSDTPERP.csv", "ETHUSDT.csv", "BTCUSDT-c.csv.part"):
        (tmp_path / name).write_text("x")
    return tmp_path


@pytest.mark.parametrize("place", ["{}", "{}/*", "{}/BTC*", "file://{}", "{}/{{symbol}}*"])
def test_local_files_are_used_where_they_lie(place: str, tmp_path: Path) -> None:
    """A folder, a glob and a file address give the same files, uncopied, sorted by name."""
    folder = _folder(tmp_path / "a b") if (tmp_path / "a b").mkdir() is None else tmp_path
    location, target = place.format(folder), tmp_path / "never"
    files = fetch(location, target, symbol="BTCUSDT")
    assert [file.path for file in files] == [folder / "BTCUSDT-a.zip", folder / "BTCUSDT-b.csv"]
    assert {(file.outcome, file.size, file.sha256) for file in files} == {("local", 1, None)}
    assert [file.name for file in list_location(location, "BTCUSDT")] == [file.name for file in files]
    assert not target.exists()


def test_one_local_file(tmp_path: Path) -> None:
    """A path to a file is a location of one file."""
    path = _folder(tmp_path) / "BTCUSDT-b.csv"
    assert [file.path for file in fetch(str(path), tmp_path, symbol="BTCUSDT")] == [path]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A missing folder is an error; a glob or folder without files of the symbol gives none."""
    with pytest.raises(InputError, match=r"no such file or folder; expected one, with names such as BTCUSDT\.csv"):
        fetch(str(tmp_path / "nowhere"), tmp_path, symbol="BTCUSDT")
    assert fetch(str(tmp_path / "*.csv"), tmp_path, symbol="BTCUSDT") == []
    assert fetch(str(tmp_path), tmp_path, symbol="BTCUSDT") == []


def test_a_glob_with_one_name_twice(tmp_path: Path) -> None:
    """Two files of one name under a glob are an error that shows both."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "BTCUSDT.csv").write_text("x")
    with pytest.raises(InputError, match="have the same name"):
        fetch(str(tmp_path / "*" / "*.csv"), tmp_path, symbol="BTCUSDT")


@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=5))
def test_names_match_as_ingest_matches_them(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    """A name is taken for a symbol's exactly when `find_sources` takes it."""
    folder, name = tmp_path_factory.mktemp("names"), "".join(pieces)
    (folder / name).write_text("x")
    assert is_source(name, "BTCUSDT") == bool(find_sources(folder, "BTCUSDT"))


@given(st.integers(1, 100), st.floats(0.0, 1.0, exclude_max=True))
def test_waits_are_bounded(failures: int, jitter: float) -> None:
    """A wait is never longer than the longest, never less than half of what doubling asks for."""
    policy = RetryPolicy(first_wait_s=0.5, longest_wait_s=60.0)
    doubled = min(60.0, 0.5 * 2.0 ** (failures - 1))
    assert doubled / 2 < policy.wait_s(failures, jitter) <= doubled
