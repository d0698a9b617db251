"""The page on ticks says what the registries say."""

from pathlib import Path

from scalper_ml.ingest.sniff import KLINE_ADAPTERS, TICK_ADAPTERS
from scalper_ml.quality import RULES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "ticks.md").read_text()


def test_every_rule_stands_on_the_page_as_it_is_declared() -> None:
    """Name, severity, unit and meaning of every rule, and no rule that is not there."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") == 5]
    assert rows == [f"| `{name}` | {r.severity} | {r.unit} | {r.description} |" for name, r in RULES.items()]


def test_every_format_stands_on_the_page() -> None:
    """Every format of every adapter is named."""
    for adapter in (*TICK_ADAPTERS, *KLINE_ADAPTERS):
        for name in adapter.formats:
            assert f"`{name}`" in PAGE, name
