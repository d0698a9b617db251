"""Networks: what torch fitted and what the arrays say; skipped where torch is not installed."""

import numpy as np
import pytest
from forecastdata import market

from scalper_ml.errors import ContractError
from scalper_ml.forecasters import torch_training
from scalper_ml.forecasters.base import Forecaster, Sample
from scalper_ml.forecasters.registry import forecaster_kind
from scalper_ml.models.base import FitContext

torch = pytest.importorskip("torch")

SMALL = {
    "nn_regressor": {"epochs": 2, "layers": 3, "width": 16, "dropout": 0.3},
    "lstm_forecaster": {"epochs": 1, "window": 7, "hidden": 5},
    "cnn_lstm": {"epochs": 1, "window": 8, "filters": 6, "hidden": 5},
}


def sample(rows: np.ndarray, lookback: int) -> Sample:
    X = market(900).X / market(900).X.std(axis=0)
    y = market(900).targets["ret"].to_numpy()
    at = rows[rows >= lookback - 1]
    return Sample(X, at, y[at] / y.std(), np.ones(at.size))


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("classes", [0, 2])
def test_arrays_say_what_the_module_says(kind: str, classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network as arrays agrees with torch's own module in evaluation to single precision."""
    kept, fit = [], torch_training.fit_network

    def kept_fit(name: str, build, export, *more) -> Forecaster:
        return fit(name, build, lambda module: (kept.append(module), export(module))[1], *more)

    monkeypatch.setattr(torch_training, "fit_network", kept_fit)
    params = forecaster_kind(kind).params.parse(SMALL[kind])
    learn, stop = sample(np.arange(500), params.lookback), sample(np.arange(600, 700), params.lookback)
    if classes:
        learn, stop = (Sample(s.X, s.at, (s.y > 0).astype(float), s.weight) for s in (learn, stop))
    fitted = forecaster_kind(kind).fit(learn, stop, params, FitContext(3, 1), classes)
    windows = np.stack([learn.X[end - params.lookback + 1 : end + 1] for end in stop.at])
    with torch.no_grad():
        own = kept[0](torch.from_numpy(windows.astype(np.float32)))
        own = torch.softmax(own, dim=1).numpy() if classes else own[:, 0].numpy()
    np.testing.assert_allclose(fitted.predict(learn.X, stop.at), own, rtol=0, atol=2e-6)


def test_a_window_sees_no_row_outside_it() -> None:
    """What lies before a window's first row or after its last changes no bit of its forecast."""
    for kind, how in SMALL.items():
        params = forecaster_kind(kind).params.parse(how)
        fitted = forecaster_kind(kind).fit(
            sample(np.arange(300), params.lookback), sample(np.arange(300, 400), params.lookback), params,
            FitContext(3, 1), 0,
        )  # fmt: skip
        X, end = market(900).X.copy(), 50
        before = fitted.predict(X, np.array([end]))
        X[: end - params.lookback + 1] = 1e3
        X[end + 1 :] = -1e3
        assert np.array_equal(fitted.predict(X, np.array([end])), before), kind


def test_the_best_epoch_is_kept() -> None:
    """The epoch kept is the one of least loss on the rows to stop on, and the fit ends after its patience."""
    params = forecaster_kind("nn_regressor").params.parse(
        {"epochs": 60, "patience": 3, "width": 32, "layers": 2, "learning_rate": 0.01, "dropout": 0.0}
    )
    fitted = forecaster_kind("nn_regressor").fit(
        sample(np.arange(300), 1), sample(np.arange(300, 400), 1), params, FitContext(3, 1), 0
    )
    assert fitted.best_iteration == int(np.argmin(fitted.curve))
    assert len(fitted.curve) - 1 - fitted.best_iteration == 3 < 60 - 1


def test_a_fit_that_explodes_is_refused() -> None:
    """A loss that is no number ends the fit, named: the weights before it are nothing to be kept."""
    params, learn = forecaster_kind("nn_regressor").params.parse(SMALL["nn_regressor"]), sample(np.arange(300), 1)
    stop = sample(np.arange(300, 400), 1)
    stop.y[0] = np.inf
    with pytest.raises(ContractError, match=r"nn_regressor: the loss of epoch 0 is (inf|nan)"):
        forecaster_kind("nn_regressor").fit(learn, stop, params, FitContext(3, 1), 0)


@pytest.mark.verify
def test_networks_find_the_planted_signal() -> None:
    """The network of layers finds what drives the next return: R2 above 0 by its interval, the noise left alone."""
    trained = market(2_000).train("nn_regressor", forecaster_kind("nn_regressor").params.parse({"epochs": 15}))
    assert trained.manifest["metrics"]["select"]["r2"]["ci"][0] > 0
    share = trained.manifest["importance"]["all"]
    assert share["direction"] > 0.6
