"""Compiles the C sources in edge_runtime/native/c to the shared library of the engine `native`.

    python -m scripts.compile_library [--out FOLDER] [--sanitize]

compiles in place, or into FOLDER, and fails with a sentence. setup.py calls the same functions when the
package is installed, and scripts/build_wheels.py with a cross-compiler.

`--sanitize` makes a library that stops at the first wrong access or undefined operation. It goes to
build/sanitized unless --out says otherwise, and runs in an ordinary Python:

    LD_PRELOAD=$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \\
        EDGE_RNN_NATIVE_LIBRARY=build/sanitized/libedge_rnn.so python ...

Only the standard library is used, since setup.py runs before anything is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

NATIVE = Path(__file__).resolve().parents[1] / "edge_runtime" / "native"
SOURCES = NATIVE / "c"

NOTE = "build_note.json"
"""The file beside the library that says how it was compiled, or why there is none."""

SANITIZED = Path("build", "sanitized")

COMPILERS = ("cc", "gcc", "clang")
"""What is tried where the environment variable CC names no compiler."""

FLAGS = (
    "-std=c11",
    "-O3",
    # The engine's results are defined by IEEE 754 operations. A fused or reordered one changes bits.
    "-fno-fast-math",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",  # gcc keeps comparisons out of vectors without it
    "-fwrapv",  # what a hostile plan adds up may exceed 32 bits (c/edge_rnn.h)
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
)

SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g")
LIGHTLY_OPTIMIZED = "-O1"
"""Compilers take minutes to optimize code with sanitizers, and then show fewer errors."""


@dataclass(frozen=True)
class KernelSet:
    """A file of kernels that needs instructions which not every CPU of its architecture has."""

    name: str
    """The part of the file's name after `kernels_`."""
    architecture: str
    flags: tuple[str, ...]
    zig_flags: tuple[str, ...] | None = None
    """The flags of `zig cc`, which names CPUs of ARM in its own way. None: the same flags."""

    @property
    def macro(self) -> str:
        """Defined where run-time tables are compiled if the library has this set."""
        return f"ER_WITH_{self.name.upper()}"

    def flags_of(self, compiler: Compiler) -> tuple[str, ...]:
        """The flags by which this compiler uses the instructions."""
        return self.flags if self.zig_flags is None or not compiler.is_zig else self.zig_flags


AVX2 = ("-mavx2", "-mfma", "-mf16c")
AVX512 = tuple(f"-mavx512{part}" for part in ("f", "bw", "vl", "dq", "vnni", "vbmi"))

KERNEL_SETS = (
    KernelSet("avx2", "x86_64", AVX2),
    KernelSet("avx512", "x86_64", (*AVX512, "-mfma", "-mf16c")),
    KernelSet("neon", "aarch64", ()),
    KernelSet(
        "neon_dotprod", "aarch64", ("-march=armv8.2-a+dotprod",), ("-mcpu=generic+v8_2a+dotprod",)
    ),
    # Raspberry Pi OS compiles for ARMv6, and runs on CPUs that have NEON and on one that has not.
    KernelSet(
        "neon",
        "armhf",
        ("-march=armv7-a", "-mfpu=neon", "-mfloat-abi=hard"),
        ("-mcpu=generic+v7a+neon",),
    ),
)

ARCHITECTURES = {
    "__x86_64__": "x86_64",
    "__aarch64__": "aarch64",
    "_M_ARM64": "aarch64",
    "__ARM_PCS_VFP": "armhf",
    "__i386__": "i386",
}
"""Macro that a compiler defines -> name of the architecture that it compiles for."""

BASE_FLAGS = {"i386": ("-msse2", "-mfpmath=sse")}
"""Flags for all files of an architecture. The x87 would round to more digits than a float has."""


class CompileError(Exception):
    """There is no library, and this sentence says why."""


