"""A PostgreSQL server for tests: Debian's, installed or unpacked in the cache, on its own socket."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.cached_folder import cached_folder
from scripts.debian_packages import SUITE, own_architecture, unpack

PASSWORD = "Geheim42"
PACKAGES = (
    *("postgresql-15", "libpq5", "libicu72", "libldap-2.5-0", "libsasl2-2", "libxml2"),
    *("libgssapi-krb5-2", "libkrb5-3", "libk5crypto3", "libkrb5support0", "libkeyutils1"),
)
"""What the server is linked with, besides what every Debian has."""


def programs() -> tuple[Path, dict[str, str]]:
    """The folder of initdb and postgres, and variables with which they run.

    Raises EngineError where they are not installed and cannot be unpacked.
    """
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if installed:
        return installed[-1].parent, {}
    architecture = own_architecture()
    root = cached_folder(
        f"postgresql-{architecture}",
        (SUITE, *PACKAGES),
        lambda folder: unpack(PACKAGES, architecture, folder),
    )
    libraries = [str(path) for path in (root / "usr" / "lib").glob("*-linux-gnu")]
    found = next((root / "usr/lib/postgresql").glob("*/bin/initdb"))
    return found.parent, {"LD_LIBRARY_PATH": os.pathsep.join(libraries)}


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a new, empty database, password included. The server ends with the block.

    PostgreSQL refuses to run as root: root runs it as nobody. Raises EngineError as `programs` does.
    """
    bin, variables = programs()
    folder = Path(tempfile.mkdtemp(prefix="edge-rnn-pg-"))  # sockets need a short path
    user = {"user": "nobody", "group": _group(), "extra_groups": []} if os.geteuid() == 0 else {}
    if user:
        shutil.chown(folder, "nobody")
    options = {"env": {"PATH": os.environ["PATH"], "LC_ALL": "C", **variables}, "cwd": folder, **user}
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    data = folder / "data"
    init = [
        bin / "initdb",
        "-D",
        data,
        "-U",
        "tester",
        "-A",
        "scram-sha-256",
        f"--pwfile={secret}",
        "-N",
    ]
    subprocess.run(init, check=True, capture_output=True, **options)
    settings = ["fsync=off", "listen_addresses=", f"unix_socket_directories={folder}"]
    command = [bin / "postgres", "-D", data, *(part for item in settings for part in ("-c", item))]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    url = f"postgresql://tester:{PASSWORD}@/postgres?host={folder}"
    try:
        _wait(url, server)
        yield url
    finally:
        server.send_signal(signal.SIGINT)  # a fast shutdown, which waits for no client
        server.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _group() -> int:
    return pwd.getpwnam("nobody").pw_gid


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
