"""Recordings that can be read, and not be cut into windows or split, each with the sentence that says why."""

from __future__ import annotations

from typing import Any

from tests.support.broken_tables import Broken

OPTIONS = {"label_column": "act", "recording_column": "id", "window": 4}


def rows(number: int, start: float, end: str) -> str:
    """Rows of one feature, `start` and up, each with the cells `end`."""
    return "".join(f"{start + row / 8},{end}\n" for row in range(number))


def table(*recordings: str, head: str = "x,act,id") -> str:
    """A table of recordings."""
    return "\n".join([head, *("".join(recordings)).splitlines()]) + "\n"


GOOD = (rows(8, 0, "walk,1"), rows(8, 10, "walk,2"), rows(8, 20, "run,3"), rows(8, 30, "run,4"))


def one(name: str, content: str, sentence: str, **options: Any) -> Broken:
    """A single table with recordings of 8 rows, cut into windows of 4."""
    return Broken(name, {"t.csv": content}, sentence, {**OPTIONS, **options})


def folder(name: str, sentence: str, *files: tuple[str, float]) -> Broken:
    """A folder of files of 40 rows, each with the value that it starts with."""
    contents: dict[str, Any] = {}
    for path, start in files:
        contents[path] = "x\n" + "".join(f"{start + (row * row % 37) / 64}\n" for row in range(40))
    return Broken(name, contents, sentence, {"window": 4}, "DATA")


SPLIT_CASES = (
    one(
        "recordings of unlike length",
        table(*GOOD, rows(5, 40, "run,5")),
        "DATA/t.csv: the recordings have 5 (5) to 8 rows (1). Pass --window to cut windows of equal length from them.",
        window=None,
    ),
    one(
        "several classes in a recording",
        table(rows(8, 0, "walk,1"), rows(8, 9, "run,1")),
        "DATA/t.csv, line 10: the class changes within 1. Pass --window to cut windows from it.",
        window=None,
    ),
    one(
        "recordings shorter than a window",
        table(*GOOD),
        "DATA/t.csv: no recording has the 9 rows of a window. The longest, 1, has 8. Choose a smaller --window.",
        window=9,
    ),
    one(
        "a class in short recordings only",
        table(*GOOD, rows(2, 40, "sit,5")),
        "DATA/t.csv: class sit has no window of 4 rows. Choose a smaller --window, or remove the class.",
    ),
    one(
        "no window of one class",
        table("1,a,1\n2,b,1\n" * 20),
        "DATA/t.csv: no window has a class (--label pure). Label the rows, or choose another rule or a smaller --window.",
        label="pure",
    ),
    one(
        "one class",
        table(*GOOD[:2]),
        "DATA/t.csv: every recording has the same class, walk. Expected at least two classes.",
    ),
    one(
        "each class has its group",
        table(
            rows(8, 0, "a,1,ann"), rows(8, 9, "b,2,ben"), rows(8, 20, "c,3,carl"), head="x,act,id,who"
        ),
        "DATA/t.csv: class a occurs in 1 of 3 groups (ann), so it cannot be both trained and tested. Record it with more groups, or leave the group out if an accuracy for known ones is enough.",
        group_column="who",
    ),
    one(
        "a split without training",
        table(rows(8, 0, "a,1,test"), rows(8, 9, "b,2,test"), head="x,act,id,part"),
        "DATA/t.csv: the split of the data set has no train windows. Give train and test, or no split.",
        split_column="part",
    ),
    one(
        "a split without test",
        table(
            rows(8, 0, "a,1,train"),
            rows(8, 9, "b,2,train"),
            rows(8, 20, "b,3,validation"),
            head="x,act,id,part",
        ),
        "DATA/t.csv: the split of the data set has no test windows. Give train and test, or no split.",
        split_column="part",
    ),
    folder(
        "copies in train and test",
        "DATA/train/walk/a.csv, line 2: 40 rows from here on are in DATA/test/walk/c.csv, line 2, too. The first are in train, the second in test, so the accuracy would be too good. Remove the copies, or move them into one split.",
        ("train/walk/a.csv", 0),
        ("train/run/b.csv", 100),
        ("test/walk/c.csv", 0),
        ("test/run/d.csv", 200),
    ),
)
