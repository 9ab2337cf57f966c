"""Compiles the C library of the engine `native` when the package is installed. Everything else is in
pyproject.toml.

Without a C compiler the same package is installed without the library, and runs models in the other
engines. edge_runtime/native/build_note.json then says why.
"""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

from setuptools import Command, Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from scripts.compile_library import NOTE, SOURCES, library_name, try_to_compile  # noqa: E402

NATIVE = Path("edge_runtime", "native")


class DistributionWithLibrary(Distribution):
    """Knows whether the library has been compiled, which decides what a wheel is called."""

    library_compiled = False

    def has_ext_modules(self) -> bool:
        """Whether the distribution depends on the platform."""
        return self.library_compiled


class BuildLibrary(Command):
    """Compile the library. An editable installation gets it beside the sources."""

    description = "compile the C library of the engine native"
    user_options: ClassVar[list] = []

    def initialize_options(self) -> None:
        """Part of setuptools' protocol, as are the attributes."""
        self.build_lib = None
        self.editable_mode = False

    def finalize_options(self) -> None:
        """Take the folder of the build."""
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self) -> None:
        """Compile, or note why not."""
        folder = (ROOT if self.editable_mode else Path(self.build_lib)) / NATIVE
        if not self.editable_mode:
            folder.mkdir(parents=True, exist_ok=True)
        result = try_to_compile(folder, sources=SOURCES)
        self.distribution.library_compiled = result.library is not None
        if result.failure:
            self.warn(f"the engine native is left out: {result.failure}")

    def get_outputs(self) -> list[str]:
        """The files of the build."""
        names = [NOTE, *([library_name()] if self.distribution.library_compiled else [])]
        return [str(Path(self.build_lib, NATIVE, name)) for name in names]

    def get_output_mapping(self) -> dict[str, str]:
        """In an editable installation: file of the build -> file beside the sources."""
        if not self.editable_mode:
            return {}
        files = {output: ROOT / NATIVE / Path(output).name for output in self.get_outputs()}
        return {output: str(file) for output, file in files.items() if file.exists()}

    def get_source_files(self) -> list[str]:
        """What a source distribution needs for it."""
        return [str(path.relative_to(ROOT)) for path in sorted(SOURCES.glob("*.[ch]"))]


class Build(build):
    """The build, with the library."""

    sub_commands: ClassVar[list] = [*build.sub_commands, ("build_library", None)]


class LibraryWheel(bdist_wheel):
    """A wheel for the platform and every Python, or for every platform if there is no library."""

    def run(self) -> None:
        """Compile first, as the wheel's name depends on it."""
        self.run_command("build_library")
        self.root_is_pure = not self.distribution.has_ext_modules()
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        """Python, ABI and platform. ctypes loads the library, so it fits every Python."""
        tag = super().get_tag()[2]
        # A Python for both architectures of a Mac is given a library for one of them.
        return "py3", "none", tag.replace("universal2", platform.machine())


def _options() -> dict[str, dict[str, str]]:
    """setuptools leaves its files among the sources. Where it cannot, it gets another folder."""
    if os.access(ROOT, os.W_OK):
        return {}
    folder = tempfile.mkdtemp(prefix="edge-rnn-build-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"egg_info": {"egg_base": folder}, "build": {"build_base": folder}}


setup(
    distclass=DistributionWithLibrary,
    cmdclass={"build": Build, "build_library": BuildLibrary, "bdist_wheel": LibraryWheel},
    options=_options(),
)
