"""The reference page in docs is the registry's, word for word."""

from pathlib import Path

from scalper_ml.features.reference import reference_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_page_is_current() -> None:
    """docs/features.md is the registry's; write it anew with `scalper features reference > docs/features.md`."""
    assert PAGE.read_text() == reference_page()
