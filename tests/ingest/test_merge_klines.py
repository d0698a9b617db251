"""Klines of several files: each interval once, gaps counted anew, contradictions set aside."""

from pathlib import Path

import pytest

from scalper_ml.errors import InputError
from scalper_ml.ingest import read_klines
from scalper_ml.ingest.merge_klines import merge_klines

START = 1_704_067_200_000


def write(folder: Path, name: str, minutes: list[int], close: float = 1.5, step: int = 60_000) -> Path:
    """A plain OHLCV file with a bar at each of the minutes."""
    lines = ["timestamp,open,high,low,close,volume", *(f"{START + step * m},1,2,0.5,{close},10" for m in minutes)]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_overlapping_files_give_each_interval_once(tmp_path: Path) -> None:
    """Files that overlap give the bars of one file that holds all, with repeats counted as duplicates."""
    whole = read_klines(write(tmp_path, "whole.csv", [0, 1, 2, 3, 6, 7]))
    parts = [read_klines(write(tmp_path, "b.csv", [2, 3, 6, 7])), read_klines(write(tmp_path, "a.csv", [0, 1, 2, 3]))]
    merged = merge_klines(parts)
    assert merged.bars.equals(whole.bars)
    assert merged.bars["gap"].to_pylist() == [0, 0, 0, 0, 2, 0]
    counts = merged.counts
    assert (counts.read, counts.accepted, counts.duplicate, counts.quarantined) == (8, 6, 2, 0)


def test_contradicting_rows_are_set_aside(tmp_path: Path) -> None:
    """An interval given twice with different values keeps the first file's row; the other goes to quarantine."""
    parts = [read_klines(write(tmp_path, "a.csv", [0, 1])), read_klines(write(tmp_path, "b.csv", [1, 2], close=1.75))]
    merged = merge_klines(parts)
    assert merged.bars["close"].to_pylist() == [1.5, 1.5, 1.75]
    assert (merged.counts.accepted, merged.counts.quarantined) == (3, 1)
    assert "other values" in merged.quarantine["reason"].to_pylist()[0]


def test_intervals_do_not_mix(tmp_path: Path) -> None:
    """Files of different intervals are refused with both named."""
    parts = [read_klines(write(tmp_path, "a.csv", [0, 1])), read_klines(write(tmp_path, "b.csv", [0, 1], step=300_000))]
    with pytest.raises(InputError, match="60000000, 300000000"):
        merge_klines(parts)


def test_no_file_is_refused() -> None:
    """Nothing to merge is an error, not an empty table."""
    with pytest.raises(InputError, match="no files"):
        merge_klines([])
