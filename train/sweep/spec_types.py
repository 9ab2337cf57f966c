"""What a TOML file may hold for a setting, derived from the annotations of the settings' dataclasses."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_type_hints

WHOLE, NUMBER, TEXT, TRUTH = "a whole number", "a number", "text", "true or false"
_SCALARS = {int: WHOLE, float: NUMBER, str: TEXT, bool: TRUTH}
WHOLES, TEXTS = "a whole number or a list of them", "a list of texts"
_LISTS = {int: WHOLES, str: TEXTS}
RANGED = (WHOLE, NUMBER, WHOLES)
"""Kinds of settings that a range makes sense for."""


def setting_kinds(dataclass: type[Any]) -> dict[str, str]:
    """Field -> what it takes, one of the kinds above. A field that may be None is left out instead."""
    hints = get_type_hints(dataclass)
    return {field.name: _kind(hints[field.name]) for field in fields(dataclass)}


def _kind(annotation: Any) -> str:
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    inner = [item for item in get_args(annotation) if item not in (type(None), ...)]
    return _LISTS[inner[0]] if Ellipsis in get_args(annotation) else _kind(inner[0])


def is_of(kind: str, value: Any) -> bool:
    """Whether a value of a TOML file is of that kind. `true` is no number."""
    if kind == TRUTH:
        return isinstance(value, bool)
    if kind in (WHOLES, TEXTS):
        item = WHOLE if kind == WHOLES else TEXT
        single = kind == WHOLES and is_of(WHOLE, value)
        return single or (isinstance(value, list) and all(is_of(item, each) for each in value))
    types: dict[str, tuple[type, ...]] = {WHOLE: (int,), NUMBER: (int, float), TEXT: (str,)}
    return isinstance(value, types[kind]) and not isinstance(value, bool)
