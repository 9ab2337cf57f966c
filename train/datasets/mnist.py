"""Finds MNIST's files, or downloads them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from edge_runtime.errors import DataError, reason
from edge_runtime.host.optional_packages import needs_extra

ENVIRONMENT = "EDGE_RNN_DATA"

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

TIMEOUT = 20
"""Seconds without an answer after which a mirror is given up."""

SHA256 = {
    "train-images-idx3-ubyte": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
"""Digests of the files as they were published, gzip-compressed."""


def find_mnist(data_dir: str | Path | None = None) -> Path:
    """The folder with MNIST's four files, plain or gzip-compressed.

    The places are `data_dir`, or else $EDGE_RNN_DATA, or else the user's cache folder, into which the
    files are downloaded when they are missing. A folder that is named is never skipped. Raises DataError
    when it lacks the files, or when they cannot be downloaded.
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
        f"{folder} ({origin}): MNIST's four files are not there. Expected {', '.join(SHA256)}, "
        "plain or with .gz."
    )


def _complete(folder: Path) -> bool:
    return all((folder / n).is_file() or (folder / f"{n}.gz").is_file() for n in SHA256)


def _cache_folder() -> Path:
    with needs_extra("workstation", "platformdirs", "the data set mnist"):
        import platformdirs
    return Path(platformdirs.user_cache_dir("edge-rnn")) / "mnist"


def download_mnist(
    folder: Path, mirrors: tuple[str, ...] = MIRRORS, files: Mapping[str, str] = SHA256
) -> None:
    """Download `files`, gzip-compressed, into `folder`, which keeps none that was not verified.

    `files`: name without `.gz` -> SHA-256 of the compressed file, hexadecimal. A file is asked of one
    mirror after the other. Raises DataError when none of them gives it with its digest.
    """
    with needs_extra("workstation", "pooch", "the download of mnist"):
        import pooch
    pooch.get_logger().setLevel("ERROR")
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=TIMEOUT)
    for name, digest in files.items():
        reasons = []
        for mirror in mirrors:
            url = f"{mirror}{name}.gz"
            try:
                pooch.retrieve(url, f"sha256:{digest}", f"{name}.gz", folder, downloader=downloader)
                break
            except (ValueError, OSError) as error:
                reasons.append(f"{url} {_failure(error)}")
        else:
            raise DataError(
                f"mnist: cannot be downloaded, as {' and '.join(reasons)}. Name a folder that holds its "
                f"four IDX files with --data-dir or ${ENVIRONMENT}, or train on the digits that are "
                "installed with --data digits."
            )


def _failure(error: Exception) -> str:
    """What pooch raised, as the rest of a clause about a URL."""
    import requests  # by which pooch downloads

    if isinstance(error, (requests.ConnectionError, requests.Timeout)):
        return "cannot be reached"
    if isinstance(error, OSError):  # the other exceptions of requests, too
        return f"failed with {reason(error)}"
    return "has a wrong digest"
