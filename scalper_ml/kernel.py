"""The one way kernels are compiled.

numba's on-disk cache is keyed by the file a function lives in, so it serves stale machine code
when a *callee in another file* changes. The cache folder is therefore named by a digest of every
kernel source of the package, the Python version and the numba version: change one kernel and all
are compiled anew, once.
"""

import hashlib
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np

_config: Any = numba.config  # its names are set at run time
_compile: Any = numba.njit
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": False}

__all__ = ["cache_folder", "in_place", "inlined", "kernel", "sources_digest", "view_kernel"]

_MARK = b"from scalper_ml.kernel import"


def sources_digest(package: Path | None = None) -> str:
    """First 16 hex digits of the sha256 over all kernel sources below `package`."""
    package = package or Path(__file__).parent
    digest = hashlib.sha256(f"{sys.version_info[:3]} {numba.__version__}".encode())
    for path in sorted(package.rglob("*.py")):
        text = path.read_bytes()
        if _MARK in text or path.name == "kernel.py":
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(text)
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels are kept: below ``NUMBA_CACHE_DIR`` if set, else the user's cache folder."""
    root = Path(_config.CACHE_DIR) if _config.CACHE_DIR else Path.home() / ".cache" / "scalper_ml"
    return root / sources_digest()


_FOLDER = cache_folder()
_config.CACHE_DIR = str(_FOLDER)


def kernel(function: Any) -> Any:
    """Compile `function` with numba: cached on disk, GIL released, IEEE arithmetic, numpy division.

    ``fastmath`` is never used: it removes NaN tests and changes bits between machines.
    """
    return _compile(**_OPTIONS)(function)


def view_kernel(function: Any) -> Any:
    """A kernel that makes views of the arrays it is given and no array of its own; only kernels can call it.

    It is compiled without reference counting, because numba counts every view with a call when it is made and another
    when it is dropped, and without the wrapper that Python would call it by, which takes time to compile.
    """
    return _compile(_nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(function)


def inlined(function: Any) -> Any:
    """A `view_kernel` always compiled into its callers: it runs once a row, where a call would cost more than it."""
    compiled = view_kernel(function)
    compiled.targetoptions["forceinline"] = True
    return compiled


class _Lent:
    """Memory of a read-only array that says it can be written to, and keeps the array alive."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, owner: np.ndarray) -> None:
        self.owner = owner
        self.__array_interface__ = owner.__array_interface__ | {"data": (owner.ctypes.data, False)}


def in_place(column: np.ndarray, dtype: type) -> np.ndarray:
    """The column, contiguous and of its type, in the one form the kernels are compiled for; a copy only if it must.

    Columns of arrow tables are read-only: numba would compile the kernels, which write to no column, a second time.
    """
    array: np.ndarray = np.ascontiguousarray(column, dtype=dtype)
    return array if array.flags.writeable else np.asarray(_Lent(array))
