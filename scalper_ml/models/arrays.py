"""Plain arrays as one ``.npz`` without time stamps: equal arrays give equal bytes, and reading them runs no code."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scalper_ml.errors import BundleError

__all__ = ["packed", "unpacked"]


def packed(arrays: Mapping[str, Any]) -> bytes:
    """The arrays, in the order given, little-endian."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, values in arrays.items():
            inner = io.BytesIO()
            array = np.asarray(values)
            np.save(inner, array.astype(array.dtype.newbyteorder("<")), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), inner.getvalue())
    return sink.getvalue()


def unpacked(files: Mapping[str, bytes], file: str, names: Sequence[str] = ()) -> dict[str, Any]:
    """The arrays of one file of a bundle by name.

    Raises
    ------
    BundleError
        The file is missing, cannot be read, or lacks one of `names`.
    """
    if file not in files:
        raise BundleError(f"{file}: missing among {sorted(files)}; the bundle is incomplete - train the model again")
    try:
        with np.load(io.BytesIO(files[file]), allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"{file}: does not hold arrays ({error}); train the model again") from error
    if lacking := [name for name in names if name not in found]:
        raise BundleError(f"{file}: lacks {lacking}; found {sorted(found)} - train the model again")
    return found
