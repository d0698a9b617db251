"""Area under the ROC curve: by hand, by counting pairs, undefined without both outcomes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from scalper_ml.errors import ContractError
from scalper_ml.validation.ranking import roc_auc


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_it_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    """The share of pairs of a hit and a miss in which the hit scores higher, ties half; as scikit-learn has it."""
    p, hit = np.array([one for one, _ in rows], dtype=float), np.array([one for _, one in rows])
    if hit.all() or not hit.any():
        assert roc_auc(p, hit) is None
        return
    pairs = [(a > b) + 0.5 * (a == b) for a in p[hit] for b in p[~hit]]
    assert roc_auc(p, hit) == pytest.approx(np.mean(pairs))
    assert roc_auc(p, hit) == pytest.approx(roc_auc_score(hit, p))


def test_shapes_must_agree() -> None:
    """Scores and outcomes of different lengths are refused."""
    with pytest.raises(ContractError, match="one of each a row"):
        roc_auc([0.1, 0.2], [1])
