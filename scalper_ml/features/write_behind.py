"""Writing behind: the builder never waits for the store, and an outage costs no newest vector."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any

from scalper_ml.errors import StoreError
from scalper_ml.features.online import FeatureRow, OnlineFeatureBuilder
from scalper_ml.features.store import OnlineStore, StoredVector

__all__ = ["PublishingBuilder", "WriteBehind", "WriteStats"]

_LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class WriteStats:
    """Vectors written, those replaced by newer ones of their symbol before they were, and failed attempts.

    `waiting` are not written yet; `failing_s` is for how long every attempt has failed, 0 where the last went well.
    """

    written: int
    superseded: int
    failures: int
    waiting: int
    failing_s: float


class WriteBehind:
    """Hands vectors to a store from a thread of its own.

    Waiting are at most `capacity` symbols with one vector each: a newer vector of a symbol takes the place of the
    older one, which nobody would read any more. What could not be written is tried again until it is.

    Parameters
    ----------
    store : OnlineStore
    capacity : int
        Most symbols waiting; one more is refused.
    pause_s : float
        After a failed attempt, doubled up to a second.

    Examples
    --------
    >>> from scalper_ml.features.store import MemoryStore
    >>> import numpy as np
    >>> store = MemoryStore()
    >>> with WriteBehind(store) as behind:
    ...     behind.put(StoredVector("BTCUSDT", "a1", 60, np.array([1.0]), True))
    >>> store.get("BTCUSDT").ts_us
    60
    """

    def __init__(self, store: OnlineStore, *, capacity: int = 1024, pause_s: float = 0.02) -> None:
        if capacity < 1:
            raise StoreError(f"write-behind: capacity {capacity}; expected 1 or more symbols")
        self.store = store
        self._capacity, self._pause_s = capacity, pause_s
        self._waiting: dict[str, StoredVector] = {}
        self._writing = 0
        self._changed = threading.Condition()
        self._closing = False
        self._written = self._superseded = self._failures = 0
        self._failing_since: float | None = None
        self._last: StoreError | None = None
        self._broken: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="feature-store-writer", daemon=True)
        self._thread.start()

    def put(self, vector: StoredVector) -> None:
        """Take a vector and return at once.

        Raises
        ------
        StoreError
            Too many symbols wait, the writer is closed, or it stopped for a reason that trying again does not mend.
        """
        kept = StoredVector(vector.symbol, vector.feature_set, vector.ts_us, vector.values.copy(), vector.warm)
        with self._changed:
            self._refuse()
            before = self._waiting.get(kept.symbol)
            if before is None and len(self._waiting) >= self._capacity:
                raise StoreError(
                    f"write-behind: {len(self._waiting)} symbols wait, as many as it takes; last failure: {self._last}"
                )
            if before is not None:
                self._superseded += 1
            if before is None or before.ts_us <= kept.ts_us:
                self._waiting[kept.symbol] = kept
            self._changed.notify_all()

    def flush(self, timeout_s: float = 5.0) -> None:
        """Wait until all that was put is written.

        Raises
        ------
        StoreError
            It is not within the time; says why the last attempt failed.
        """
        with self._changed:
            done = self._changed.wait_for(
                lambda: self._broken is not None or not (self._waiting or self._writing), timeout_s
            )
            if self._broken is not None:
                self._refuse()
            if not done:
                raise StoreError(
                    f"write-behind: {len(self._waiting) + self._writing} vectors not written after {timeout_s:g} s; "
                    f"last failure: {self._last or 'none, the store is slow'}"
                ) from self._last

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits and stop; StoreError as for `flush`, stopped all the same. Closing twice is fine."""
        if self._closing:
            return
        try:
            self.flush(timeout_s)
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            self._thread.join(timeout_s)

    def stats(self) -> WriteStats:
        """How it goes."""
        with self._changed:
            since = self._failing_since
            return WriteStats(
                self._written, self._superseded, self._failures, len(self._waiting) + self._writing,
                0.0 if since is None else monotonic() - since,
            )

    def __enter__(self) -> "WriteBehind":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refuse(self) -> None:
        if self._broken is not None:
            raise StoreError(
                f"write-behind: stopped by {type(self._broken).__name__}: {self._broken}"
            ) from self._broken
        if self._closing:
            raise StoreError("write-behind: closed; nothing more is taken")

    def _run(self) -> None:
        pause = self._pause_s
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    return
                batch, self._waiting = self._waiting, {}
                self._writing = len(batch)
            try:
                self.store.put(list(batch.values()))
            except StoreError as error:
                with self._changed:
                    self._keep(batch, error)
                    self._changed.wait_for(lambda: self._closing, pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            except Exception as error:  # the thread's boundary: raised again by the next call of put, flush or close
                with self._changed:
                    self._broken, self._writing = error, 0
                    self._changed.notify_all()
                return
            else:
                pause = self._pause_s
                with self._changed:
                    self._written += len(batch)
                    self._writing, self._failing_since, self._last = 0, None, None
                    self._changed.notify_all()

    def _keep(self, batch: Mapping[str, StoredVector], error: StoreError) -> None:
        """Put back what was not written, unless something newer waits."""
        self._failures += 1
        self._last = error
        self._failing_since = monotonic() if self._failing_since is None else self._failing_since
        self._superseded += len(batch.keys() & self._waiting.keys())
        self._waiting = {**batch, **self._waiting}
        self._writing = 0


class PublishingBuilder:
    """An `OnlineFeatureBuilder` whose every row is put to a store behind its back.

    Parameters
    ----------
    builder : OnlineFeatureBuilder
    symbol : str
    sink : WriteBehind
        May be shared by the builders of many symbols.
    """

    def __init__(self, builder: OnlineFeatureBuilder, symbol: str, sink: WriteBehind) -> None:
        self.builder, self.symbol, self._sink = builder, symbol, sink

    @property
    def names(self) -> tuple[str, ...]:
        """Order of the vector."""
        return self.builder.names

    def push_tick(self, *trade: Any, market: Mapping[str, float] | None = None) -> FeatureRow | None:
        """As `OnlineFeatureBuilder.push_tick`; a row it gives is published."""
        return self._published(self.builder.push_tick(*trade, market=market))

    def push_bar(self, bar: Mapping[str, Any], market: Mapping[str, float] | None = None) -> FeatureRow:
        """As `OnlineFeatureBuilder.push_bar`; the row is published."""
        row = self.builder.push_bar(bar, market)
        self._published(row)
        return row

    def finish(self, market: Mapping[str, float] | None = None) -> FeatureRow | None:
        """As `OnlineFeatureBuilder.finish`; a row it gives is published."""
        return self._published(self.builder.finish(market))

    def state(self) -> tuple[bytes, bytes]:
        """As `OnlineFeatureBuilder.state`."""
        return self.builder.state()

    def _published(self, row: FeatureRow | None) -> FeatureRow | None:
        if row is not None:
            self._sink.put(StoredVector.of(self.symbol, self.builder.fs.id, row))
        return row
