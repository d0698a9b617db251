"""How kernels are compiled: what an edit makes stale, and what the short cuts keep."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalper_ml import kernel as compiling
from scalper_ml.kernel import brief_kernel, direct, kernel, sources_digest

MARK = "from scalper_ml.kernel import kernel\n"


@brief_kernel
def add_up(x: Any, step: Any) -> Any:
    x[0] += step
    return x[0]


@kernel
def twice(x: Any) -> Any:
    return 2 * x


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three files of kernels that import each other in a row, one beside them, and one without kernels between."""
    monkeypatch.setattr(compiling, "_PACKAGE", tmp_path)
    (tmp_path / "kernel.py").write_text("")
    (tmp_path / "base.py").write_text(MARK)
    (tmp_path / "between.py").write_text("from scalper_ml.base import (\n    one,\n    two,\n)\n")
    (tmp_path / "top.py").write_text(MARK + "from scalper_ml import between\n")
    (tmp_path / "beside.py").write_text(MARK)
    return tmp_path


def digests(package: Path) -> dict[str, str]:
    compiling._imported.cache_clear()
    compiling._of_kernels.cache_clear()
    return {name: sources_digest(package / f"{name}.py") for name in ("base", "top", "beside")}


def changed(package: Path, name: str) -> set[str]:
    before = digests(package)
    path = package / f"{name}.py"
    path.write_text(path.read_text() + "# edited\n")
    after = digests(package)
    return {one for one in before if before[one] != after[one]}


def test_an_edit_makes_stale_what_depends_on_it_and_nothing_else(package: Path) -> None:
    """A file of kernels takes along all that import it, directly or not; a file without kernels takes nothing."""
    assert changed(package, "base") == {"base", "top"}
    assert changed(package, "top") == {"top"}
    assert changed(package, "beside") == {"beside"}
    assert changed(package, "between") == set()
    assert changed(package, "kernel") == {"base", "top", "beside"}


def test_machine_code_called_directly_does_what_the_kernel_does() -> None:
    """Arrays are changed in place, whole numbers become floats, and what is no number is refused."""
    entry = direct(add_up, np.zeros(1), 0.0)
    x = np.array([1.5])
    assert entry(x, 2) == 3.5
    assert x.tolist() == [3.5]
    with pytest.raises(TypeError):
        entry(x, None)
    assert direct(twice, 1)(21) == twice(21) == 42
