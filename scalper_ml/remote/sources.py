"""From a location to local files: a folder, a glob, a web page, an S3 listing, an object store."""

import glob
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from scalper_ml.errors import InputError
from scalper_ml.ingest.names import is_source
from scalper_ml.remote.files import Earlier, Outcome, Published, SourceFile, Version, Watch
from scalper_ml.remote.landing import Landing, Refusal, refused_names
from scalper_ml.remote.redaction import redacted
from scalper_ml.remote.retry import OutOfReachError, Pace, RefusedFilesError, RetryPolicy
from scalper_ml.remote.transfer import Origin, bring

__all__ = ["Earlier", "Outcome", "Published", "SourceFile", "fetch", "is_remote", "list_location"]

_DEFAULT: Final = RetryPolicy()


def is_remote(location: str) -> bool:
    """Whether files there must be fetched before they can be read.

    Examples
    --------
    >>> [is_remote(place) for place in ("ticks", "ticks/*.zip", "file:///data", "s3://bucket/x", "https://host/")]
    [False, False, False, True, True]
    """
    return "://" in location and not location.startswith("file://")


def list_location(
    location: str,
    symbol: str,
    *,
    policy: RetryPolicy = _DEFAULT,
    pace: Pace | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[Published]:
    """Files of a symbol at a location; nothing is fetched.

    Parameters
    ----------
    location : str
        A folder, a glob, ``file://``, an index page or S3 listing at ``http(s)://``, the address of one file, or what
        fsspec knows (``s3://bucket/prefix``). ``{symbol}`` in it stands for the symbol.
    symbol : str
        File names begin with it, then comes no letter or digit.
    policy, pace : RetryPolicy, Pace
        How long to try, and the clock for it.
    options : mapping
        For the object store (``endpoint_url`` and the like).

    Returns
    -------
    list of Published
        Sorted by name; empty if there are none.

    Raises
    ------
    InputError
        If the location does not exist, does not answer, is no listing, or holds two files of one name.
    """
    place = location.replace("{symbol}", symbol)
    if not is_remote(place):
        return [
            Published(path.name, str(path), str(path), Version(size=path.stat().st_size if path.is_file() else None))
            for path in _local_paths(place, symbol)
        ]
    with _opened(place, policy, pace or Pace(), options or {}) as origin:
        return origin.listing(symbol)


def fetch(
    location: str,
    folder: Path,
    *,
    symbol: str,
    policy: RetryPolicy = _DEFAULT,
    pace: Pace | None = None,
    options: Mapping[str, Any] | None = None,
    watch: Watch | None = None,
) -> list[SourceFile]:
    """Local files of a symbol: those of a folder where they lie, those of a remote place fetched into `folder`.

    A file appears under its name only whole: its size is the announced one, its sha256 the published one. What did not
    change since the last time (by the listing, or by one question to the server) is not transferred again; what did is
    fetched anew, and the version before is named in `replaced`. What a broken or killed run left is continued where
    the server can continue the same version, else discarded.

    Parameters
    ----------
    location, symbol, policy, pace, options
        As in `list_location`; `policy` holds for the listing and for each file.
    folder : Path
        Where fetched files go; not used for local ones. Keep one folder for each location.
    watch : callable, optional
        Told of progress: name, bytes so far, bytes in all.

    Returns
    -------
    list of SourceFile
        Sorted by name; empty if there are none.

    Raises
    ------
    RefusedFilesError
        If files cannot be had, differ from their checksums, or would overwrite some that came from somewhere else:
        each is named here and remembered in `folder`, the others are fetched.
    InputError
        If the location is not there, is no listing, or does not answer (any more): what was fetched stays, and is not
        fetched again.
    """
    place, pace = location.replace("{symbol}", symbol), pace or Pace()
    if not is_remote(place):
        return [SourceFile(path.name, path, str(path), path.stat().st_size) for path in _local_paths(place, symbol)]
    with _opened(place, policy, pace, options or {}) as origin:
        listed = origin.listing(symbol)
        landings = {file.name: Landing(Path(folder), file.name) for file in listed}
        for name in refused_names(Path(folder)):
            if is_source(name, symbol) and name not in landings:
                Landing(Path(folder), name).forgive()
        found, refused = [], []
        for file in listed:
            landing = landings[file.name]
            try:
                found.append(bring(origin, file, landing, policy=policy, pace=pace, watch=watch))
            except OutOfReachError:
                raise
            except InputError as fault:
                landing.refuse(Refusal(file.origin, str(fault)))
                refused.append(str(fault))
            else:
                landing.forgive()
    if refused:
        raise RefusedFilesError("\n".join(refused))
    return found


@contextmanager
def _opened(place: str, policy: RetryPolicy, pace: Pace, options: Mapping[str, Any]) -> Iterator[Origin]:
    try:
        urlsplit(place)
    except ValueError as error:
        raise InputError(f"{place!r}: no address ({error}); expected one such as https://host/path/") from error
    if place.startswith(("http://", "https://")):
        from scalper_ml.remote.http import HttpOrigin

        with HttpOrigin.opened(place, policy=policy, pace=pace) as origin:
            yield origin
        return
    from scalper_ml.remote.objects import ObjectOrigin

    yield ObjectOrigin(place, policy=policy, pace=pace, options=options)


def _local_paths(place: str, symbol: str) -> list[Path]:
    """Files of a symbol in a folder, or among those that a glob names, or the one file named."""
    path = Path(unquote(urlsplit(place).path) if place.startswith("file://") else place).expanduser()
    if path.is_dir():
        found = list(path.iterdir())
    elif _is_offered(path):
        found = [path]
    elif glob.has_magic(str(path)):
        found = [Path(name) for name in glob.glob(str(path), recursive=True)]
    else:
        raise InputError(
            f"{redacted(str(path))}: no such file or folder; expected one, with names such as {symbol}.csv"
        )
    for file in found:
        if (
            is_source(file.name, symbol)
            and (shown := file.name.encode("utf-8", "backslashreplace").decode()) != file.name
        ):
            raise InputError(f"{file.parent / shown}: a name that is not UTF-8; expected one that is - rename the file")
    kept = sorted((file for file in found if is_source(file.name, symbol) and _is_offered(file)), key=_by_name)
    for before, after in pairwise(kept):
        if before.name == after.name:
            raise InputError(f"{place}: {before} and {after} have the same name; expected one - narrow the glob")
    return kept


def _is_offered(path: Path) -> bool:
    """Whether it is a file, or a link that leads nowhere: that is refused by name, not left out in silence."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _by_name(path: Path) -> tuple[str, str]:
    return path.name, str(path)
