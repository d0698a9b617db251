"""A long short-term memory over the last 50 bars."""

from dataclasses import dataclass
from typing import Any

from scalper_ml.forecasters.torch_training import NetworkParams, memory_arrays, network_kind, sums_arrays
from scalper_ml.models.base import Range

__all__ = ["FORECASTER", "MemoryParams"]


@dataclass(frozen=True, slots=True)
class MemoryParams(NetworkParams):
    """Parameters of the memory.

    Beside those of `NetworkParams`:

    Parameters
    ----------
    window : int
        Bars that one forecast sees, its own the last.
    hidden : int
        Width of a layer.
    layers : int
    """

    epochs: int = 50
    patience: int = 8
    dropout: float = 0.2
    window: int = 50
    hidden: int = 64
    layers: int = 2

    def _shape(self) -> None:
        self._whole("window", 2, 10_000)
        self._whole("hidden", 1, 1024)
        self._whole("layers", 1, 8)

    @property
    def lookback(self) -> int:
        """Rows that one forecast sees."""
        return self.window


def _build(params: MemoryParams, torch: Any, features: int, outputs: int) -> Any:
    class Memory(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            between = params.dropout if params.layers > 1 else 0.0
            self.memory = torch.nn.LSTM(features, params.hidden, params.layers, batch_first=True, dropout=between)
            self.drop = torch.nn.Dropout(params.dropout)
            self.head = torch.nn.Linear(params.hidden, outputs)

        def forward(self, windows: Any) -> Any:
            states, _ = self.memory(windows)
            return self.head(self.drop(states[:, -1]))

    return Memory()


def _export(module: Any) -> tuple[dict[str, Any], int]:
    return memory_arrays(module.memory) | sums_arrays(0, module.head), 1


FORECASTER = network_kind(
    "lstm_forecaster",
    MemoryParams,
    _build,
    _export,
    targets=("price", "return", "volatility", "open_interest"),
    summary="A long short-term memory of two layers over the last 50 bars.",
    space=(
        Range("hidden", 16, 128),
        Range("layers", 1, 3),
        Range("dropout", 0.1, 0.5),
        Range("learning_rate", 1e-4, 1e-2, log=True),
    ),
)
