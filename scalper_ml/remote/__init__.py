"""Where files come from: a location becomes local files that `scalper_ml.ingest` reads."""

from scalper_ml.remote.files import Earlier, Published, SourceFile
from scalper_ml.remote.retry import Pace, RetryPolicy
from scalper_ml.remote.sources import fetch, is_remote, list_location

__all__ = ["Earlier", "Pace", "Published", "RetryPolicy", "SourceFile", "fetch", "is_remote", "list_location"]
