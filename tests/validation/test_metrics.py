"""Classification metrics against scikit-learn, by hand, and their baselines on predictions without skill."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from scalper_ml.errors import ContractError
from scalper_ml.validation.calibration_error import ece, noise_floor, reliability
from scalper_ml.validation.metrics import (
    accuracy_by_coverage,
    balanced_accuracy,
    base_rates,
    brier,
    classification_metrics,
    confusion_matrix,
    directional_accuracy,
    log_loss,
    mcc,
)

EVEN = [1 / 3, 1 / 3, 1 / 3]


def simulated(n: int, seed: int, scale: float = 0.5):
    """Calibrated probabilities and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(n, 3)) + [0.0, 0.4, 0.0]
    P = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (rng.random(n)[:, None] > P.cumsum(axis=1)).sum(axis=1)
    return np.minimum(y, 2), P


@given(st.integers(0, 10_000))
def test_metrics_equal_scikit_learn(seed: int) -> None:
    """Accuracy, BA, F1, MCC, log loss, Brier and confusion equal scikit-learn's on random predictions."""
    y, P = simulated(200, seed)
    guess = P.argmax(axis=1)
    m = classification_metrics(y, P, EVEN, seed=1)
    assert m["accuracy"] == pytest.approx(sk.accuracy_score(y, guess), abs=1e-12)
    assert m["balanced_accuracy"]["value"] == pytest.approx(sk.balanced_accuracy_score(y, guess), abs=1e-12)
    assert m["mcc"] == pytest.approx(sk.matthews_corrcoef(y, guess), abs=1e-12)
    assert m["confusion"] == sk.confusion_matrix(y, guess, labels=[0, 1, 2]).tolist()
    f1 = sk.f1_score(y, guess, average=None, labels=[0, 1, 2], zero_division=0)
    assert [m["classes"][c]["f1"] for c in ("SHORT", "NEUTRAL", "LONG")] == pytest.approx(f1.tolist(), abs=1e-12)
    assert m["log_loss"] == pytest.approx(sk.log_loss(y, P, labels=[0, 1, 2]), abs=1e-9)
    assert m["brier"] == pytest.approx(((P - np.eye(3)[y]) ** 2).sum() / 200, abs=1e-12)


@given(st.integers(0, 1000), st.lists(st.floats(0.05, 1), min_size=3, max_size=3))
def test_base_rates_have_no_skill(seed: int, shares: list[float]) -> None:
    """Predicting the base rates has log-loss and Brier skill 0 and a BA at chance, without significance."""
    y, _ = simulated(500, seed)
    rates = np.array(shares) / sum(shares)
    m = classification_metrics(y, np.tile(rates, (500, 1)), rates)
    assert m["log_loss_skill"] == pytest.approx(0, abs=1e-12)
    assert m["brier_skill"] == pytest.approx(0, abs=1e-12)
    assert m["balanced_accuracy"]["value"] == pytest.approx(1 / 3, abs=1e-12)
    assert m["balanced_accuracy"]["p"] == 1.0
    assert m["mcc"] == 0.0
    assert m["accuracy"] == m["majority_accuracy"]


def test_calibrated_probabilities_have_skill_and_no_excess_error() -> None:
    """Probabilities the labels were drawn from have positive skill, significant BA and an ECE at its noise floor."""
    y, P = simulated(20_000, 3)
    m = classification_metrics(y, P, base_rates(y))
    assert m["log_loss_skill"] > 0.02
    assert m["brier_skill"] > 0.02
    assert m["balanced_accuracy"]["p"] < 1e-6
    low, high = m["balanced_accuracy"]["ci"]
    assert 1 / 3 < low < m["balanced_accuracy"]["value"] < high
    assert abs(m["ece_excess"]) < 0.005
    assert abs(m["ece_side_excess"]) < 0.005
    assert m["brier_side"] < 0.25


def test_overconfidence_shows_as_excess_error() -> None:
    """Sharpening calibrated probabilities raises the calibration error well above its noise floor."""
    y, P = simulated(20_000, 3)
    sharp = P**3 / (P**3).sum(axis=1, keepdims=True)
    assert classification_metrics(y, sharp, EVEN)["ece_excess"] > 0.1


def test_interval_of_balanced_accuracy_covers() -> None:
    """The 90 % interval of balanced accuracy covers the true value in about 90 % of 80 samples of chance guesses."""
    covered = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        m = classification_metrics(rng.integers(0, 3, 2_000), rng.integers(0, 3, 2_000), EVEN, alpha=0.1, seed=seed)
        low, high = m["balanced_accuracy"]["ci"]
        covered += low <= 1 / 3 <= high
    assert 0.82 <= covered / 80 <= 0.97


