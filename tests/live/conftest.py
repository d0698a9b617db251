"""The project that the tests of the loop share."""

from pathlib import Path

import pytest
from liveproject import build

from scalper_ml.project import Project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One coin whose edge pays at horizon 3; read only."""
    return build(Path(tmp_path_factory.mktemp("live")))
