"""The one way kernels are compiled.

numba's on-disk cache is keyed by the file a function lives in, so it serves stale machine code
when a *callee in another file* changes. The cache folder of a file of kernels is therefore named by a
digest of that file, of every file of kernels it imports, directly or not, of the Python version and of
the numba version: what an edit can change is compiled anew, once, and nothing else.
"""

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba
import numpy as np

_config: Any = numba.config  # its names are set at run time
_compile: Any = numba.njit
_type_of: Any = numba.typeof
_core: Any = numba.core
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": False}
_NO_COUNTING: dict[str, Any] = _OPTIONS | {"_nrt": False}

__all__ = [
    "brief_kernel",
    "cache_folder",
    "compile_for",
    "direct",
    "in_place",
    "inlined",
    "kernel",
    "lean_kernel",
    "sources_digest",
    "spliced",
    "view_kernel",
]

_PACKAGE = Path(__file__).parent
_ROOT = Path(_config.CACHE_DIR) if _config.CACHE_DIR else Path.home() / ".cache" / "scalper_ml"
_MARK = b"from scalper_ml.kernel import"
_IMPORT = re.compile(rb"^from scalper_ml([\w.]*) import (\([^)]*\)|.*)", re.MULTILINE)


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    """Files of the package that a file imports from."""
    found = []
    for module, names in _IMPORT.findall(path.read_bytes()):
        place = _PACKAGE.joinpath(*module.decode().split("."))
        modules = [place / name for name in re.findall(r"\w+", names.decode())] if place.is_dir() else [place]
        found += [one.with_suffix(".py") for one in modules]
    return tuple(one for one in found if one.is_file())


def _sources(path: Path) -> Iterator[Path]:
    """A file and all files of the package it depends on, itself first."""
    seen, waiting = {path}, [path]
    while waiting:
        yield (one := waiting.pop())
        new = set(_imported(one)) - seen
        seen |= new
        waiting += sorted(new)


def sources_digest(path: Path) -> str:
    """First 16 hex digits of the sha256 over a file of kernels and all files of kernels it depends on."""
    digest = hashlib.sha256(f"{sys.version_info[:3]} {numba.__version__}".encode())
    for one in sorted({_PACKAGE / "kernel.py", *_sources(path)}):
        digest.update(_of_kernels(one))
    return digest.hexdigest()[:16]


@cache
def _of_kernels(path: Path) -> bytes:
    """Digest of a file if it has kernels, else nothing."""
    text = path.read_bytes()
    marked = _MARK in text or path.name == "kernel.py"
    return hashlib.sha256(path.name.encode() + text).digest() if marked else b""


@cache
def cache_folder(path: Path) -> Path:
    """Where the compiled kernels of a file are kept: below ``NUMBA_CACHE_DIR`` or the user's cache folder."""
    return _ROOT / sources_digest(path)


def _compiled(function: Any, **options: Any) -> Any:
    before, _config.CACHE_DIR = _config.CACHE_DIR, str(cache_folder(Path(function.__code__.co_filename)))
    try:
        compiled = _compile(**options)(function)
    finally:
        _config.CACHE_DIR = before
    compiled._cache.load_overload = partial(_load, compiled._cache)
    return compiled


def _load(kept: Any, signature: Any, context: Any) -> Any:
    """Machine code from numba's cache, or None, without what numba imports before: all that compiling needs.

    That is half of the start of a live process, which compiles nothing. Whoever compiles imports it all the same.
    """
    _core.runtime.rtsys.initialize(context)
    with kept._guard_against_spurious_io_errors():
        return kept._load_overload(signature, context)


def kernel(function: Any) -> Any:
    """Compile `function` with numba: cached on disk, GIL released, IEEE arithmetic, numpy division.

    ``fastmath`` is never used: it removes NaN tests and changes bits between machines.
    """
    return _compiled(function, **_OPTIONS)


def lean_kernel(function: Any) -> Any:
    """A kernel that makes views of the arrays it is given and no array of its own.

    It is compiled without reference counting, because numba counts every array handed over, and every view, with a
    call when it comes and another when it goes.
    """
    return _compiled(function, **_NO_COUNTING)


def brief_kernel(function: Any) -> Any:
    """A `lean_kernel` over before another thread could make use of the interpreter: it does not let go of it."""
    return _compiled(function, **_NO_COUNTING | {"nogil": False})


def view_kernel(function: Any) -> Any:
    """A `lean_kernel` that only kernels can call: without the wrapper for Python, which takes time to compile."""
    return _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, **_NO_COUNTING)


def inlined(function: Any) -> Any:
    """A `view_kernel` always compiled into its callers.

    For what runs once a row, or has one caller: handing over an array takes seven words, and a single row feels it.
    """
    compiled = view_kernel(function)
    compiled.targetoptions["forceinline"] = True
    return compiled


def spliced(function: Any) -> Any:
    """A `view_kernel` that is written out in its only caller before that is compiled: a large one is compiled once."""
    return _compiled(function, inline="always", **_NO_COUNTING)


def compile_for(compiled: Any, *examples: Any) -> tuple[Any, ...]:
    """Compile a kernel for arguments of the types of `examples`, or load it; those types, as numba calls them."""
    types = tuple(_type_of(one) for one in examples)
    compiled.compile(types)
    return types


def direct(compiled: Any, *examples: Any) -> Callable[..., Any]:
    """The machine code of a kernel for arguments of the types of `examples`, which it takes on trust.

    numba looks at the type of every argument of every call, which takes as long as a short kernel. Whoever calls this
    has to give arrays of exactly the types, dimensions and order of the examples; numbers are converted.
    """
    entry: Callable[..., Any] = compiled.overloads[compile_for(compiled, *examples)].entry_point
    return entry


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
