"""The loop gives what the layers and the backtest give, however the stream is cut."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from liveproject import HORIZONS, SYMBOL, cut, tape

from scalper_ml.errors import ContractError, FeatureSetError, SettingsError
from scalper_ml.features import feature_set
from scalper_ml.gate.environment import GateEnvironment
from scalper_ml.ingest.order import Trades
from scalper_ml.layers.features import read_features
from scalper_ml.live.agreement import agreement, score_trades, score_window
from scalper_ml.live.decisions import DECISIONS, decisions_table
from scalper_ml.live.feed import Message, TapeFeed
from scalper_ml.live.filters import BlockFilters
from scalper_ml.live.gate import OpenGate
from scalper_ml.live.lane import Lane, LaneRules, NoChampion
from scalper_ml.live.loop import Loop, Outcome
from scalper_ml.live.replay import gate_of
from scalper_ml.live.start import lane_rules, open_loop
from scalper_ml.project import Project
from scalper_ml.schema import us

KEYS = {"symbol": SYMBOL, "horizon": 3}


def replay(project: Project, pieces: list[Trades] | None = None, rules: LaneRules | None = None) -> Outcome:
    """Everything from the first trade to the last, traded from the score role on."""
    loop = open_loop(project, [SYMBOL], rules or lane_rules(project, gate_of(project), "replay"), warm=False)
    loop.keeps_rows = True
    for horizon in HORIZONS:
        loop.lanes[SYMBOL].since[horizon] = score_window(project, KEYS | {"horizon": horizon})[0]
    feed = TapeFeed({SYMBOL: tape(project)}) if pieces is None else [Message(SYMBOL, piece) for piece in pieces]
    for message in feed:
        loop.push(message)
    loop.finish()
    return loop.take()


@pytest.fixture(scope="module")
def whole(project: Project) -> Outcome:
    return replay(project)


def test_trades_are_those_of_the_backtest(project: Project, whole: Outcome) -> None:
    """A replay of the ticks trades what the backtest of the same period trades: each trade, to the last bit."""
    floor = gate_of(project).standing(SYMBOL, 3).min_confidence
    found = agreement(3, [trade for trade in whole.trades if trade["horizon"] == 3], score_trades(project, KEYS, floor))
    assert found.complete, found
    assert found.replayed > 100


def test_a_difference_is_seen(project: Project, whole: Outcome) -> None:
    """One trade left out, one added or one bit of a price changed is no agreement, and the first of them is named."""
    floor = gate_of(project).standing(SYMBOL, 3).min_confidence
    backtest = score_trades(project, KEYS, floor)
    mine = [trade for trade in whole.trades if trade["horizon"] == 3]
    bent = [mine[0] | {"exit_price": np.nextafter(mine[0]["exit_price"], 0)}, *mine[1:]]
    stray = [*mine, mine[-1] | {"signal_ts_us": 1}]
    for trades, said in ((mine[1:], "missing"), (bent, "exit_price"), (stray, "not in the backtest")):
        found = agreement(3, trades, backtest)
        assert not found.complete
        assert said in found.first


def test_features_are_those_of_the_layer(project: Project, whole: Outcome) -> None:
    """Features, warm flags and stamps of the loop are the stored ones, bit for bit."""
    stored = read_features(project, project.warehouse.require("features", {"symbol": SYMBOL}))
    own = [np.concatenate([getattr(rows, name) for _, rows in whole.rows]) for name in ("ts_us", "warm", "values")]
    for mine, theirs in zip(own, stored[:3], strict=True):
        assert mine.shape == theirs.shape
        assert mine.tobytes() == theirs.tobytes()


def test_probabilities_are_those_of_the_layer(project: Project, whole: Outcome) -> None:
    """Probabilities of the loop are those the model layer wrote, bit for bit, on every out-of-sample row."""
    made = project.warehouse.require("models/logistic_classifier", KEYS)
    stored = project.warehouse.read_table(made, "predictions.parquet")
    stored = stored.filter(pc.equal(stored["fold"], -1))
    own = decisions_table(whole.decided)
    own = own.filter(pc.equal(own["horizon"], 3))
    at = np.searchsorted(us(own["ts_us"]), us(stored["ts_us"]))
    assert stored.num_rows > 1000
    for name in ("p_short", "p_neutral", "p_long"):
        assert own[name].to_numpy()[at].tobytes() == stored[name].to_numpy().tobytes()


@pytest.mark.parametrize("seed", [1])
def test_cuts_of_the_stream_change_nothing(project: Project, whole: Outcome, seed: int) -> None:
    """Decisions and trades are the same for any cut of the stream into messages."""
    pieces = cut(tape(project), np.random.default_rng(seed), 120)
    found = replay(project, pieces)
    assert decisions_table(found.decided).equals(decisions_table(whole.decided))
    assert found.trades == whole.trades


def test_every_decision_says_why(project: Project, whole: Outcome) -> None:
    """There is a row for every bar and horizon, with a reason; what is not predicted says why, and orders are few."""
    table = decisions_table(whole.decided)
    assert table.schema == DECISIONS
    by_horizon = {h: table.filter(pc.equal(table["horizon"], h)) for h in HORIZONS}
    assert by_horizon[1].num_rows == by_horizon[3].num_rows
    third = by_horizon[3]
    known = {"warming_up", "before_the_start", "below_min_confidence", "position_open", "ordered"}
    assert set(third["reason"].unique().to_pylist()) == known
    blank = third.filter(pc.is_null(third["p_long"]))
    assert blank["reason"].unique().to_pylist() == ["warming_up"]
    assert set(third["bundle_id"].to_pylist()) == {project.warehouse.require("champions", KEYS).summary["bundle_id"]}
    assert third.filter(third["ordered"])["reason"].unique().to_pylist() == ["ordered"]


def test_filters_block_by_name(project: Project) -> None:
    """A filter takes orders away, and the decision names it."""
    plain = lane_rules(project, gate_of(project), "replay")
    rules = replace(plain, filters=BlockFilters(price_shock=1.0, inactivity=8))
    reasons = decisions_table(replay(project, rules=rules).decided)["reason"].value_counts().to_pylist()
    counts = {one["values"]: one["counts"] for one in reasons}
    assert counts["price_shock"] > 10
    assert counts["inactivity"] > 10


def test_a_gate_without_a_file_is_closed(project: Project) -> None:
    """Without the gate's file nothing is traded, and every decision says so."""
    gone = GateEnvironment(file="nowhere.json")
    rules = lane_rules(project, gate_of(project, gone), "replay")
    found = replay(project, rules=rules)
    assert found.trades == []
    assert "gate: file_missing" in decisions_table(found.decided)["reason"].unique().to_pylist()


