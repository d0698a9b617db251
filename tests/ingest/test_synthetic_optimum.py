"""The closed-form optimum: published values, independent integration, and the edges."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, stats

from scalper_ml.errors import ContractError
from scalper_ml.ingest.optimum import level_a_optimum

# rho, phi, then (DA, R2, BA3) for horizons 1, 5 and 15; the BA3 of longer horizons were published
# with Gauss-Hermite nodes, which miss the kinks of max P by up to 2e-4
TABLE = [
    (0.10, 0.90, {1: (0.5319, 0.0100, 0.3638), 5: (0.5577, 0.0325, 0.3888), 15: (0.5631, 0.0388, 0.3940)}),
    (0.05, 0.95, {1: (0.5159, 0.0025, 0.3485), 5: (0.5321, 0.0101, 0.3640), 15: (0.5437, 0.0187, 0.3752)}),
    (0.15, 0.80, {1: (0.5479, 0.0225, 0.3793), 5: (0.5703, 0.0480, 0.4011), 15: (0.5564, 0.0311, 0.3875)}),
]


@pytest.mark.parametrize(("rho", "phi", "rows"), TABLE)
def test_published_values(rho: float, phi: float, rows: dict[int, tuple[float, float, float]]) -> None:
    """Direction and R2 are the published table to its four digits; balanced accuracy to 2.5e-4."""
    for horizon, (da, r2, ba3) in rows.items():
        best = level_a_optimum(rho, phi, horizon)
        assert (round(best.da, 4), round(best.r2, 4)) == (da, r2)
        assert best.ba3 == pytest.approx(ba3, abs=2.5e-4)


@pytest.mark.parametrize(
    ("rho", "phi", "horizon", "k"), [(0.1, 0.9, 5, 0.5), (0.3, 0.5, 3, 0.25), (0.15, 0.8, 15, 1.0)]
)
def test_classes_equal_adaptive_integration(rho: float, phi: float, horizon: int, k: float) -> None:
    """Accuracy and balanced accuracy are what adaptive quadrature over the signal gives, kinks and all."""
    best = level_a_optimum(rho, phi, horizon, deadband_k=k)
    gain = rho * sum(phi**j for j in range(horizon))
    sd = np.sqrt(best.sd**2 - gain**2)

    def classes(a: float) -> np.ndarray:
        short = stats.norm.cdf((-k * best.sd - gain * a) / sd)
        long = stats.norm.sf((k * best.sd - gain * a) / sd)
        return np.array([short, 1 - short - long, long])

    prior = np.array([stats.norm.sf(k), 1 - 2 * stats.norm.sf(k), stats.norm.sf(k)])
    pieces = np.linspace(-9, 9, 37)

    def mean_of(best_of: np.ndarray) -> float:
        return sum(
            integrate.quad(lambda a: stats.norm.pdf(a) * np.max(classes(a) / best_of), low, high, limit=200)[0]
            for low, high in pairwise(pieces)
        )

    assert best.accuracy3 == pytest.approx(mean_of(np.ones(3)), abs=1e-6)
    assert best.ba3 == pytest.approx(mean_of(prior) / 3, abs=1e-6)
    assert best.prior_neutral == pytest.approx(prior[1], abs=1e-9)


@pytest.mark.parametrize(("rho", "phi", "horizon"), [(0.3, 0.8, 4), (0.2, 0.0, 3), (0.4, -0.5, 2)])
def test_moments_equal_a_simulated_market(rho: float, phi: float, horizon: int) -> None:
    """The gain, spread and direction of h-bar returns agree with a million simulated ones."""
    rng = np.random.default_rng(3)
    n = 1_000_000
    signal = rng.standard_normal(n)
    first, total = signal, np.zeros(n)
    for _ in range(horizon):
        total += rho * signal + np.sqrt(1 - rho**2) * rng.standard_normal(n)
        signal = phi * signal + np.sqrt(1 - phi**2) * rng.standard_normal(n)
    best = level_a_optimum(rho, phi, horizon)
    assert total.std() == pytest.approx(best.sd, rel=0.005)
    assert np.corrcoef(first, total)[0, 1] ** 2 == pytest.approx(best.r2, abs=0.004)
    assert np.mean(np.sign(first) == np.sign(total)) == pytest.approx(best.da, abs=4 * 0.5 / np.sqrt(n))


def test_no_edge_no_skill() -> None:
    """Without correlation every figure is chance."""
    best = level_a_optimum(0.0, 0.9, 5)
    assert (best.da, best.r2) == (0.5, 0.0)
    assert best.ba3 == pytest.approx(1 / 3, abs=1e-9)
    assert best.sd == pytest.approx(np.sqrt(5))


@pytest.mark.parametrize("values", [(1.0, 0.9, 1), (0.1, 1.0, 1), (0.1, 0.9, 0)])
def test_values_outside_the_model_are_refused(values: tuple[float, float, int]) -> None:
    """A correlation of one and a horizon of none are contract errors."""
    with pytest.raises(ContractError, match="expected"):
        level_a_optimum(*values)
