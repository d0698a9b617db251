"""The online store in Redis: one key a symbol, written by a script that never goes back in time."""

from collections.abc import Sequence
from typing import Any

from scalper_ml.errors import StoreError
from scalper_ml.features.store import TS_BYTES, StoredVector
from scalper_ml.remote.redaction import redacted

__all__ = ["RedisStore"]

_PUT = f"""
local kept = redis.call('GET', KEYS[1])
if kept and string.sub(kept, {TS_BYTES[0] + 1}, {TS_BYTES[1]}) > string.sub(ARGV[1], {TS_BYTES[0] + 1}, {TS_BYTES[1]}) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""  # noqa: E501


class RedisStore:
    """Vectors in Redis; connects when first used and again whenever the connection was lost.

    Parameters
    ----------
    url : str
        ``redis://host:port/db``.
    prefix : str
        Before the symbol in each key.
    timeout_s : float
        For connecting and for an answer.
    attempts : int
        Times a call is tried again on a lost connection before it is a StoreError.

    Raises
    ------
    StoreError
        The package redis is not installed, or the address is none.
    """

    def __init__(
        self, url: str, *, prefix: str = "scalper:features:", timeout_s: float = 1.0, attempts: int = 3
    ) -> None:
        try:
            import redis
            from redis.backoff import ExponentialBackoff
            from redis.retry import Retry
        except ModuleNotFoundError:
            raise StoreError("online store: redis:// needs the package redis; install scalper-ml[redis]") from None
        self._name, self._prefix, self._errors = redacted(url), prefix, redis.RedisError
        try:
            self._client: Any = redis.Redis.from_url(
                url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                socket_keepalive=True,
                health_check_interval=10,
                retry=Retry(ExponentialBackoff(cap=0.2, base=0.01), attempts),
                retry_on_error=[redis.ConnectionError, redis.TimeoutError],
            )
        except ValueError as error:
            raise StoreError(f"online store {self._name}: {error}; expected redis://host:port/db") from None

    def put(self, vectors: Sequence[StoredVector]) -> None:
        """Keep the newest of each, in one round trip."""
        if not vectors:
            return
        pipe = self._client.pipeline(transaction=False)
        for vector in vectors:
            pipe.eval(_PUT, 1, self._prefix + vector.symbol, vector.to_bytes())
        self._answer(pipe.execute)

    def get(self, symbol: str) -> StoredVector | None:
        """The newest vector, or None."""
        data = self._answer(self._client.get, self._prefix + symbol)
        return None if data is None else StoredVector.from_bytes(symbol, bytes(data))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def _answer(self, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except (self._errors, OSError) as error:
            raise StoreError(
                f"online store {self._name}: {type(error).__name__}: {error}; is the server up and reachable?"
            ) from error
