"""Tables tell what their columns mean to whoever looks from outside."""

from scalper_ml.schema import COLUMNS, TICKS


def test_every_column_of_the_ticks_is_described() -> None:
    """The texts that the UI shows are of exactly the columns that are there, and none is empty."""
    assert list(COLUMNS["ticks"]) == TICKS.names
    assert all(text.strip() for text in COLUMNS["ticks"].values())
