"""The layers of the warehouse in the order of the graph."""

from dataclasses import replace

from scalper_ml.layers.base import Layer
from scalper_ml.settings import Settings

__all__ = ["layers_of"]


def layers_of(settings: Settings) -> tuple[Layer, ...]:
    """Every layer a project has, upstream before downstream; kline sources enter at the bars."""
    # imported here: all layers take seconds, and a command that needs one of them need not wait
    from scalper_ml.layers.backtests import BACKTESTS_LAYER
    from scalper_ml.layers.bars import BARS_FROM_KLINES, BARS_FROM_TICKS, EVENT_BARS_LAYER
    from scalper_ml.layers.candidates import candidates_layer, contenders
    from scalper_ml.layers.champions import CHAMPIONS_LAYER
    from scalper_ml.layers.datasets import datasets_layer
    from scalper_ml.layers.drift import DRIFT_LAYERS
    from scalper_ml.layers.features import FEATURES_LAYER
    from scalper_ml.layers.forecasts import forecast_layers
    from scalper_ml.layers.market import MARKET_LAYER
    from scalper_ml.layers.meta_labels import meta_labels_layer
    from scalper_ml.layers.placebo import PLACEBO_LAYER
    from scalper_ml.layers.thresholds import THRESHOLDS_LAYER
    from scalper_ml.layers.ticks import TICKS_LAYER

    market_data: tuple[Layer, ...] = (BARS_FROM_KLINES,)
    if settings.source.kind != "klines":
        event_bars = (EVENT_BARS_LAYER,) if settings.bars.events else ()
        market_data = (TICKS_LAYER, BARS_FROM_TICKS, *event_bars)
    feeds = _feeds(settings)
    fed_by = tuple(layer.name for layer in feeds if layer.name in ("context_bars", "book"))
    return (
        *market_data,
        *feeds,
        MARKET_LAYER,
        replace(FEATURES_LAYER, upstream=(*FEATURES_LAYER.upstream, *fed_by)),
        PLACEBO_LAYER,
        datasets_layer(settings),
        *contenders(settings),
        *((meta_labels_layer(settings.labels.meta),) if settings.labels.meta is not None else ()),
        *forecast_layers(settings),
        candidates_layer(settings),
        replace(BACKTESTS_LAYER, upstream=(*BACKTESTS_LAYER.upstream, *_filled_with(settings))),
        THRESHOLDS_LAYER,
        CHAMPIONS_LAYER,
        *DRIFT_LAYERS,
    )


def _filled_with(settings: Settings) -> tuple[str, ...]:
    """What orders of a backtest are filled with besides bars."""
    trades = ("ticks",) if settings.source.kind != "klines" and settings.backtest.ticks else ()
    return (*trades, *(("context",) if settings.context.folder is not None and settings.backtest.funding else ()))


def _feeds(settings: Settings) -> tuple[Layer, ...]:
    """Layers of the feeds beside the trades: those that a folder is configured for."""
    feeds: tuple[Layer, ...] = ()
    if settings.context.folder is not None:
        from scalper_ml.layers.context import CONTEXT_LAYER
        from scalper_ml.layers.context_bars import CONTEXT_BARS_LAYER

        feeds = (CONTEXT_LAYER, CONTEXT_BARS_LAYER)
    if settings.book.folder is not None:
        from scalper_ml.layers.book import BOOK_LAYER

        feeds = (*feeds, BOOK_LAYER)
    return feeds
