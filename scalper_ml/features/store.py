"""The online store: the newest feature vector of every symbol, read by whoever decides.

A store is two methods. `MemoryStore` lives in the process; `scalper_ml.features.redis_store` is shared
between processes. A vector travels as its own bytes: what is read has the bits that were computed.
"""

import math
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from scalper_ml.errors import FeatureSetError, StoreError
from scalper_ml.features.online import FeatureRow

__all__ = ["MemoryStore", "OnlineStore", "StoredVector", "open_store", "read_fresh"]

_HEADER = struct.Struct(">8s12sQ?xxxI")
_MAGIC = b"SCVECT01"
TS_BYTES = (20, 28)
"""Where the stamp lies in the bytes of a vector: big-endian, so that later is greater as text, too."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredVector:
    """One symbol's features known at one close.

    Parameters
    ----------
    symbol, feature_set : str
        Whose, and the id of the set whose names give the order of `values`.
    ts_us : int
        Close of the bar.
    values : ndarray, shape (f,), float64
    warm : bool
        Every value is known.
    """

    symbol: str
    feature_set: str
    ts_us: int
    values: np.ndarray
    warm: bool

    @classmethod
    def of(cls, symbol: str, feature_set: str, row: FeatureRow) -> "StoredVector":
        """That of a builder's row."""
        return cls(symbol, feature_set, row.ts_us, row.values, row.warm)

    def to_bytes(self) -> bytes:
        """All but the symbol, which is the key."""
        values = np.ascontiguousarray(self.values, dtype="<f8")
        return _HEADER.pack(_MAGIC, self.feature_set.encode(), self.ts_us, self.warm, values.size) + values.tobytes()

    @classmethod
    def from_bytes(cls, symbol: str, data: bytes) -> "StoredVector":
        """What `to_bytes` wrote, bit for bit.

        Raises
        ------
        StoreError
            The bytes are no vector.
        """
        whole = len(data) >= _HEADER.size
        magic, feature_set, ts_us, warm, size = _HEADER.unpack_from(data) if whole else (b"", b"", 0, False, 0)
        if magic != _MAGIC or len(data) != _HEADER.size + 8 * size:
            raise StoreError(
                f"online store: {len(data)} bytes of {symbol} are no feature vector of this version; expected "
                f"{_MAGIC.decode()} and its values - delete the key or give the platform a prefix of its own"
            )
        values = np.frombuffer(data, dtype="<f8", offset=_HEADER.size).astype(np.float64)
        return cls(symbol, feature_set.rstrip(b"\0").decode(), ts_us, values, warm)


class OnlineStore(Protocol):
    """Keeps the newest vector of each symbol."""

    def put(self, vectors: Sequence[StoredVector]) -> None:
        """Keep these; one older than what is kept changes nothing. StoreError if the store does not answer."""

    def get(self, symbol: str) -> StoredVector | None:
        """The newest vector, or None. StoreError if the store does not answer."""

    def close(self) -> None:
        """Let go of connections."""


class MemoryStore:
    """A store within the process, safe between threads.

    Examples
    --------
    >>> store = MemoryStore()
    >>> store.put([StoredVector("BTCUSDT", "a1", 60, np.array([1.0]), True)])
    >>> store.put([StoredVector("BTCUSDT", "a1", 30, np.array([0.0]), True)])  # late: changes nothing
    >>> store.get("BTCUSDT").ts_us, store.get("ETHUSDT")
    (60, None)
    """

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, vectors: Sequence[StoredVector]) -> None:
        """Keep the newest; copies, so that what the caller does with its arrays later does not matter."""
        begin, end = TS_BYTES
        with self._lock:
            for vector in vectors:
                data = vector.to_bytes()
                if data[begin:end] >= self._kept.get(vector.symbol, b"")[begin:end]:
                    self._kept[vector.symbol] = data

    def get(self, symbol: str) -> StoredVector | None:
        """The newest vector, or None."""
        with self._lock:
            data = self._kept.get(symbol)
        return None if data is None else StoredVector.from_bytes(symbol, data)

    def close(self) -> None:
        """Nothing to let go of."""


def open_store(url: str = "memory://") -> OnlineStore:
    """The store of an address: ``memory://``, or ``redis://host:port/db`` (``rediss://``, ``unix://``).

    Raises
    ------
    StoreError
        Another kind of address, or the client library of it is not installed.
    """
    kind = url.partition("://")[0]
    if kind == "memory":
        return MemoryStore()
    if kind in ("redis", "rediss", "unix"):
        from scalper_ml.features.redis_store import RedisStore

        return RedisStore(url)
    raise StoreError(f"online store {kind!r}: unknown; expected memory://, redis://, rediss:// or unix://")


def read_fresh(
    store: OnlineStore, symbol: str, feature_set: str, *, now_us: int, max_age_us: float = math.inf
) -> StoredVector:
    """The newest vector of a symbol, if a decision may be taken on it.

    Parameters
    ----------
    feature_set : str
        Id of the set the reader was made for.
    now_us, max_age_us
        The present, and how long ago the bar may have closed; a bar from the future is refused as well.

    Raises
    ------
    StoreError
        There is none, it is too old, or it is not warm; says how old and what was expected.
    FeatureSetError
        It is of another feature set.
    """
    vector = store.get(symbol)
    if vector is None:
        raise StoreError(f"online store: nothing of {symbol}; is its feature builder running?")
    if vector.feature_set != feature_set:
        raise FeatureSetError(
            f"online store: {symbol} is of feature set {vector.feature_set}, expected {feature_set}; start the builder "
            "with the features of the model, or take the model made of these"
        )
    age_us = now_us - vector.ts_us
    if age_us < 0 or age_us > max_age_us:
        raise StoreError(
            f"online store: {symbol} closed {age_us / 1e6:.3f} s ago ({vector.ts_us} us), expected 0 to "
            f"{max_age_us / 1e6:.3f} s; is its feed alive, and are the clocks right?"
        )
    if not vector.warm:
        raise StoreError(f"online store: {symbol} at {vector.ts_us} us is not warm; wait until the warm-up is over")
    return vector
