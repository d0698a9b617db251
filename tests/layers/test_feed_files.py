"""Files of a symbol's feeds by their names: every venue's spelling, and nothing else."""

from pathlib import Path

import pytest

from scalper_ml.errors import InputError
from scalper_ml.layers.feed_files import feed_files, spelled_in

SPELLINGS = [
    ("ADAUSDT-8h-funding_rate.csv.gz", "ADAUSDT", "ADAUSDT"),
    ("SOL-USDT-SWAP_open_interest.csv.gz", "SOLUSDT", "SOL-USDT-SWAP"),
    ("BTC_USDT_USDT-1h-mark.feather", "BTCUSDT", "BTC_USDT"),
    ("btcusd_perp_20240808.gz", "BTCUSD", "btcusd_perp"),
    ("tardis_binance-futures_BTCUSDT_2020-02-22_quotes.csv.gz", "BTCUSDT", "BTCUSDT"),
    ("BTCUSDT-metrics-2024-01-01.zip", "BTCUSDT", "BTCUSDT"),
    ("1000PEPEUSDT-fundingRate-2024-01.zip", "1000PEPEUSDT", "1000PEPEUSDT"),
    ("1000PEPEUSDT-fundingRate-2024-01.zip", "PEPEUSDT", None),
    ("BTCUSDTM_funding.csv", "BTCUSDT", None),
    ("BTC-USD-SWAP_funding.csv", "BTCUSDT", None),
    ("WBTC-USDT_funding.csv", "BTCUSDT", None),
]


@pytest.mark.parametrize(("name", "symbol", "spelled"), SPELLINGS)
def test_a_symbol_is_found_as_venues_spell_it(name: str, symbol: str, spelled: str | None) -> None:
    """Separators, case, words before it and the word of the contract after it do not hide a symbol."""
    assert spelled_in(name, symbol) == spelled


@pytest.mark.parametrize("name", ["SOLUSDT_240628-funding.csv", "SOL-USDT-240628_funding.csv"])
def test_a_delivery_contract_is_refused(name: str) -> None:
    """Six digits after the symbol may be another instrument's delivery day: refused, with what to do."""
    with pytest.raises(InputError, match=r"240628 after SOLUSDT .* rename or move it"):
        spelled_in(name, "SOLUSDT")


def test_a_name_of_two_configured_symbols_is_refused(tmp_path: Path) -> None:
    """A file that could be of either of two symbols is of neither, and is named."""
    (tmp_path / "ETH-BTC-USDT.csv").touch()
    assert [path.name for path in feed_files(tmp_path, "BTCUSDT", ["BTCUSDT"])] == ["ETH-BTC-USDT.csv"]
    with pytest.raises(InputError, match=r"ETH-BTC-USDT\.csv: its name spells BTCUSDT and \['ETHBTC'\]"):
        feed_files(tmp_path, "BTCUSDT", ["BTCUSDT", "ETHBTC"])


def test_a_folder_or_a_pattern(tmp_path: Path) -> None:
    """Of a folder the data files right in it count, of a pattern those it fits; no folder is an error."""
    (tmp_path / "okx").mkdir()
    for name in ("BTCUSDT.csv", "BTCUSDT.csv.sha256", ".BTCUSDT.csv", "BTCUSDT.md", "okx/BTC-USDT-SWAP_oi.csv"):
        (tmp_path / name).touch()
    assert [path.name for path in feed_files(tmp_path, "BTCUSDT", [])] == ["BTCUSDT.csv"]
    found = feed_files(tmp_path / "**" / "*.csv", "BTCUSDT", [])
    assert [path.name for path in found] == ["BTC-USDT-SWAP_oi.csv", "BTCUSDT.csv"]
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        feed_files(tmp_path / "nowhere", "BTCUSDT", [])