def minimal(groups: tuple[str, ...] = ("klines", "trades"), interval_us: int = 60_000_000) -> Lane:
    from scalper_ml.backtest.costs import Costs

    rules = LaneRules(interval_us, Costs(fee_bps=1.0, spread_bps=1.0), OpenGate(0.5))
    return Lane("AUSDT", feature_set(groups, families=["momentum"]), {1: NoChampion("none trained")}, rules)


def trades(*seconds: float) -> Trades:
    ts = np.array([round(one * 1e6) for one in seconds], dtype=np.int64)
    n = len(ts)
    return Trades(ts, np.full(n, 100.0), np.ones(n), np.ones(n, np.int8), np.arange(n, dtype=np.int64))


def test_the_clock_closes_a_bar() -> None:
    """A bar is decided on when the feed says that its time is over; a trade of it that comes later is counted late."""
    loop = Loop({"AUSDT": minimal()})
    loop.push(Message("AUSDT", trades(1, 2)))
    assert loop.take().decided == []
    loop.push(Message("", None, 60_000_000))
    (decided,) = loop.take().decided
    assert decided.ts_us.tolist() == [60_000_000]
    loop.push(Message("AUSDT", trades(59, 61)))
    assert loop.counts.late == {"AUSDT": 1}
    assert loop.counts.trades == {"AUSDT": 3}
    loop.push(Message("", None, 119_000_000))
    assert loop.take().decided == []


def test_a_champion_is_replaced_between_two_bars() -> None:
    """Every decision from the replacement on is the new one's; one without a model says why there is none."""
    loop = Loop({"AUSDT": minimal()})
    loop.push(Message("AUSDT", trades(1, 61)))
    loop.replace("AUSDT", 1, NoChampion("rolled back"))
    loop.push(Message("AUSDT", trades(121)))
    first, second = loop.take().decided
    assert list(first.reason) == ["no_champion: none trained"]
    assert list(second.reason) == ["no_champion: rolled back"]


def test_strange_symbols_are_refused() -> None:
    """Trades of a symbol the loop does not have are refused by name."""
    with pytest.raises(ContractError, match=r"'BUSDT'.*AUSDT"):
        Loop({"AUSDT": minimal()}).push(Message("BUSDT", trades(1)))


def test_what_is_not_fed_is_refused() -> None:
    """A feature set of feeds the loop does not have, or whose lead coin it does not have, is refused."""
    with pytest.raises(FeatureSetError, match="derivatives"):
        Lane("AUSDT", feature_set(["klines", "derivatives"]), {}, minimal().rules)
    with pytest.raises(ContractError, match="lead coin 'BTCUSDT'"):
        Loop({"AUSDT": minimal(("klines", "market"))}, lead="BTCUSDT")


def test_labels_that_paper_cannot_follow_are_refused(project: Project) -> None:
    """A project of triple barriers has no loop yet: the refusal says what to set."""
    labels = project.settings.labels.model_copy(update={"kind": "triple_barrier"})
    other = Project(project.settings.model_copy(update={"labels": labels}), project.folder)
    with pytest.raises(SettingsError, match=r"labels\.kind"):
        lane_rules(other, OpenGate(0.5), "replay")


def test_a_model_of_other_features_says_so(project: Project) -> None:
    """Where the features are not those of the champion nothing is predicted, and every decision names the mismatch."""
    from scalper_ml.live.start import champion_of

    found = champion_of(project, SYMBOL, 3, feature_set(["klines"], families=["trend"]))
    assert isinstance(found, NoChampion)
    assert "FeatureSetError" in found.reason
    assert pa.types.is_string(DECISIONS.field("reason").type)
