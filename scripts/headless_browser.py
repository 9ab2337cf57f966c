"""Chromium without a screen, with which tests and scripts/parity_pictures.py look at HTML reports.

Debian's is unpacked into the cache with its libraries and a font, so it needs neither root nor an
installation. It runs with this machine's glibc, which has to be 2.35 or newer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.errors import EngineError
from scripts.cached_folder import cached_folder
from scripts.debian_packages import SUITE, own_architecture, unpack

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAM = "chromium-headless-shell"

PACKAGES = (
    *("chromium-common", PROGRAM, "fontconfig-config", "fonts-dejavu-core"),
    *("libasound2", "libasyncns0", "libatk1.0-0", "libatspi2.0-0", "libblkid1", "libbrotli1", "libbsd0"),
    *("libcap2", "libdav1d6", "libdbus-1-3", "libdouble-conversion3", "libdrm2", "libexpat1", "libffi8"),
    *("libflac12", "libfontconfig1", "libfreetype6", "libgbm1", "libgcrypt20", "libglib2.0-0"),
    *("libgpg-error0", "libgraphite2-3", "libharfbuzz-subset0", "libharfbuzz0b", "libjpeg62-turbo"),
    *("liblz4-1", "liblzma5", "libmd0", "libminizip1", "libmount1", "libmp3lame0", "libmpg123-0"),
    *("libnspr4", "libnss3", "libogg0", "libopenh264-7", "libopus0", "libpcre2-8-0", "libpng16-16"),
    *("libpulse0", "libselinux1", "libsndfile1", "libsystemd0", "libudev1", "libvorbis0a"),
    *("libvorbisenc2", "libwayland-server0", "libx11-6", "libx11-xcb1", "libxau6", "libxcb1"),
    *("libxcomposite1", "libxdamage1", "libxdmcp6", "libxext6", "libxfixes3", "libxi6", "libxkbcommon0"),
    *("libxnvctrl0", "libxrandr2", "libxrender1", "libzstd1", "zlib1g"),
)
"""Chromium and what it is linked with, but for glibc and the libraries of the compiler."""

FONTS = """<?xml version="1.0"?>
<fontconfig>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
  <include ignore_missing="yes">{rules}</include>
</fontconfig>
"""


@dataclass(frozen=True)
class ChromiumFiles:
    """The program and what it has to be started with."""

    program: Path
    environment: dict[str, str]


def chromium_files() -> ChromiumFiles:
    """Chromium in the cache, unpacked when it is missing.

    Raises EngineError that names what is missing or what failed.
    """
    try:
        architecture = own_architecture()
        folder = cached_folder(
            "chromium", (SUITE, architecture, *PACKAGES), lambda to: unpack(PACKAGES, architecture, to)
        )
    except EngineError as error:
        raise EngineError(
            f"looking at a page needs Chromium, which cannot be unpacked: {error}"
        ) from None
    libraries = [*folder.glob("usr/lib/*-linux-gnu"), *folder.glob("usr/lib/*-linux-gnu/pulseaudio")]
    libraries += folder.glob("lib/*-linux-gnu")
    fonts = folder / "fonts.conf"
    content = FONTS.format(
        fonts=folder / "usr" / "share" / "fonts",
        cache=folder / "fonts-cache",
        rules=folder / "usr" / "share" / "fontconfig" / "conf.avail",
    )
    if not fonts.exists() or fonts.read_text() != content:  # the cache may have been moved
        fonts.write_text(content)
    variables = {"LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)), "FONTCONFIG_FILE": str(fonts)}
    return ChromiumFiles(folder / "usr" / "lib" / "chromium" / PROGRAM, {**os.environ, **variables})


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running Chromium. Raises EngineError where there is none or where it does not start."""
    from playwright.sync_api import Error, sync_playwright

    files = chromium_files()
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=files.program, env=files.environment)
        except Error as error:
            line = str(error).strip().splitlines()[0]
            raise EngineError(f"Chromium does not start: {line}") from None
        try:
            yield browser
        finally:
            browser.close()
