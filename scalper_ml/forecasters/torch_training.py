"""Networks fitted by torch, in one thread and from one seed; what is kept of them are arrays (`networks`).

torch is an optional extra and is imported by a fit, never before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from scalper_ml.errors import ContractError
from scalper_ml.forecasters.base import Forecaster, ForecasterKind, ForecastParams, Sample
from scalper_ml.forecasters.devices import require_torch
from scalper_ml.forecasters.networks import Network, load_network
from scalper_ml.models.base import FitContext, Range

__all__ = ["NetworkParams", "fit_network", "memory_arrays", "network_kind", "sums_arrays"]


@dataclass(frozen=True, slots=True)
class NetworkParams(ForecastParams):
    """Parameters that all networks have.

    Parameters
    ----------
    epochs : int
        Most passes over the rows.
    patience : int
        Stop after this many epochs without a lower loss on the inner tail of train.
    batch_size : int
    learning_rate : float
        Halved after a quarter of `patience` epochs without a lower loss (ReduceLROnPlateau).
    weight_decay : float
    dropout : float
    """

    epochs: int = 200
    patience: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    dropout: float = 0.3

    def __post_init__(self) -> None:
        self._whole("epochs", 1, 10_000)
        self._whole("patience", 1, 10_000)
        self._whole("batch_size", 2, 1_000_000)
        self._number("learning_rate", 0.0, 1.0, above=True)
        self._number("weight_decay", 0.0, 1.0)
        self._number("dropout", 0.0, 0.9)
        self._shape()

    def _shape(self) -> None:
        """Refuse networks of an impossible shape."""


def network_kind(
    name: str,
    params: type[NetworkParams],
    build: Callable[[Any, Any, int, int], Any],
    export: Callable[[Any], tuple[dict[str, Any], int]],
    *,
    targets: tuple[str, ...],
    summary: str,
    space: tuple[Range, ...],
) -> ForecasterKind:
    """A kind whose forecasters are networks: fitted by `fit_network`, read back by `load_network`.

    Parameters
    ----------
    build : callable
        ``build(params, torch, features, outputs)`` gives the module.
    export : callable
        As for `fit_network`.
    name, params, targets, summary, space
        As of `ForecasterKind`.
    """

    def fit(learn: Sample, stop: Sample, own: Any, context: FitContext, classes: int) -> Forecaster:
        return fit_network(name, partial(build, own), export, learn, stop, own, context, classes)

    return ForecasterKind(
        name,
        params,
        fit,
        load_network,
        targets=targets,
        extra="torch",
        summary=summary,
        space=space,
        devices=("cpu", "cuda"),
    )


def fit_network(
    kind: str,
    build: Any,
    export: Any,
    learn: Sample,
    stop: Sample,
    params: NetworkParams,
    context: FitContext,
    classes: int,
) -> Forecaster:
    """Fit until the loss on `stop` has not fallen for `patience` epochs, and keep the best epoch.

    Parameters
    ----------
    build : callable
        ``build(torch, features, outputs)`` gives the module: windows (m, lookback, f) in, (m, outputs) out.
    export : callable
        ``export(module)`` gives the arrays of `Network` but for ``shape``, which begins with (lookback, pool).

    Raises
    ------
    ContractError
        The loss became infinite or undefined.
    """
    require_torch(kind)
    import torch

    torch.set_num_threads(1)  # two teams of threads on busy cores are tenfold slower; runs parallel by process
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(context.seed)
    device = torch.device(context.device)
    rows, tail = (_Part(torch, sample, params.lookback, device, classes) for sample in (learn, stop))
    module = build(torch, learn.X.shape[1], classes or 1).to(device)
    adam = torch.optim.AdamW(module.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, factor=0.5, patience=max(params.patience // 4, 1))
    order = torch.Generator().manual_seed(context.seed)
    curve: list[float] = []
    best, kept = float("inf"), {name: value.clone() for name, value in module.state_dict().items()}
    for epoch in range(params.epochs):
        module.train()
        shuffled = torch.randperm(rows.size, generator=order)
        for begin in range(0, rows.size, params.batch_size):
            chosen = shuffled[begin : begin + params.batch_size]
            if len(chosen) < 2:  # one row has no variance to normalise by
                continue
            adam.zero_grad(set_to_none=True)
            rows.loss(module, chosen).backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            adam.step()
        curve.append(_loss_of(torch, module, tail))
        if not np.isfinite(curve[-1]):
            raise ContractError(
                f"training {kind}: the loss of epoch {epoch} is {curve[-1]}; expected a number - lower learning_rate "
                f"(now {params.learning_rate:g}) or look for extreme inputs"
            )
        plateau.step(curve[-1])
        if context.watch is not None:
            context.watch(epoch, curve[-1])
        if curve[-1] < best:
            best, kept = curve[-1], {name: value.clone() for name, value in module.state_dict().items()}
        elif epoch - int(np.argmin(curve)) >= params.patience:
            break
    module.load_state_dict(kept)
    module.eval()
    arrays, pool = export(module.cpu())
    shape = np.array([params.lookback, pool, classes, int(np.argmin(curve))], dtype=np.int64)
    return Network({"shape": shape, **arrays}, tuple(curve))


class _Part:
    """Rows on their device, and windows of them gathered a batch at a time out of one strided view."""

    def __init__(self, torch: Any, sample: Sample, lookback: int, device: Any, classes: int) -> None:
        X = torch.from_numpy(np.ascontiguousarray(sample.X, dtype=np.float32)).to(device)
        self._windows = X.unfold(0, lookback, 1)  # (n - lookback + 1, f, lookback), a view
        self._first = torch.from_numpy(sample.at - lookback + 1).to(device)
        self._weight = torch.from_numpy(sample.weight.astype(np.float32)).to(device)
        dtype = np.int64 if classes else np.float32
        self._y = torch.from_numpy(sample.y.astype(dtype)).to(device)
        self._losses = torch.nn.functional.cross_entropy if classes else torch.nn.functional.smooth_l1_loss
        self._classes = classes
        self.size = sample.at.size

    def loss(self, module: Any, chosen: Any) -> Any:
        """Weighted mean loss of some rows: cross entropy, or squared errors that grow linearly beyond one."""
        at = chosen.to(self._first.device)
        said = module(self._windows[self._first[at]].transpose(1, 2))
        each = self._losses(said if self._classes else said[:, 0], self._y[at], reduction="none")
        return (each * self._weight[at]).sum() / self._weight[at].sum()

    def weight(self, chosen: Any) -> float:
        """Weight of some rows."""
        return float(self._weight[chosen.to(self._weight.device)].sum())


def _loss_of(torch: Any, module: Any, part: _Part) -> float:
    module.eval()
    total = weight = 0.0
    with torch.no_grad():
        for chosen in torch.arange(part.size).split(2048):
            mine = part.weight(chosen)
            total, weight = total + float(part.loss(module, chosen)) * mine, weight + mine
    return total / weight


def memory_arrays(memory: Any) -> dict[str, Any]:
    """Weights of a torch LSTM as `Network` takes them."""
    layers = memory.num_layers
    found: dict[str, list[Any]] = {"W_x": [], "W_h": [], "b": []}
    wide = max(memory.input_size, memory.hidden_size)
    for layer in range(layers):
        W_x = getattr(memory, f"weight_ih_l{layer}").detach().numpy().T.astype(np.float64)
        found["W_x"].append(np.pad(W_x, ((0, wide - len(W_x)), (0, 0))))
        found["W_h"].append(getattr(memory, f"weight_hh_l{layer}").detach().numpy().T.astype(np.float64))
        biases = (getattr(memory, f"bias_{side}_l{layer}").detach().numpy() for side in ("ih", "hh"))
        found["b"].append(sum(bias.astype(np.float64) for bias in biases))
    return {f"memory_{name}": np.stack(values) for name, values in found.items()}


def sums_arrays(place: int, linear: Any, norm: Any = None) -> dict[str, Any]:
    """Weights of a torch linear layer, the batch normalisation after it folded in."""
    W, b = (value.detach().numpy().astype(np.float64) for value in (linear.weight, linear.bias))
    if norm is not None:
        mean, var = (value.detach().numpy().astype(np.float64) for value in (norm.running_mean, norm.running_var))
        gain = norm.weight.detach().numpy().astype(np.float64) / np.sqrt(var + norm.eps)
        W, b = W * gain[:, None], (b - mean) * gain + norm.bias.detach().numpy().astype(np.float64)
    return {f"head_{place}_W": W.T, f"head_{place}_b": b}