@dataclass(frozen=True)
class Compiler:
    """A C compiler and what it compiles for."""

    command: tuple[str, ...]
    version: str
    """The first line of what it prints for --version."""
    architecture: str
    """A value of ARCHITECTURES, or `other`, for which only the plain kernels are compiled."""
    system: str
    """linux, darwin or win32, as sys.platform says."""
    is_zig: bool = False
    user_flags: tuple[str, ...] = ()
    """Flags for each file, which cannot change those of FLAGS."""
    link_flags: tuple[str, ...] = ()
    flags: tuple[str, ...] = FLAGS

    @property
    def library_name(self) -> str:
        """The library's file name on the system."""
        return library_name(self.system)

    def compile(self, source: Path, flags: Sequence[str], to: Path) -> None:
        """Compile one file. Raises CompileError with the compiler's first error."""
        common = [*self.user_flags, *self.flags, *BASE_FLAGS.get(self.architecture, ())]
        if self.system != "win32":
            common.append("-fPIC")
        # Relative, so that messages and the library hold no folder of this machine.
        arguments = [*common, *flags, "-c", source.name, "-o", str(to)]
        _run([*self.command, *arguments], source.parent)

    def link(self, objects: Sequence[Path], to: Path) -> None:
        """Link the library. Raises CompileError with the linker's first error."""
        shared = "-dynamiclib" if self.system == "darwin" else "-shared"
        names = [path.name for path in objects]
        _run([*self.command, shared, *self.link_flags, *names, "-o", str(to)], objects[0].parent)


@dataclass(frozen=True)
class Compiled:
    """How a library was compiled, or why it was not: the content of NOTE."""

    library: str | None
    """The library's file name."""
    compiler: str | None
    architecture: str | None
    kernels: tuple[str, ...] = ()
    """The sets of kernels in it, by the names of their files."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Set of kernels -> why the compiler at hand could not compile it."""
    failure: str | None = None
    """Why there is no library: a sentence."""

    def write(self, folder: Path) -> None:
        """Write NOTE into the folder."""
        (folder / NOTE).write_text(json.dumps(vars(self), indent=1, sort_keys=True) + "\n")


def library_name(system: str = sys.platform) -> str:
    """The library's file name on a system that sys.platform names."""
    return {"win32": "libedge_rnn.dll", "darwin": "libedge_rnn.dylib"}.get(system, "libedge_rnn.so")


def find_compiler(environment: Mapping[str, str] = os.environ) -> Compiler:
    """The compiler that $CC names, with $CFLAGS and $LDFLAGS, or the first of COMPILERS.

    Raises CompileError if there is none.
    """
    given = shlex.split(environment.get("CC", ""))
    path = environment.get("PATH")
    candidates = [given] if given else [[name] for name in COMPILERS]
    found = next((command for command in candidates if shutil.which(command[0], path=path)), None)
    if found is None:
        looked = f"CC is {shlex.join(given)}, which" if given else f"none of {', '.join(COMPILERS)}"
        raise CompileError(f"no C compiler: {looked} is not installed")
    return describe_compiler(
        found,
        flags=tuple(shlex.split(environment.get("CFLAGS", ""))),
        link_flags=tuple(shlex.split(environment.get("LDFLAGS", ""))),
    )


def describe_compiler(
    command: Sequence[str],
    system: str = sys.platform,
    *,
    flags: Sequence[str] = (),
    link_flags: Sequence[str] = (),
) -> Compiler:
    """Ask a compiler for its version and architecture. Raises CompileError if it does not run."""
    # $CFLAGS may choose the architecture too, as in -m32.
    macros = _run([*command, *flags, "-dM", "-E", "-x", "c", "-"], Path.cwd())
    defined = {line.split()[1] for line in macros.splitlines() if line.startswith("#define ")}
    architecture = next((name for macro, name in ARCHITECTURES.items() if macro in defined), "other")
    version = _run([*command, "--version"], Path.cwd()).partition("\n")[0]
    is_zig = any(Path(word).stem in ("zig", "ziglang") for word in command)
    return Compiler(
        tuple(command), version, architecture, system, is_zig, tuple(flags), tuple(link_flags)
    )


