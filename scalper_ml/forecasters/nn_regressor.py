"""A network of layers of sums on a number: batch normalisation, dropout, a rate that falls on plateaus."""

from dataclasses import dataclass
from typing import Any

from scalper_ml.errors import SettingsError
from scalper_ml.forecasters.torch_training import NetworkParams, network_kind, sums_arrays
from scalper_ml.models.base import Range

__all__ = ["FORECASTER", "SPACE", "LayersParams", "build", "export"]


@dataclass(frozen=True, slots=True)
class LayersParams(NetworkParams):
    """Parameters of the network.

    Beside those of `NetworkParams`:

    Parameters
    ----------
    layers, width : int
        Hidden layers, the first `width` wide, each further one half of the one before: [128, 64, 32].

    Examples
    --------
    >>> LayersParams().widths
    (128, 64, 32)
    """

    layers: int = 3
    width: int = 128

    def _shape(self) -> None:
        self._whole("layers", 1, 8)
        self._whole("width", 2, 4096)
        if self.widths[-1] < 1:
            raise SettingsError(f"LayersParams: {self.layers} layers from a width of {self.width} end in nothing")

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each hidden layer."""
        return tuple(self.width >> place for place in range(self.layers))


def build(params: LayersParams, torch: Any, features: int, outputs: int) -> Any:
    """Layers of sums, each normalised, rectified and thinned out, and one of outputs."""
    parts, wide = [torch.nn.Flatten()], features
    for width in params.widths:
        parts += [torch.nn.Linear(wide, width), torch.nn.BatchNorm1d(width), torch.nn.ReLU()]
        parts += [torch.nn.Dropout(params.dropout)]
        wide = width
    return torch.nn.Sequential(*parts, torch.nn.Linear(wide, outputs))


def export(module: Any) -> tuple[dict[str, Any], int]:
    """The arrays of a fitted module, normalisation folded into the sums."""
    layers = list(module)
    linear = [place for place, layer in enumerate(layers) if hasattr(layer, "in_features")]
    found: dict[str, Any] = {}
    for number, place in enumerate(linear):
        last = place == linear[-1]
        found |= sums_arrays(number, layers[place], None if last else layers[place + 1])
    return found, 1


SPACE = (
    Range("layers", 2, 4),
    Range("width", 32, 256),
    Range("dropout", 0.1, 0.5),
    Range("learning_rate", 1e-4, 1e-2, log=True),
)

FORECASTER = network_kind(
    "nn_regressor",
    LayersParams,
    build,
    export,
    targets=("return", "price", "risk", "volatility"),
    summary="A network [128, 64, 32] with batch normalisation and dropout on a number.",
    space=SPACE,
)
