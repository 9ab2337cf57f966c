"""Values as C source text, and templates filled with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

LINE = 100
"""Longest line of an array."""

_PLACE = re.compile(r"@(\w+)@")


def filled(template: str, values: Mapping[str, object]) -> str:
    """The file `template` with `values` in place of @their names@, also in values that are templates."""
    text = template_text(template)
    while _PLACE.search(text):
        text = _PLACE.sub(lambda match: str(values[match.group(1)]), text)
    return text


@cache
def template_text(name: str) -> str:
    """The file `name` in templates/."""
    return (files("convert.c_export") / "templates" / name).read_text("utf-8")


def c_string(text: str) -> str:
    """A string literal. Bytes beyond ASCII are octal, which every compiler reads alike."""
    quoted = "".join(_c_byte(byte) for byte in text.encode())
    return f'"{quoted}"'


def _c_byte(byte: int) -> str:
    character = chr(byte)
    plain = 32 <= byte < 127 and character not in '"\\?@'  # ?: trigraphs; @: places
    return character if plain else f"\\{byte:03o}"


def comment_text(text: str) -> str:
    """Text that may stand in a comment or a field of one line."""
    return json.dumps(text)[1:-1].replace("*/", "* /").replace("@", "(at)")


def float_literal(value: float) -> str:
    """The shortest text that every C compiler reads as exactly that float32."""
    return f"{np.float32(value)}f"


def array_text(values: NDArray[np.generic]) -> str:
    """Lines with the values of an array, each with a comma. uint64 and uint32 are in hexadecimal."""
    flat = values.reshape(-1)
    if flat.dtype == np.float32:
        return lines(float_literal(value) for value in flat.tolist())
    if flat.dtype == np.uint64:
        return lines(f"0x{value:016x}u" for value in flat.tolist())
    if flat.dtype == np.uint32:
        return lines(f"0x{value:08x}u" for value in flat.tolist())
    return lines(str(value) for value in flat.tolist())


def lines(items: Iterable[str]) -> str:
    """The items with commas, in lines of at most LINE characters."""
    result, line = [], ""
    for item in items:
        if len(line) + len(item) + 2 > LINE:
            result.append(line.rstrip())
            line = ""
        line += f"{item}, "
    return "".join(f"    {part}\n" for part in (*result, line.rstrip()) if part)


def nested_array(values: NDArray[np.generic]) -> str:
    """The same for a two-dimensional array, with braces around each row."""
    return "".join(f"    {{\n{array_text(row)}    }},\n" for row in values)
