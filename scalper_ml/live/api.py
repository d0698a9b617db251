"""The prediction API: health, predictions from features or raw ticks, gate verdicts, champions, metrics.

Needs the optional dependencies of the extra ``api``. Reads only; nothing it answers is an order.
"""

import hmac
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scalper_ml.errors import InputError, ScalperError, SettingsError, StoreError, WarehouseError
from scalper_ml.live.service import PredictionService, trades_from

__all__ = ["MAX_BODY", "create_app"]

MAX_BODY = 4_000_000
"""Bytes of a request's body."""

MAX_TICKS = 50_000
_LARGEST = 4 * 10**18  # the same as a float and in decimals, whichever a client compares with
_TOLD = 10  # things wrong with a body that are named


def _whole(value: Any) -> Any:
    """172.0 is a whole number in JSON, "172" is none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _written(name: str) -> str:
    """Half of a surrogate pair can be sent, but is no character."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name!r} has characters that cannot be written") from None
    return name


Name = Annotated[str, AfterValidator(_written)]
Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,20}$")]
Horizon = Annotated[int, Field(ge=1, le=1440), BeforeValidator(_whole)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, lt=1e15, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Tick(_Body):
    """A trade; `side` is the aggressor's: +1 buyer, -1 seller."""

    ts_us: Annotated[int, Field(ge=0, le=4_102_444_800_000_000), BeforeValidator(_whole)]
    price: Positive
    qty: Positive
    side: Annotated[Literal[1, -1], BeforeValidator(_whole)]
    trade_id: Annotated[int, Field(ge=-1, le=_LARGEST), BeforeValidator(_whole)] = -1


class FromFeatures(_Body):
    """One row of features by name, and the price now."""

    symbol: Symbol
    horizon: Horizon
    price: Positive
    features: Annotated[dict[Name, Finite], Field(max_length=2000)]


class FromTicks(_Body):
    """Trades after the saved ones, in order of time."""

    symbol: Symbol
    horizon: Horizon
    ticks: Annotated[list[Tick], Field(min_length=1, max_length=MAX_TICKS)]


class Signal(_Body):
    """A signal whose verdict is asked for."""

    symbol: Symbol
    horizon: Horizon
    confidence: Annotated[float, Field(ge=0, le=1)]


class Problem(BaseModel):
    """Why there is no answer."""

    detail: Any


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body cannot be read: no UTF-8, or beyond what JSON is read of."},
    401: {"model": Problem, "description": "The token is missing or wrong."},
    404: {"model": Problem, "description": "The symbol or horizon is not configured, or nothing has been built."},
    409: {"model": Problem, "description": "There is no champion, or its data do not allow an answer now."},
    413: {"model": Problem, "description": "The body is too large."},
    422: {"model": Problem, "description": "The body is no JSON, or not what is described here."},
}


def _problem(said: str, status: int) -> JSONResponse:
    """An answer that can be written whatever was sent: half of a surrogate pair is no UTF-8."""
    return JSONResponse({"detail": said.encode(errors="backslashreplace").decode()}, status_code=status)


class _Limited:
    """Refuses bodies that are too large, before they are held."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = {name: value for name, value in scope["headers"]}.get(b"content-length", b"0")
        if not given.isdigit() or int(given) > self._most:
            await self._refuse(scope, receive, send)
            return
        parts, size = [], 0
        while True:
            message = await receive()
            parts.append(message)
            size += len(message.get("body", b""))
            if size > self._most:
                await self._refuse(scope, receive, send)
                return
            if message["type"] != "http.request" or not message.get("more_body", False):
                break
        held = iter(parts)

        async def again() -> Message:
            return next(held, None) or await receive()

        await self._app(scope, again, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = {"detail": f"the body is larger than {self._most} bytes; send less at once"}
        await JSONResponse(told, status_code=413)(scope, receive, send)


def create_app(service: PredictionService, *, token: str | None = None, max_body: int = MAX_BODY) -> FastAPI:
    """The application.

    Parameters
    ----------
    service : PredictionService
    token : str, optional
        Asked for as ``Authorization: Bearer ...`` by everything but health.
    max_body : int
        Bytes of a request.
    """
    registry = CollectorRegistry()
    requests = Counter("scalper_requests", "Requests by path and status.", ("path", "status"), registry=registry)
    seconds = Histogram("scalper_request_seconds", "Time to an answer.", ("path",), registry=registry)
    ready = Gauge("scalper_champions", "Symbols x horizons with a champion.", registry=registry)
    lock = threading.Lock()  # one request at a time predicts: models are not safe between threads
    app = FastAPI(title="scalper", version="1", description="Predictions and verdicts; never an order.")
    app.add_middleware(_Limited, most=max_body)
    bearer = HTTPBearer(auto_error=False)

    def allowed(given: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        said = "" if given is None else given.credentials
        if not hmac.compare_digest(said.encode(), str(token).encode()):
            raise HTTPException(401, "the token is missing or wrong; send Authorization: Bearer TOKEN",
                                {"WWW-Authenticate": "Bearer"})  # fmt: skip

    @app.middleware("http")
    async def counted(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        started = time.perf_counter()
        answer = await go_on(request)
        route = request.scope.get("route")
        path = getattr(route, "path", "other")
        requests.labels(path, str(answer.status_code)).inc()
        seconds.labels(path).observe(time.perf_counter() - started)
        return answer

    @app.exception_handler(ScalperError)
    async def refused(request: Request, error: ScalperError) -> JSONResponse:
        unknown = isinstance(error, SettingsError | WarehouseError | StoreError)
        status = 422 if isinstance(error, InputError) else 404 if unknown else 409
        return _problem(f"{type(error).__name__}: {error}", status)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        more = [f"and {len(found) - _TOLD} more"] if len(found) > _TOLD else []
        return _problem("; ".join([*found[:_TOLD], *more]), 422)

    guarded: dict[str, Any] = {"dependencies": [] if token is None else [Depends(allowed)], "responses": _PROBLEMS}

    @app.get("/health", responses={413: _PROBLEMS[413]})
    def health() -> dict[str, Any]:
        """Alive, and what is configured."""
        settings = service.project.settings
        return {"status": "ok", "mode": "paper", "symbols": settings.symbols, "horizons": settings.horizons}

    @app.get("/champions", **guarded)
    def champions() -> list[dict[str, Any]]:
        """What stands behind each symbol x horizon."""
        with lock:
            return service.champions()

    @app.post("/predict/features", **guarded)
    def predict_features(body: FromFeatures) -> dict[str, Any]:
        """The decision on one row of features."""
        with lock:
            return service.of_features(body.symbol, body.horizon, body.features, body.price)

    @app.post("/predict/ticks", **guarded)
    def predict_ticks(body: FromTicks) -> dict[str, Any]:
        """The decision on the last bar that raw trades close, after the saved ones."""
        rows = [(one.ts_us, one.price, one.qty, one.side, one.trade_id) for one in body.ticks]
        with lock:
            return service.of_ticks(body.symbol, body.horizon, trades_from(rows))

    @app.post("/gate", **guarded)
    def gate(body: Signal) -> dict[str, Any]:
        """The gate's verdict on a signal."""
        return service.verdict(body.symbol, body.horizon, body.confidence)

    @app.get("/metrics", response_class=PlainTextResponse, **guarded)
    def metrics() -> PlainTextResponse:
        """Counts and times in the text format of Prometheus."""
        with lock:
            ready.set(sum(one["bundle_id"] is not None for one in service.champions()))
        return PlainTextResponse(generate_latest(registry).decode(), media_type="text/plain; version=0.0.4")

    return app
