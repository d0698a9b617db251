"""The tear sheet of a backtest and the page of all coins."""

import re
from functools import cache

import pytest
from papergate import FAMILY, report
from papermarket import MINUTE, signal_market

from scalper_ml.backtest.costs import Costs
from scalper_ml.backtest.report import build_report
from scalper_ml.gate.thresholds import build_thresholds
from scalper_ml.reports.tear_sheet import summary_page, tear_sheet


@cache
def sheet(rho: float, fee: float) -> tuple[dict, str]:
    market, _ = signal_market(8_000, rho=rho, horizon=3, seed=1, phi=0.8, select=0.3)
    made = build_report(
        market.bars, market.dataset, market.predictions, symbol="A<B>USDT", timeframe="1m", version="v1", horizon=3,
        interval_us=MINUTE, costs=Costs(fee, 0.0, impact=0.0), seed=5, draws=300, benchmark=("BTCUSDT", market.bars),
    )  # fmt: skip
    return made.report, tear_sheet(made.report, market.bars, made.run.trades, made.run.equity)


def test_the_sheet_shows_what_the_report_says():
    """Verdict, every figure of the tables and six drawings are on the page, which needs nothing from elsewhere."""
    found, page = sheet(0.3, 0.5)
    for text in ("What accuracy would pay?", "Robustness", "By month", "Gates", "Costs", found["decision"]["action"]):
        assert text in page
    for value in (found["metrics"]["expectancy_r"], *found["metrics"]["expectancy_r_at_cost"].values()):
        assert f"{value:+.4f}" in page
    assert f"{found['robustness']['deflated']['dsr']:.4f}" in page
    assert page.count("<svg") == 6
    assert "A&lt;B&gt;USDT" in page
    assert "<B>" not in page
    assert not re.search(r"<script|src=|href=|@import", page)
    assert page == sheet(0.3, 0.5)[1]


@pytest.mark.parametrize("market", [(0.0, 30.0), (0.3, 20.0)])
def test_a_sheet_without_an_edge_says_so(market):
    """NO_TRADE and the failed gates are on the page."""
    found, page = sheet(*market)
    assert "NO_TRADE" in page
    assert page.count("class=bad") == sum(not gate["passed"] for gate in found["score"]["gates"]) > 0


def test_the_summary_lists_every_member_the_best_first():
    """A row a coin and horizon; those that trade come first."""
    document = build_thresholds([report("XRPUSDT", 3, 80.0), report("BTCUSDT", 1, 30.0)], **FAMILY)
    rows = re.findall(r"<tr[^>]*><td>(\w+)</td><td>(\d+)</td><td>(\w+)</td>", summary_page(document))
    assert len(rows) == 8
    assert rows[0] == ("XRPUSDT", "3", "ACTIVE")
    assert {action for _, _, action in rows[1:]} == {"NO_TRADE"}
