"""The prediction API answers what the loop decides, refuses what it must, and keeps to its own description."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from liveproject import HORIZONS, SYMBOL, tape

from scalper_ml.layers.features import read_features
from scalper_ml.live.feed import Message
from scalper_ml.live.replay import gate_of
from scalper_ml.live.service import PredictionService
from scalper_ml.live.start import lane_rules, open_loop
from scalper_ml.project import Project

pytest.importorskip("fastapi", reason="the extra `api` is not installed")
from scalper_ml.live.api import create_app

KEYS = {"symbol": SYMBOL, "horizon": 3}


@pytest.fixture(scope="module")
def service(project: Project) -> PredictionService:
    return PredictionService(project, gate_of(project))


@contextmanager
def served(app: Any) -> Iterator[httpx.Client]:
    """The application on a port of this machine."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def client(service: PredictionService) -> Iterator[httpx.Client]:
    with served(create_app(service, max_body=20_000)) as found:
        yield found


def later(project: Project, n: int = 40) -> list[dict[str, Any]]:
    """Trades after the saved ones, one every six seconds."""
    trades = tape(project)
    last, price, number = int(trades.ts_us[-1]), float(trades.price[-1]), int(trades.trade_id[-1])
    return [
        {"ts_us": last + 6_000_000 * (k + 1), "price": round(price * (1 + 1e-4 * np.sin(k)), 4), "qty": 1.5,
         "side": 1 if k % 3 else -1, "trade_id": number + 1 + k}
        for k in range(n)
    ]  # fmt: skip


def test_ticks_give_what_the_loop_decides(project: Project, service: PredictionService, client: httpx.Client) -> None:
    """Raw trades after the saved ones give the decision that the loop takes on the same bar, bit for bit."""
    from scalper_ml.live.service import trades_from

    ticks = later(project)
    answer = client.post("/predict/ticks", json=KEYS | {"ticks": ticks})
    assert answer.status_code == 200, answer.text
    loop = open_loop(project, [SYMBOL], lane_rules(project, gate_of(project), "replay"), warm=True)
    loop.push(Message(SYMBOL, trades_from([tuple(one.values()) for one in ticks])))
    (decided,) = (one for one in loop.take().decided if one.horizon == 3)
    expected = decided.table().to_pylist()[-1]
    assert answer.json()["reason"] == "accepted" if expected["ordered"] else expected["reason"]
    for name in ("p_short", "p_neutral", "p_long", "confidence", "target", "bundle_id", "action"):
        assert answer.json()[name] == expected[name]


def test_features_give_what_the_model_says(project: Project, service: PredictionService, client: httpx.Client) -> None:
    """A stored row of features by name, in any order, gives the stored probabilities, and the gate's verdict."""
    _, warm, values, names = read_features(project, project.warehouse.require("features", {"symbol": SYMBOL}))
    row = values[np.flatnonzero(warm)[-1]]
    champion = service._champion(SYMBOL, 3)
    features = dict(sorted(zip(names, row.tolist(), strict=True)))
    answer = client.post("/predict/features", json=KEYS | {"price": 100.0, "features": features}).json()
    expected = champion.predict(row[None], np.ones(1, dtype=bool))[0]  # type: ignore[union-attr]
    assert list(answer["probabilities"].values()) == expected.tolist()
    verdict = client.post("/gate", json=KEYS | {"confidence": answer["confidence"]}).json()
    assert answer["gate"] == verdict
    assert verdict["should_trade"] == (answer["confidence"] >= verdict["min_confidence"])


