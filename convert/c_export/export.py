"""Model file -> folder of C sources."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from convert.c_export.model_sources import ModelSources, model_sources
from edge_runtime.errors import InputError, ModelError
from edge_runtime.host.atomic_file import move_into_place
from edge_runtime.model_file.read_file import read_model_file

MARK = "author=edge-rnn"
"""A line of library.properties, by which a folder is known as an export."""

RESERVED = ("edge_rnn", "er")
"""Names that the engine's own files and functions have."""


@dataclass(frozen=True)
class CExport:
    """What was written, and the memory that it takes. Printable."""

    folder: Path
    name: str
    """What all names in the C code start with."""
    flash_bytes: int
    """Constants in flash, without the code."""
    weight_bytes: int
    """The part of them that is weights."""
    model_bytes: int
    """RAM for NAME_model, without the stack."""
    stream_bytes: int
    """RAM for NAME_stream, without the stack."""

    def __str__(self) -> str:
        """A few lines."""
        return (
            f"{self.folder}: C sources of {self.name}\n"
            f"  flash: {self.flash_bytes:,} bytes of constants, {self.weight_bytes:,} of them weights, "
            "and the code\n"
            f"  RAM: {self.model_bytes:,} bytes for windows or {self.stream_bytes:,} for rows, and stack"
        )


def export_c(
    model: str | Path, out: str | Path, *, name: str | None = None, overwrite: bool = False
) -> CExport:
    """Write a model file as C99 for microcontrollers. The folder `out` appears whole or not at all.

        from convert import export_c

        print(export_c("mnist-int8.tflite", "mnist_c"))

    - `model`: a file written by `edge-rnn convert`.
    - `out`: the folder to write. `README.md` in it says how to use it.
    - `name`: what all names in the C code start with. Default: the name of the file.
    - `overwrite`: replace an earlier export at `out`. Nothing but an export is ever replaced. Default:
      False.

    Raises InputError for a name that C does not allow and when `out` is taken, ModelError for a file
    that is not a model of edge-rnn or that the native engine cannot run, and EngineError where the
    library of the native engine is missing, which computes the expected logits.
    """
    target = Path(out).resolve()
    prefix = c_name(model) if name is None else name
    _check_name(prefix)
    _check_target(out, target, overwrite)
    file = read_model_file(model)
    try:
        written = model_sources(file, str(model), prefix)
    except ValueError as error:  # MalformedError
        raise ModelError(f"{model}: cannot be exported, because {error}.") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for place, text in written.files.items():
            path = temporary / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        temporary.chmod(0o755)
        move_into_place(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return _result(Path(out), prefix, written)


def c_name(model: str | Path) -> str:
    """The name of a file as a C identifier in small letters."""
    words = re.sub(r"[^a-z0-9]+", "_", Path(model).stem.lower()).strip("_")
    return (
        words if words and words[0].isalpha() and words not in RESERVED else f"model_{words}".rstrip("_")
    )


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or name in RESERVED:
        raise InputError(
            f"--name: expected a letter and then up to 39 letters, digits and underscores, all in small "
            f"letters, found {name!r}."
        )


def _check_target(out: str | Path, target: Path, overwrite: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    properties = target / "library.properties"
    if not properties.is_file() or MARK not in properties.read_text("utf-8", errors="replace").split(
        "\n"
    ):
        raise InputError(f"{out}: exists and is not an export of edge-rnn. Choose another --out.")
    if not overwrite:
        raise InputError(f"{out}: already holds an export. Choose another --out, or pass --overwrite.")


def _result(folder: Path, name: str, written: ModelSources) -> CExport:
    return CExport(
        folder,
        name,
        written.flash_bytes,
        written.weight_bytes,
        written.model_bytes,
        written.stream_bytes,
    )
