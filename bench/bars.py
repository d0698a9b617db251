"""Ticks into bars: the bar builder against polars on the same arrays, one thread's CPU."""

import numpy as np

from bench.measure import Figure, cpu_seconds
from scalper_ml.bars.builder import BarBuilder
from scalper_ml.bars.spec import BarSpec

__all__ = ["run"]

TRADES = 5_000_000
EVENTS = (BarSpec("tick", 33), BarSpec("dollar", 5_400), BarSpec("volume_imbalance", 12))


def run() -> list[Figure]:
    """1 s and 1 m bars out of five million trades, beside polars; event bars of about the length of a second."""
    import polars as pl

    rng = np.random.default_rng(1)
    ts = 1_767_225_600_000_000 + np.cumsum(rng.integers(1, 60_000, TRADES)).astype(np.int64)
    price = 100 * np.exp(np.cumsum(rng.normal(0, 1e-5, TRADES)))
    qty = rng.lognormal(0, 1, TRADES)
    side = rng.choice(np.array([-1, 1], dtype=np.int8), TRADES)
    ids = np.arange(TRADES, dtype=np.int64)
    frame = pl.DataFrame({"ts": ts, "price": price, "qty": qty, "side": side, "id": ids}).with_columns(
        pl.col("ts").cast(pl.Datetime("us")), buy=pl.when(pl.col("side") > 0).then(pl.col("qty")).otherwise(0.0)
    )
    figures = []
    for label, interval_us, every in (("1 s", 1_000_000, "1s"), ("1 m", 60_000_000, "1m")):

        def ours(interval_us: int = interval_us) -> None:
            builder = BarBuilder(interval_us)
            builder.push(ts, price, qty, side, ids)
            builder.finish()

        def peer(every: str = every) -> None:
            frame.group_by_dynamic("ts", every=every).agg(
                pl.col("price").first().alias("open"),
                pl.col("price").max().alias("high"),
                pl.col("price").min().alias("low"),
                pl.col("price").last().alias("close"),
                pl.col("qty").sum().alias("volume"),
                (pl.col("price") * pl.col("qty")).sum().alias("quote_volume"),
                pl.len().alias("trades"),
                pl.col("buy").sum().alias("buy_volume"),
                pl.col("id").first().alias("first_id"),
                pl.col("id").last().alias("last_id"),
            )

        seconds = cpu_seconds({"ours": ours, "peer": peer})
        rates = {name: TRADES / value / 1e6 for name, value in seconds.items()}
        figures.append(
            Figure(
                f"trades into {label} bars", rates["ours"], "M trades / CPU s",
                "polars group_by_dynamic", rates["peer"], rates["ours"] / rates["peer"],
                "6x, then 10x" if label == "1 s" else "",
            )
        )  # fmt: skip
    for spec in EVENTS:

        def events(spec: BarSpec = spec) -> None:
            BarBuilder(spec).push(ts, price, qty, side, ids)

        rate = TRADES / cpu_seconds({"ours": events})["ours"] / 1e6
        figures.append(Figure(f"trades into {spec.kind.replace('_', ' ')} bars", rate, "M trades / CPU s"))
    return figures