def test_what_is_wrong_is_said(project: Project, client: httpx.Client) -> None:
    """Unknown coins, missing features, trades that close no bar or come from the past, and junk are refused by name."""
    last, rows = int(tape(project).ts_us[-1]), later(project)
    back = [*rows[:3], rows[1], *rows[4:]]
    cases = [
        ("/gate", {"symbol": "BUSDT", "horizon": 3, "confidence": 0.6}, 404, "BUSDT"),
        ("/predict/features", KEYS | {"price": 1.0, "features": {"nonsense": 1.0}}, 409, "nonsense"),
        ("/predict/ticks", KEYS | {"ticks": [later(project, 1)[0] | {"ts_us": last + 1}]}, 409, "close no bar"),
        ("/predict/ticks", KEYS | {"ticks": [later(project, 1)[0] | {"side": 0}]}, 422, "side"),
        ("/predict/ticks", KEYS | {"ticks": [later(project, 1)[0] | {"ts_us": 5}]}, 422, "row 0 is stamped 5;"),
        ("/predict/ticks", KEYS | {"ticks": [*rows[:2], rows[2] | {"ts_us": last}]}, 422, f"row 2 is stamped {last};"),
        ("/predict/ticks", KEYS | {"ticks": back}, 422, f"row 3 is stamped {rows[1]['ts_us']}, before row 2"),
        ("/gate", KEYS | {"confidence": 7}, 422, "confidence"),
    ]
    for path, body, status, said in cases:
        answer = client.post(path, json=body)
        assert answer.status_code == status, answer.text
        assert said in answer.text


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/gate", '{"symbol": "EDGEUSDT", "horizon": 3, "confidence": NaN}', 422, "body.confidence"),
        ("/gate", '{"symbol": "EDGEUSDT", "horizon": 3, "confidence": -Infinity}', 422, "body.confidence"),
        ("/gate", '{"symbol": "EDGEUSDT", "horizon": 1e999, "confidence": 1}', 422, "body.horizon"),
        ("/gate", '{"symbol": "\\ud800", "horizon": 3, "confidence": 1}', 422, "body.symbol"),
        ("/gate", '{"symbol": "EDGEUSDT", "horizon": 3, "confidence": 1, "\\ud800": 1}', 422, "body"),
        ("/predict/features", '{"symbol": "EDGEUSDT", "horizon": 3, "price": 1e999, "features": {}}', 422, "price"),
        ("/predict/features", '{"symbol": "EDGEUSDT", "horizon": 3, "price": 1, "features": {"a": NaN}}', 422, "a"),
        ("/predict/features", '{"symbol": "A1", "horizon": 3, "price": 1, "features": {"\\ud800": 1}}', 422, "ud800"),
        ("/predict/ticks", '{"symbol": "EDGEUSDT", "horizon": 3, "ticks": [{"ts_us": NaN}]}', 422, "ticks.0.ts_us"),
        ("/predict/ticks", '{"symbol": "EDGEUSDT", "horizon": 3, "ticks": [' + "7," * 50 + "7]}", 422, "and 41 more"),
        ("/gate", "NaN", 422, "body"),
        ("/gate", "{", 422, "JSON"),
        ("/gate", b"\xff", 400, "pars"),
        ("/gate", "[" * 10_000, 400, "pars"),
        ("/gate", "1" * 5_000, 400, "pars"),
    ],
)
def test_bodies_that_cannot_be_echoed_are_refused(
    client: httpx.Client, path: str, body: str | bytes, status: int, said: str
) -> None:
    """Numbers that are none, halves of characters and what is no JSON: an answer of the description, never a 500."""
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    described = client.get("/openapi.json").json()["paths"][path]["post"]["responses"]
    assert str(status) in described


def test_large_bodies_are_refused(client: httpx.Client) -> None:
    """A body above the limit is refused, whether it says its length or not."""
    assert client.post("/gate", content=b"x" * 20_001).status_code == 413
    assert client.post("/gate", content=(b"x" * 1000 for _ in range(21))).status_code == 413
    assert client.post("/gate", content=(b"x" * 1000 for _ in range(5))).status_code == 422


def test_a_token_is_asked_for(service: PredictionService) -> None:
    """With a token everything but health needs it."""
    with served(create_app(service, token="secret")) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/champions").status_code == 401
        assert client.get("/champions", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/champions", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_champions_and_metrics(project: Project, client: httpx.Client) -> None:
    """Every configured pair is listed with its bundle or a reason; metrics count requests by path and status."""
    rows = client.get("/champions").json()
    assert [(row["symbol"], row["horizon"]) for row in rows] == [(SYMBOL, horizon) for horizon in HORIZONS]
    pointer = project.warehouse.require("champions", KEYS).summary
    assert rows[1]["bundle_id"] == pointer["bundle_id"]
    text = client.get("/metrics").text
    assert f"scalper_champions {sum(row['bundle_id'] is not None for row in rows)}.0" in text
    assert 'scalper_requests_total{path="/champions",status="200"}' in text


def test_only_this_machine_without_a_token() -> None:
    """Listening for other machines without a token is refused."""
    from scalper_ml.commands.serve import serve
    from scalper_ml.errors import SettingsError

    with pytest.raises(SettingsError, match="SCALPER_API_TOKEN"):
        serve(host="0.0.0.0", port=0)


OPERATIONS = 6


@pytest.mark.verify
@settings(max_examples=25, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("place", range(OPERATIONS))
def test_answers_are_as_described(client: httpx.Client, place: int, data: st.DataObject) -> None:
    """For any request that the OpenAPI description allows the answer is one that it describes, and never a 500."""
    schemathesis = pytest.importorskip("schemathesis")
    schema = schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")
    operations = [one.ok() for one in schema.get_all_operations()]
    assert len(operations) == OPERATIONS
    case = data.draw(operations[place].as_strategy())
    case.call_and_validate()