def compile_library(
    folder: Path, compiler: Compiler, *, strict: bool = False, sources: Path = SOURCES
) -> Compiled:
    """Compile the library into `folder`. An older one there is replaced once the new one is complete.

    A set of kernels that the compiler cannot compile is left out, as an old compiler does not know every
    instruction. `strict` makes that, and each warning, an error. Raises CompileError.
    """
    if not (sources / "kernels_plain.c").exists():
        raise CompileError("the C sources are missing from edge_runtime/native/c")
    always = ("-Werror",) if strict else ()
    others = [path for path in sorted(sources.glob("*.c")) if not path.name.startswith("kernels_")]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(os.cpu_count()) as pool:
        build = Path(name)

        def compiled(source: Path, flags: Sequence[str] = ()) -> Path:
            made = build / f"{source.stem}.o"
            compiler.compile(source, (*flags, *always), made)
            return made

        plain = pool.submit(compiled, sources / "kernels_plain.c")
        running = {
            item: pool.submit(compiled, sources / f"kernels_{item.name}.c", item.flags_of(compiler))
            for item in _sets_for(compiler, sources)
        }
        failures = {item.name: done.exception() for item, done in running.items() if done.exception()}
        if failures and strict:
            raise next(iter(failures.values()))
        kept = [item for item in running if item.name not in failures]
        macros = [f"-D{item.macro}=1" for item in kept]
        rest = pool.map(lambda source: compiled(source, macros), others)
        objects = [plain.result(), *(running[item].result() for item in kept), *rest]
        compiler.link(objects, build / compiler.library_name)
        _put(build / compiler.library_name, folder)
    return Compiled(
        compiler.library_name,
        compiler.version,
        compiler.architecture,
        ("plain", *(item.name for item in kept)),
        {name: str(error) for name, error in failures.items()},
    )


def try_to_compile(folder: Path, *, sources: Path = SOURCES) -> Compiled:
    """Compile with the compiler at hand and write NOTE, whatever comes of it. Never raises.

    Without a compiler, a library of an earlier build is deleted: it may not fit the Python modules.
    """
    compiler = None
    try:
        compiler = find_compiler()
        result = compile_library(folder, compiler, sources=sources)
    except (CompileError, OSError) as error:
        unwritable = f"edge_runtime/native cannot be written to: {getattr(error, 'strerror', '')}"
        result = Compiled(
            None,
            compiler and compiler.version,
            compiler and compiler.architecture,
            failure=unwritable if isinstance(error, OSError) else str(error),
        )
    try:
        if result.library is None:
            (folder / library_name()).unlink(missing_ok=True)
        result.write(folder)
    except OSError:
        pass  # a folder that cannot be written to has neither an old library nor a new one
    return result


def sanitized(compiler: Compiler) -> Compiler:
    """The same compiler with checks for wrong memory accesses and undefined operations."""
    return replace(
        compiler,
        version=f"{compiler.version}, with sanitizers",
        flags=(*compiler.flags, *SANITIZE, LIGHTLY_OPTIMIZED),
        link_flags=(*compiler.link_flags, *SANITIZE),
    )


def _sets_for(compiler: Compiler, sources: Path) -> list[KernelSet]:
    return [
        item
        for item in KERNEL_SETS
        if item.architecture == compiler.architecture and (sources / f"kernels_{item.name}.c").exists()
    ]


def _put(library: Path, folder: Path) -> None:
    """Copy the library, whole or not at all. A process that has loaded the old one keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    complete = folder / f"{library.name}.{os.getpid()}"
    try:
        shutil.copy(library, complete)
        os.replace(complete, folder / library.name)
    finally:
        complete.unlink(missing_ok=True)


def _run(command: Sequence[str], folder: Path) -> str:
    """What the command prints. Raises CompileError with the first line that tells an error."""
    try:
        result = subprocess.run(
            list(command), cwd=folder, input="", capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise CompileError(f"{command[0]} cannot be run: {error.strerror}") from None
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.strip()] or ["no message"]
        told = next((line for line in lines if "error" in line or "cannot" in line), lines[0])
        raise CompileError(f"{Path(command[0]).name} failed: {told.strip()}")
    return result.stdout


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="the folder for the library")
    parser.add_argument("--sanitize", action="store_true", help="stop at wrong accesses")
    options = parser.parse_args(arguments)
    folder = options.out or (SANITIZED if options.sanitize else NATIVE)
    try:
        compiler = find_compiler()
        chosen = sanitized(compiler) if options.sanitize else compiler
        # With sanitizers, compilers warn of what is correct.
        result = compile_library(folder, chosen, strict=not options.sanitize)
        result.write(folder)
    except (CompileError, OSError) as error:
        sys.exit(f"Error: {error}")
    print(f"{folder / chosen.library_name}: {', '.join(result.kernels)} ({result.compiler})")


if __name__ == "__main__":
    main()