def test_directional_accuracy_by_hand() -> None:
    """Only predicted sides count, a flat return is wrong, and chance knows how often each side was guessed."""
    found = directional_accuracy([2, 2, 0, 1, 0], [0.1, 0.0, 0.2, -0.3, -0.1])
    assert found["da_traded"] == 2 / 4  # right, flat, wrong, not counted, right
    assert found["traded"] == 4
    assert found["traded_share"] == 0.8
    assert found["chance"] == 0.5 * 0.5 + 0.5 * 0.25
    assert directional_accuracy([1, 1], [0.1, -0.1])["da_traded"] is None


def test_accuracy_by_coverage_rises_with_confidence() -> None:
    """The accuracy-coverage curve takes the most confident rows first."""
    P = np.array([[0.1, 0.1, 0.8], [0.3, 0.3, 0.4], [0.45, 0.1, 0.45], [0.5, 0.3, 0.2]])
    curve = accuracy_by_coverage(P, [0.1, -0.1, -0.1, -0.2], (1.0, 0.5, 0.25))
    assert [point["da"] for point in curve] == [0.5, 1.0, 1.0]
    assert curve[2]["min_confidence"] == pytest.approx(0.8 / 0.9)


def test_a_class_that_never_occurs_is_none_not_zero() -> None:
    """Recall and F1 of an absent class are None, and chance is one over the classes that occur."""
    m = classification_metrics(np.tile([0, 2], 100), np.tile([0, 2], 100), EVEN)
    assert m["classes"]["NEUTRAL"]["recall"] is None
    assert m["classes"]["NEUTRAL"]["f1"] is None
    assert m["balanced_accuracy"]["chance"] == 0.5
    assert m["balanced_accuracy"]["value"] == 1.0


def test_predicted_codes_leave_out_what_needs_probabilities() -> None:
    """With predicted codes instead of probabilities the probabilistic metrics are absent."""
    m = classification_metrics([0, 1, 2] * 50, [0, 1, 1] * 50, EVEN, ret=[-1.0, 0.0, 1.0] * 50)
    assert "log_loss" not in m
    assert m["direction"]["da_traded"] == 1.0


def test_metrics_are_json_and_repeat() -> None:
    """Metrics survive JSON unchanged and are equal for equal seeds."""
    y, P = simulated(300, 1)
    first, second = (classification_metrics(y, P, EVEN, ret=P[:, 2] - 0.3, horizon=5, seed=4) for _ in range(2))
    assert json.loads(json.dumps(first, allow_nan=False)) == first == second


@pytest.mark.parametrize(
    ("y", "P", "base", "message"),
    [
        ([0, 3], np.full((2, 3), 1 / 3), EVEN, "codes 0, 1 and 2"),
        ([0, 1], np.full((3, 3), 1 / 3), EVEN, r"expected \(2, 3\)"),
        ([0, 1], np.full((2, 3), 1 / 3), [0.5, 0.5, 0.5], "sum to 1"),
        ([], np.empty((0, 3)), EVEN, "at least one"),
    ],
)
def test_malformed_input_is_refused(y, P, base, message: str) -> None:
    """Labels, probabilities and base rates of the wrong shape or range are refused by name."""
    with pytest.raises(ContractError, match=message):
        classification_metrics(y, P, base)


def test_single_metrics_by_hand() -> None:
    """Confusion, balanced accuracy, MCC, log loss and Brier on four rows worked by hand."""
    counts = confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2])
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert float(balanced_accuracy(counts)) == pytest.approx((0.5 + 1 + 1) / 3)
    assert mcc(counts) == pytest.approx((3 * 4 - 5) / (10**0.5 * 10**0.5))
    assert log_loss([0, 1], np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])) == pytest.approx(np.log(2))
    assert brier([2], np.array([[0.2, 0.2, 0.6]])) == pytest.approx(0.04 + 0.04 + 0.16)


@given(st.integers(1, 300), st.integers(0, 1000))
def test_ece_equals_a_loop(n: int, seed: int) -> None:
    """The calibration error equals a loop over equal-mass bins."""
    rng = np.random.default_rng(seed)
    p, hit = rng.random(n), rng.integers(0, 2, n)
    order = sorted(range(n), key=lambda i: p[i])
    edges = [b * n // 15 for b in range(16)]
    expected = 0.0
    for low, high in itertools.pairwise(edges):
        expected += abs(sum(hit[i] - p[i] for i in order[low:high])) / n
    assert ece(p, hit) == pytest.approx(expected, abs=1e-12)
    assert sum(reliability(p, hit)["rows"]) == n


def test_noise_floor_is_the_error_of_calibrated_probabilities() -> None:
    """The floor equals the mean error over fresh calibrated outcomes, and grows as sqrt(h) for labels of h rows."""
    rng = np.random.default_rng(6)
    p = rng.uniform(0.35, 0.65, 6_000)
    fresh = np.mean([ece(p, rng.random(6_000) < p) for _ in range(100)])
    assert noise_floor(p, seed=1) == pytest.approx(fresh, rel=0.08)
    ordered = np.sort(p)  # neighbours share a bin, so dependence is felt in full
    assert noise_floor(ordered, seed=1, horizon=16) == pytest.approx(4 * noise_floor(ordered, seed=1), rel=0.15)
