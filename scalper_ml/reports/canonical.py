"""One spelling of every JSON document the platform publishes."""

import hashlib
import json
from typing import Any

from scalper_ml.errors import ContractError

__all__ = ["canonical_json", "content_id"]


def canonical_json(document: Any) -> bytes:
    """UTF-8 JSON with sorted keys, two-space indent and a final newline: equal documents, equal bytes.

    Raises
    ------
    ContractError
        The document holds NaN or an infinity, or something JSON has no word for.

    Examples
    --------
    >>> canonical_json({"b": None, "a": 0.5})
    b'{\\n  "a": 0.5,\\n  "b": null\\n}\\n'
    """
    try:
        text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractError(f"JSON document: {error}; expected finite numbers, text, lists, maps and null") from error
    return text.encode() + b"\n"


def content_id(document: Any) -> str:
    """First 16 hex digits of the sha256 of the canonical bytes."""
    return hashlib.sha256(canonical_json(document)).hexdigest()[:16]
