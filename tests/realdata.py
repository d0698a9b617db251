"""Real market data beside the checkout; tests that need it skip, with the reason, where it is absent."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "shared" / "data"


def real_data(relative: str) -> Path:
    """The path of a real-data file or folder, or skip the test."""
    path = ROOT / relative
    if not path.exists():
        pytest.skip(f"real market data not found: {Path('..', 'shared', 'data', relative)}")
    return path
