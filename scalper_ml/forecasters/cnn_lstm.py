"""A convolution over neighbouring bars, and a long short-term memory over what it finds; one a coin."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from scalper_ml.forecasters.torch_training import NetworkParams, memory_arrays, network_kind, sums_arrays
from scalper_ml.models.base import Range

__all__ = ["FORECASTER", "ConvolutionParams"]


@dataclass(frozen=True, slots=True)
class ConvolutionParams(NetworkParams):
    """Parameters of the network.

    Beside those of `NetworkParams`:

    Parameters
    ----------
    window : int
        Bars that one forecast sees, its own the last; ``window - width + 1`` is even.
    filters, width : int
        Of the convolution: how many, and over how many bars; of its output every two bars are pooled to one.
    hidden : int
        Width of the memory.
    """

    epochs: int = 50
    patience: int = 50
    dropout: float = 0.2
    window: int = 32
    filters: int = 32
    width: int = 3
    hidden: int = 64

    def _shape(self) -> None:
        self._whole("width", 1, 100)
        self._whole("window", self.width + 1, 10_000)
        self._whole("filters", 1, 1024)
        self._whole("hidden", 1, 1024)

    @property
    def lookback(self) -> int:
        """Rows that one forecast sees: the window, or one more where pairs need it."""
        return self.window + (self.window - self.width + 1) % _POOL


_POOL = 2


def _build(params: ConvolutionParams, torch: Any, features: int, outputs: int) -> Any:
    class ConvolvedMemory(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.convolution = torch.nn.Conv1d(features, params.filters, params.width)
            self.memory = torch.nn.LSTM(params.filters, params.hidden, batch_first=True)
            self.drop = torch.nn.Dropout(params.dropout)
            self.head = torch.nn.Linear(params.hidden, outputs)

        def forward(self, windows: Any) -> Any:
            found = torch.relu(self.convolution(windows.transpose(1, 2)))
            pooled = torch.nn.functional.max_pool1d(found, _POOL)
            states, _ = self.memory(self.drop(pooled.transpose(1, 2)))
            return self.head(self.drop(states[:, -1]))

    return ConvolvedMemory()


def _export(module: Any) -> tuple[dict[str, Any], int]:
    W = module.convolution.weight.detach().numpy().astype(np.float64).transpose(2, 1, 0)
    b = module.convolution.bias.detach().numpy().astype(np.float64)
    return {"conv_W": W, "conv_b": b} | memory_arrays(module.memory) | sums_arrays(0, module.head), _POOL


FORECASTER = network_kind(
    "cnn_lstm",
    ConvolutionParams,
    _build,
    _export,
    targets=("direction", "return", "momentum"),
    summary="A convolution and a long short-term memory, one network a coin.",
    space=(
        Range("filters", 16, 64),
        Range("hidden", 16, 128),
        Range("dropout", 0.1, 0.5),
        Range("learning_rate", 1e-4, 1e-2, log=True),
    ),
)
