"""Finds MNIST's files, or downloads them."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import urllib.error
import urllib.request
import zlib
from pathlib import Path

from edge_runtime.errors import DataError
from edge_runtime.host.atomic_file import replacing
from edge_runtime.host.optional_packages import needs_extra

ENVIRONMENT = "EDGE_RNN_DATA"

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

TIMEOUT = 20  # seconds without an answer from a mirror

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""Digests of the uncompressed files."""


def find_mnist(data_dir: str | Path | None = None) -> Path:
    """The folder with MNIST's four files, plain or gzip.

    Looked for in `data_dir`; without it in $EDGE_RNN_DATA; then in the user's cache folder, into which
    they are downloaded when they are nowhere. A folder that is named but lacks the files is an error,
    not passed over. Raises DataError.
    """
    for origin, folder in (
        ("--data-dir", data_dir),
        (f"${ENVIRONMENT}", os.environ.get(ENVIRONMENT)),
    ):
        if folder:
            return _named_folder(Path(folder), origin)
    cache = _cache_folder()
    if not _complete(cache):
        download_mnist(cache)
    return cache


def _named_folder(folder: Path, origin: str) -> Path:
    for candidate in (folder, folder / "mnist"):
        if _complete(candidate):
            return candidate
    raise DataError(
        f"{folder} ({origin}): MNIST's four files are not there: expected {', '.join(SHA256)}, "
        "plain or with .gz"
    )


def _complete(folder: Path) -> bool:
    return all((folder / n).is_file() or (folder / f"{n}.gz").is_file() for n in SHA256)


def _cache_folder() -> Path:
    with needs_extra("workstation", "platformdirs", "the data set mnist"):
        import platformdirs
    return Path(platformdirs.user_cache_dir("edge-rnn")) / "mnist"


def download_mnist(folder: Path, mirrors: tuple[str, ...] = MIRRORS) -> None:
    """Fetch the four files, gzip-compressed, into `folder`; each is verified before it is kept.

    Raises DataError when no mirror gives a file with the right digest.
    """
    for name in SHA256:
        data = _fetch(name, mirrors)
        with replacing(folder / f"{name}.gz") as temporary:
            temporary.write_bytes(data)


def _fetch(name: str, mirrors: tuple[str, ...]) -> bytes:
    reasons = []
    for mirror in mirrors:
        url = f"{mirror}{name}.gz"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
                data: bytes = response.read()
            if hashlib.sha256(gzip.decompress(data)).hexdigest() == SHA256[name]:
                return data
            reasons.append(f"{url}: wrong digest")
        except urllib.error.URLError as error:
            reasons.append(f"{url}: {error.reason}")
        except (EOFError, OSError, http.client.HTTPException, zlib.error) as error:
            reasons.append(f"{url}: {error}")
    raise DataError(
        f"MNIST cannot be downloaded ({'; '.join(reasons)}): name a folder that holds its four IDX "
        f"files with --data-dir or ${ENVIRONMENT}, or train on the embedded --data digits"
    )
