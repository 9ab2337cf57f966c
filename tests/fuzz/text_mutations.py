"""Text that should be numbers: CSV files and lines of standard input."""

from __future__ import annotations

from random import Random

from tests.fuzz.bytes_mutations import mutated

ODD = (
    *(
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "1e400",
        "-1e400",
        "1e-400",
        "1e38",
        "3.5e38",
        "9" * 400,
        "0x10",
    ),
    *(
        "1_000",
        "",
        " ",
        "abc",
        "null",
        "true",
        "None",
        '"1"',
        "'1'",
        "1;2",
        "1+2j",
        "--1",
        "+-1",
        "1e",
        ".",
    ),
    *(
        "\0",
        "\ufeff1",
        "\u0661",
        "\u2028",
        "\x85",
        "#",
        "# 1",
        "1\x00",
        "\x1b[31m",
        "\\",
        "%s",
        "{}",
        "-0",
    ),
    *("1" * 100_000, "0." + "0" * 5000 + "1", "18446744073709551616", "-9223372036854775809", "\ud800"),
)
"""Texts in place of a number."""

NESTED = ("[" * 50, "[" * 2000, "[" * 100_000, "[[[[1]]]]", "[1,[2]]", "[[1,2,3],[4,5],[6]]", "[{}]")
OBJECTS = (
    '{"x": 1}',
    '[{"a": 1}]',
    '["a","b"]',
    "[null]",
    "[[null,1,2],[1,2,3],[1,2,3]]",
    "[]",
    "[[],[],[]]",
)


def _number(rng: Random, odd: float) -> str:
    if rng.random() < odd:
        return rng.choice(ODD)
    value = rng.choice((rng.randrange(256), rng.uniform(-50, 50), rng.uniform(0, 1), 0, -1))
    return rng.choice((repr(value), f"{value:.3f}", f"{value:e}", f" {value} ", f"{value:+}"))


def _rows(rng: Random, rows: int, columns: int) -> list[list[str]]:
    odd = rng.choice((0.0, 0.0, 0.02, 0.3))
    ragged = rng.random() < 0.2
    return [
        [_number(rng, odd) for _ in range(columns + (rng.randrange(-1, 2) if ragged else 0))]
        for _ in range(rows)
    ]


def mutated_csv(rng: Random) -> bytes:
    rows, columns = rng.choice(
        ((3, 3), (6, 3), (1, 9), (4, 9), (3, 4), (2, 3), (0, 0), (300, 3), (1, 3000))
    )
    separator = rng.choice((",", ",", ",", ", ", ";", "\t", ",,"))
    end = rng.choice(("\n", "\n", "\r\n", "\r", "\n\n"))
    text = end.join(separator.join(row) for row in _rows(rng, rows, columns))
    return _encoded(rng, rng.choice(("", "", "", "\ufeff", "# x\n", "a,b,c\n")) + text + end)


def mutated_table(rng: Random) -> bytes:
    """A table with the columns x, y, act and mostly time, with a header."""
    timed = rng.random() < 0.7
    separator = rng.choice((",", ",", ", ", ";", "\t"))
    end = rng.choice(("\n", "\n", "\r\n", "\n\n"))
    names = [*(["time"] if timed else []), "x", "y", "act"]
    rows = [[*row, rng.choice("abc")] for row in _rows(rng, rng.choice((1, 3, 40)), 2)]
    if timed:
        step = rng.choice((0.02, 1, 10))
        rows = [[f"{step * number:.2f}", *row] for number, row in enumerate(rows)]
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = rng.choice(ODD)
    if rng.random() < 0.1:
        rng.shuffle(rows)
    elif rng.random() < 0.2:
        del rows[rng.randrange(len(rows))]
    text = end.join(separator.join(row) for row in [names, *rows])
    return _encoded(rng, rng.choice(("", "", "", "\ufeff", "# x\n")) + text + end)


def mutated_lines(rng: Random) -> bytes:
    """Text of one to four lines."""
    return b"\n".join(_line(rng) for _ in range(rng.choice((1, 1, 2, 4)))) + rng.choice((b"", b"\n"))


def _line(rng: Random) -> bytes:
    kind = rng.randrange(8)
    if kind == 0:
        return _encoded(rng, rng.choice(NESTED + OBJECTS + ODD))
    if kind == 1:
        return rng.choice((b" ", b"0 ", b"[", b"\0", b"\xff", b"1,")) * rng.choice((3, 2000, 300_000))
    rows = _rows(rng, 3, 3)
    if kind <= 4:
        return _encoded(rng, "[" + ",".join("[" + ",".join(row) + "]" for row in rows) + "]")
    flat = [value for row in rows for value in row]
    if kind == 5:
        return _encoded(rng, "[" + ", ".join(flat) + "]")
    return _encoded(rng, rng.choice((" ", ",", ", ", "\t", " , ")).join(flat))


def _encoded(rng: Random, text: str) -> bytes:
    data = text.encode(rng.choice(("utf-8",) * 8 + ("utf-16", "latin-1")), "replace")
    return mutated(rng, data) if rng.random() < 0.2 else data
