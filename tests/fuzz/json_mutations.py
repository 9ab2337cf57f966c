"""Mutations of JSON text: a value, a key or the whole structure is replaced by something else."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

PLACEHOLDER = "@@placeholder@@"

VALUES = (
    *("null", "true", "false", "0", "-0", "1", "-1", "2", "3", "0.5", "-0.0", "1e-400", "1e-300"),
    *("255", "65536", "2147483648", "4294967296", "18446744073709551616", "1" + "0" * 40, "1e30"),
    *("1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 4000, "9" * 5000, "1.5", "1000000000"),
    *('""', '"a"', '"uint8"', '"float32"', '"step"', '"unrolled"', '"1"', '"\\u0000\\n\\u001b[31m"'),
    *('"\\ud800"', '"' + "x" * 5000 + '"', "[]", "{}", "[[]]", "[null]", "[1]", "[1,2,3]", "[0,0,0]"),
    *('["a"]', '{"a":1}', "[" * 2000 + "]" * 2000, "[" * 100_000, '{"a":' * 500 + "1" + "}" * 500),
    *("[1e39]", "[1e-46]", "[3.5e38]", "[NaN]", "[" + "1," * 20000 + "1]", "3.5e38", "1e-46"),
)
"""Texts in place of a value. Not all of them are JSON."""


def mutated_json(rng: Random, text: str) -> str:
    """`text`, an object, with one to three changes."""
    record = json.loads(text)
    raw = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        raw += _changed(rng, record)
    result = json.dumps(record)
    for value in raw:
        result = result.replace(f'"{PLACEHOLDER}"', value, 1)
    return result


def _changed(rng: Random, record: Any) -> list[str]:
    """Change `record` in place. Returns the texts of the placeholders that are in it now."""
    parent, key = rng.choice(list(_places(record)))
    kind = rng.randrange(10)
    if kind == 0:
        del parent[key]
        return []
    if kind == 1:
        other, other_key = rng.choice(list(_places(record)))
        value = copy.deepcopy(other[other_key])
        if PLACEHOLDER not in json.dumps(value):
            parent[key] = value
        return []
    if kind == 2 and isinstance(parent[key], (int, float)):
        parent[key] = rng.choice((parent[key] + 1, parent[key] * 2, -parent[key], parent[key] * 1000))
        return []
    if PLACEHOLDER in json.dumps(parent[key]):
        return []
    parent[key] = PLACEHOLDER
    return [rng.choice(VALUES)]


def _places(value: Any) -> Any:
    """Every (container, key) in nested objects and arrays."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)
