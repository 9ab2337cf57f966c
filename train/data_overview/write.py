"""Writes what is known about a data set: as a picture, as JSON, and as text."""

from __future__ import annotations

import json
from pathlib import Path

from edge_runtime.errors import InputError
from edge_runtime.host.atomic_file import replacing
from train.data_overview.overview import look_at
from train.data_overview.picture import draw
from train.data_overview.text import report
from train.recordings.data_options import DataOptions

PICTURE_SUFFIX = ".png"


def write_overview(
    name: str,
    options: DataOptions,
    data_dir: str | None = None,
    picture: str | None = None,
    json_file: str | None = None,
) -> str:
    """What `edge-rnn data` prints: the report, or the JSON if `json_file` is `-`.

    Raises DataError or InputError, before anything is read where a file cannot be written.
    """
    if data_dir is not None and name != "mnist":
        raise InputError("--data-dir: names the folder of mnist's files. Leave it out for other data.")
    _check_outputs(name, picture, json_file)
    overview = look_at(name, data_dir, options)
    written = []
    if picture is not None:
        with replacing(picture) as temporary:
            draw(overview, temporary)
        written.append(f"written: {picture}")
    text = json.dumps(overview.facts.to_json(), indent=2, ensure_ascii=False) + "\n"
    if json_file == "-":
        return text
    if json_file is not None:
        with replacing(json_file) as temporary:
            temporary.write_text(text, encoding="utf-8")
        written.append(f"written: {json_file}")
    return "\n".join([report(overview.facts), *written]) + "\n"


def _check_outputs(name: str, picture: str | None, json_file: str | None) -> None:
    if picture is not None and Path(picture).suffix.lower() != PICTURE_SUFFIX:
        raise InputError(f"--out: {picture} is not the name of a picture. End it with {PICTURE_SUFFIX}.")
    for option, file in (("--out", picture), ("--json", json_file)):
        if file is None or file == "-":
            continue
        if Path(file).is_dir():
            raise InputError(f"{option}: {file} is a folder. Name a file to write.")
        if Path(file).resolve() == Path(name).resolve():
            raise InputError(f"{option}: {file} is the data set. Choose another file.")
