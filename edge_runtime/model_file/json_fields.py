"""Values from an untrusted JSON object: of the expected type, or ValueError.

Each function takes the object and a key. It raises KeyError for a missing key, and TypeError when the
object is of another type.
"""

from __future__ import annotations

import math
from typing import Any, Callable, TypeVar

from edge_runtime.errors import reason

MOST = (1 << 31) - 1
"""The largest whole number: a shape or an index of a FlatBuffer, or a count, has 31 bits at most."""


def whole(record: dict[str, Any], key: str, least: int = 0) -> int:
    """A whole number from `least` to MOST."""
    return _whole(record[key], key, least)


def wholes(record: dict[str, Any], key: str, least: int = 0) -> tuple[int, ...]:
    """A list of whole numbers from `least` to MOST."""
    return tuple(_whole(value, key, least) for value in _list(record[key], key))


def number(record: dict[str, Any], key: str) -> float:
    """A finite number."""
    return _number(record[key], key)


def numbers(record: dict[str, Any], key: str) -> tuple[float, ...]:
    """A list of finite numbers."""
    return tuple(_number(value, key) for value in _list(record[key], key))


def flag(record: dict[str, Any], key: str) -> bool:
    """True or false."""
    value = record[key]
    if not isinstance(value, bool):
        raise _unexpected(key, "true or false", value)
    return value


def text(record: dict[str, Any], key: str) -> str:
    """A string."""
    return _text(record[key], key)


def texts(record: dict[str, Any], key: str) -> tuple[str, ...]:
    """A list of strings."""
    return tuple(_text(value, key) for value in _list(record[key], key))


def text_by_name(record: dict[str, Any], key: str) -> dict[str, str]:
    """An object whose values are strings."""
    return {name: _text(item, f"{key}.{name}") for name, item in mapping(record, key).items()}


def mapping(record: dict[str, Any], key: str) -> dict[str, Any]:
    """An object."""
    value = record[key]
    if not isinstance(value, dict):
        raise _unexpected(key, "an object", value)
    return value


_T = TypeVar("_T")


def optional(read: Callable[[dict[str, Any], str], _T], record: dict[str, Any], key: str) -> _T | None:
    """What `read` (one of the functions above) returns; None for a key that is missing or null."""
    return None if record.get(key) is None else read(record, key)


def _whole(value: Any, key: str, least: int) -> int:
    if type(value) is not int or not least <= value <= MOST:
        raise _unexpected(key, f"a whole number from {least} to {MOST}", value)
    return value


def _number(value: Any, key: str) -> float:
    # float() raises OverflowError for an integer beyond its range.
    try:
        result = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise _unexpected(key, "a finite number", value)
    return result


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise _unexpected(key, "a string", value)
    return value


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise _unexpected(key, "a list", value)
    return value


def _unexpected(key: str, expected: str, found: Any) -> ValueError:
    kind = type(found).__name__
    what = kind if isinstance(found, (list, dict)) else f"{kind} {reason(found)}"
    return ValueError(f"{reason(key)}: expected {expected}, found {what}")
