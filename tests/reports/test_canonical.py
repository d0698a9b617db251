"""One spelling of every published JSON document."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalper_ml.errors import ContractError
from scalper_ml.reports.canonical import content_id, published_json

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=5))
def test_documents_survive_the_round_trip_and_key_order_does_not_matter(document):
    """Parsing gives back the document; keys in another order give the same bytes and id."""
    data = published_json(document)
    assert json.loads(data) == document
    backwards = dict(reversed(document.items()))
    assert published_json(backwards) == data
    assert content_id(backwards) == content_id(document)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_json_has_no_word_for_is_refused(value):
    """NaN, infinities, objects and sets are contract errors."""
    with pytest.raises(ContractError, match="JSON document"):
        published_json({"a": value})
