"""Files of a symbol's feeds, found by their names: venues spell one symbol in many ways."""

import glob
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from scalper_ml.errors import InputError
from scalper_ml.ingest.hashes import FileHashes, SourceHash
from scalper_ml.project import Project

__all__ = ["feed_files", "feed_hashes", "spelled_in"]

_SUFFIXES: Final = (".csv", ".json", ".jsonl", ".feather", ".parquet", ".txt", ".log", ".zip", ".gz", ".zst")
_CONTRACTS: Final = ("SWAP", "PERP", "PERPETUAL")
_WORD: Final = re.compile(r"[0-9A-Za-z]+")
_WILD: Final = re.compile(r"[*?\[]")


def spelled_in(name: str, symbol: str) -> str | None:
    """How a file's name spells a symbol: as whole words side by side, in any case; None where it does not.

    A word that tells the contract belongs to the spelling, as the venue's own columns have it.

    Raises
    ------
    InputError
        If six digits that can be a day follow the symbol: a delivery contract is another instrument.

    Examples
    --------
    >>> [spelled_in(name, "SOLUSDT") for name in ("SOL-USDT-SWAP_open_interest.csv.gz", "solusdt_20240808.gz")]
    ['SOL-USDT-SWAP', 'solusdt']
    >>> [spelled_in(name, "SOLUSDT") for name in ("binance-futures_SOLUSDT_2020-02-22.csv", "SOLUSDTM.csv")]
    ['SOLUSDT', None]
    """
    words = list(_WORD.finditer(name))
    for first, begin in enumerate(words):
        text = ""
        for end, word in enumerate(words[first:], first + 1):
            text += word.group().upper()
            if text == symbol:
                after = words[end].group() if end < len(words) else ""
                if _is_short_day(after):
                    raise InputError(
                        f"{name}: {after} after {symbol} can be the delivery day of another contract or the day "
                        "of the file; expected a day as YYYYMMDD, or no file of a delivery contract - rename or move it"
                    )
                return name[begin.start() : (words[end] if after.upper() in _CONTRACTS else word).end()]
            if not symbol.startswith(text):
                break
    return None


def feed_files(folder: Path, symbol: str, symbols: Sequence[str]) -> list[Path]:
    """Files whose names spell a symbol, sorted by name.

    Parameters
    ----------
    folder : Path
        A folder, of which the files right in it count, or a pattern such as ``feeds/**/*funding*``.
    symbol : str
    symbols : sequence of str
        All configured ones: a name that spells two of them is refused.

    Raises
    ------
    InputError
        If there is no such folder, or a name spells several symbols or a delivery contract.
    """
    if _WILD.search(str(folder)):
        paths = [Path(name) for name in glob.glob(str(folder), recursive=True)]
    elif folder.is_dir():
        paths = list(folder.iterdir())
    else:
        raise InputError(f"{folder}: no such folder; expected one with files whose names spell {symbol}")
    wanted = [path for path in paths if path.name.lower().endswith(_SUFFIXES) and not path.name.startswith(".")]
    found = [path for path in wanted if spelled_in(path.name, symbol) and path.is_file()]
    for path in found:
        others = [other for other in symbols if other != symbol and spelled_in(path.name, other)]
        if others:
            raise InputError(
                f"{path}: its name spells {symbol} and {others}; expected one symbol - rename it, or move it away"
            )
    return sorted(found, key=lambda path: (path.name, str(path)))


def feed_hashes(project: Project, layer: str, folder: str, symbol: str) -> list[SourceHash]:
    """Files of a symbol for a layer with their hashes; of files with equal bytes only the first."""
    hashes = FileHashes(project.warehouse.root / ".hashes" / layer / f"{symbol}.json")
    found = hashes.of(feed_files(project.path(folder), symbol, project.settings.symbols))
    return list({one.sha256: one for one in reversed(found)}.values())[::-1]


def _is_short_day(word: str) -> bool:
    if len(word) != 6 or not word.isdigit():
        return False
    try:
        datetime.strptime(word, "%y%m%d")
    except ValueError:
        return False
    return True
