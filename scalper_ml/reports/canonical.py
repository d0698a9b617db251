"""One spelling of every JSON document the platform publishes."""

from typing import Any

from scalper_ml.durable import canonical_json, sha256_of

__all__ = ["content_id", "published_json"]


def published_json(document: Any) -> bytes:
    """`canonical_json` for people as well: UTF-8 with two-space indent and a final newline.

    Examples
    --------
    >>> published_json({"b": None, "a": 0.5})
    b'{\\n  "a": 0.5,\\n  "b": null\\n}\\n'
    """
    return canonical_json(document, indent=2, escape=False) + b"\n"


def content_id(document: Any) -> str:
    """First 16 hex digits of the sha256 of the published bytes."""
    return sha256_of(published_json(document))[:16]
