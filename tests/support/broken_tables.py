"""Tables and folders that cannot be trained on, each with the sentence that says why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TABLE = "x,y,act\n1,2,walk\n3,4,walk\n5,6,run\n7,8,run\n"
MEASURED = "x,y\n1,2\n3,4\n"
TIMED = "time,x,act\n0,1,a\n1,2,a\n2,3,a\n3,4,b\n4,5,b\n"
LABELLED = {"label_column": "act"}
WITH_TIME = {"label_column": "act", "time_column": "time"}


@dataclass(frozen=True)
class Broken:
    """A data set, which is put into the folder DATA, the options to read it with, and the sentence."""

    name: str
    files: dict[str, str | bytes | None]
    """Path below DATA -> content; None for an empty folder."""
    sentence: str
    options: dict[str, Any] = field(default_factory=dict)
    data: str = "DATA/t.csv"
    """What to read, relative to the folder that holds DATA."""

    def write(self, folder: Path) -> None:
        """Put DATA into `folder`."""
        for name, content in self.files.items():
            path = folder / "DATA" / name
            if content is None:
                path.mkdir(parents=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def one(name: str, content: str | bytes, sentence: str, **options: Any) -> Broken:
    """A single table with a column `act` of labels."""
    return Broken(name, {"t.csv": content}, sentence, {**LABELLED, **options})


def folder(name: str, sentence: str, files: dict[str, str | bytes | None], **options: Any) -> Broken:
    """A folder, without a column of labels unless `options` name one."""
    return Broken(name, files, sentence, options, "DATA")


def replaced(old: str, new: str, table: str = TABLE) -> str:
    """The table with one text in place of another."""
    assert old in table
    return table.replace(old, new)


CASES = (
    # The file
    one("empty file", "", "DATA/t.csv: is empty. Expected rows of numbers."),
    one("blank lines only", "\n\n", "DATA/t.csv: is empty. Expected rows of numbers."),
    one("header only", "x,y,act\n", "DATA/t.csv: holds a header and no rows. Expected rows of numbers."),
    one("comments only", "# a\n# b\n", "DATA/t.csv: is empty. Expected rows of numbers."),
    one(
        "Latin-1",
        replaced("walk", "größer").encode("latin-1"),
        "DATA/t.csv, line 2: is not text in UTF-8 (byte 0xf6; Windows-1252 or Latin-1?). Save the file in UTF-8.",
    ),
    one("UTF-16", TABLE.encode("utf-16"), "DATA/t.csv: is text in UTF-16. Save it in UTF-8."),
    one(
        "UTF-16 without a mark",
        TABLE.encode("utf-16-le"),
        "DATA/t.csv: is text in UTF-16. Save it in UTF-8.",
    ),
    one(
        "Excel",
        b"PK\x03\x04" + bytes(40),
        "DATA/t.csv: is a ZIP archive or an Excel file, not text. Unpack it, or save it as CSV.",
    ),
    one(
        "old Excel",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(40),
        "DATA/t.csv: is an old Excel file, not text. Save it as CSV.",
    ),
    one("gzip", b"\x1f\x8b\x08\x00" + bytes(40), "DATA/t.csv: is a gzip file, not text. Unpack it."),
    one(
        "Parquet called CSV",
        b"PAR1" + bytes(40),
        "DATA/t.csv: is a Parquet file, not text. Rename it to .parquet.",
    ),
    one(
        "binary",
        b"\x01\x02\x03\x04\x05\x00\xff",
        "DATA/t.csv: is a binary file, not text. Expected a CSV file.",
    ),
    one(
        "a zero byte far below",
        TABLE.encode() + b"1,2,run\n" * 200_000 + b"1,\0\0\0\n",
        "DATA/t.csv, line 200006: holds zero bytes, which loggers leave that lost their power. Remove the line.",
    ),
    Broken(
        "no such file", {"t.csv": TABLE}, "DATA/u.csv: no such file or folder.", LABELLED, "DATA/u.csv"
    ),
    Broken(
        "no Parquet",
        {"t.parquet": TABLE},
        "DATA/t.parquet: cannot be read as a table (...).",
        LABELLED,
        "DATA/t.parquet",
    ),
    Broken(
        "cut Parquet",
        {"t.parquet": b"PAR1" + bytes(20) + b"PAR1"},
        "DATA/t.parquet: cannot be read as a table (...).",
        LABELLED,
        "DATA/t.parquet",
    ),
    # Lines
    one(
        "short line",
        replaced("3,4,walk", "3,4"),
        "DATA/t.csv, line 3: 2 cells. Expected 3, as in the first line. Complete the line or remove it.",
    ),
    one(
        "long line",
        replaced("3,4,walk", "3,4,5,walk"),
        "DATA/t.csv, line 3: 4 cells. Expected 3, as in the first line. Complete the line or remove it.",
    ),
    one(
        "short last line",
        TABLE + "7,",
        "DATA/t.csv, line 6: 2 cells. Expected 3, as in the first line. Complete the line or remove it.",
    ),
    one(
        "open quotation mark",
        replaced("3,4,walk", '3,4,"walk'),
        "DATA/t.csv, line 3: quotation marks that do not fit (unexpected end of data). Correct or remove them.",
    ),
    one(
        "cell without an end",
        '"' + "x" * 200_000,
        "DATA/t.csv: a cell or a quotation mark without an end (field larger than field limit (131072)). Expected a CSV file.",
    ),
    one(
        "quotation marks in the header",
        replaced("x,", '"x"x,'),
        "DATA/t.csv, line 1: quotation marks that do not fit (',' expected after '\"'). Correct or remove them.",
    ),
    one(
        "text behind a quotation mark",
        replaced("3,4,walk", '3,4,"wa"lk'),
        "DATA/t.csv, line 3: quotation marks that do not fit (',' expected after '\"'). Correct or remove them.",
    ),
    one(
        "semicolons in some lines",
        replaced("3,4,walk", "3;4;walk"),
        "DATA/t.csv, line 3: 1 cell. Expected 3, as in the first line. Complete the line or remove it.",
    ),
    one(
        "spaces between",
        "x y act\n1 2 walk\n3 4 run\n",
        "DATA/t.csv: spaces separate the columns. Expected commas, semicolons or tabs. Replace them.",
    ),
    # Columns
    one(
        "two columns of one name",
        replaced("x,y,act", "x,x,act"),
        "DATA/t.csv: two columns have the name 'x'. Rename one of them.",
    ),
    one(
        "column without a name",
        replaced("x,y,act", ",y,act"),
        "DATA/t.csv: column 1 has no name, and may only count the rows. Name the features with --feature-columns.",
    ),
    one(
        "no label column",
        TABLE,
        "--label-column: missing. Which column of DATA/t.csv holds the class of each row?",
        label_column=None,
    ),
    one(
        "no such label column",
        TABLE,
        "--label-column: DATA/t.csv has no column 'label'. Its columns: x, y, act.",
        label_column="label",
    ),
    one(
        "no such label column, no header",
        "1,2,walk\n3,4,run\n",
        "--label-column: DATA/t.csv has no column 'act'. Its columns: 1, 2, 3.",
    ),
    one(
        "no such feature",
        TABLE,
        "--feature-columns: DATA/t.csv has no column 'z'. Its columns: x, y, act.",
        feature_columns=("x", "z"),
    ),
    one(
        "label as a feature",
        TABLE,
        "--feature-columns: 'act' is also --label-column. Leave it out of the features.",
        feature_columns=("x", "act"),
    ),
    one(
        "label as the group",
        TABLE,
        "--label-column: 'act' is also --group-column. Name another column.",
        group_column="act",
    ),
    one(
        "no features",
        "act\nwalk\nrun\n",
        "DATA/t.csv: no column is left as a feature. Expected columns of measurements.",
    ),
    one(
        "time as a feature",
        TIMED,
        "DATA/t.csv: column 'time' does not look like a feature. Pass --time-column time, or name the features with --feature-columns.",
    ),
    one(
        "time in ms as a feature",
        replaced("time", "Timestamp (ms)", TIMED),
        "DATA/t.csv: column 'Timestamp (ms)' does not look like a feature. Pass --time-column 'Timestamp (ms)', or name the features with --feature-columns.",
    ),
    one(
        "subject as a feature",
        replaced("x,", "subject,"),
        "DATA/t.csv: column 'subject' does not look like a feature. Pass --group-column subject, or name the features with --feature-columns.",
    ),
    one(
        "number of the row as a feature",
        replaced("x,", "Unnamed: 0,"),
        "DATA/t.csv: column 'Unnamed: 0' does not look like a feature. Name the features with --feature-columns.",
    ),
    one(
        "text as a feature",
        "x,place,act\n1,home,walk\n2,home,run\n",
        "DATA/t.csv, line 2: column 'place' holds 'home', which is no number. Correct it, or name the features with --feature-columns.",
    ),
    # Cells
    one(
        "text in a column of numbers",
        replaced("5,6", "5,six"),
        "DATA/t.csv, line 4: column 'y' holds 'six', which is no number. Correct it, or name the features with --feature-columns.",
    ),
    one(
        "underscore",
        replaced("5,6", "5,6_0"),
        "DATA/t.csv, line 4: column 'y' holds '6_0', which is no number. Correct it, or name the features with --feature-columns.",
    ),
    one(
        "decimal comma and point",
        "x;act\n1,5;a\n1.5;b\n",
        "DATA/t.csv, line 2: column 'x' holds '1,5', which is no number. Correct it, or name the features with --feature-columns.",
    ),
    one(
        "header repeated",
        TABLE + TABLE,
        "DATA/t.csv, line 6: column 'x' holds 'x', which is no number. Correct it, or name the features with --feature-columns.",
    ),
    one(
        "missing value",
        replaced("5,6", "5,"),
        "DATA/t.csv, line 4: column 'y' has no value. Pass --fill previous, linear, zero or split.",
    ),
    one(
        "NaN",
        replaced("5,6", "NaN,6"),
        "DATA/t.csv, line 4: column 'x' has no value. Pass --fill previous, linear, zero or split.",
    ),
    one(
        "infinity",
        replaced("5,6", "inf,6"),
        "DATA/t.csv, line 4: column 'x' holds infinity. Leave the cell empty, and pass --fill.",
    ),
    one(
        "beyond float32",
        replaced("5,6", "1e39,6"),
        "DATA/t.csv, line 4: column 'x' holds 1e+39, which is beyond float32. Scale the column.",
    ),
    one(
        "beyond float64",
        replaced("5,6", "1e999,6"),
        "DATA/t.csv, line 4: column 'x' holds infinity. Leave the cell empty, and pass --fill.",
    ),
    one(
        "integer of 50 digits",
        replaced("5,6", "9" * 50 + ",6"),
        "DATA/t.csv, line 4: column 'x' holds 1e+50, which is beyond float32. Scale the column.",
    ),
    one("no labels", "x,act\n1,\n2,\n", "DATA/t.csv: column 'act' is empty. Expected a class in it."),
    one(
        "empty group",
        "x,act,who\n1,a,ann\n2,b,\n",
        "DATA/t.csv, line 3: column 'who' is empty. Complete it, or remove the line.",
        group_column="who",
    ),
    one(
        "empty recording",
        "x,act,id\n1,a,7\n2,b,\n",
        "DATA/t.csv, line 3: column 'id' is empty. Complete it, or remove the line.",
        recording_column="id",
    ),
    one(
        "unknown split",
        "x,act,part\n1,a,train\n2,b,dev\n",
        "DATA/t.csv, line 3: column 'part' holds 'dev'. Expected train, validation or test.",
        split_column="part",
    ),
    one(
        "class without training",
        "x,act,part\n1,a,train\n2,b,test\n",
        "DATA/t.csv, line 3: class 'b' in the test split has no rows in the train split. Add some, or remove the class.",
        split_column="part",
    ),
    # Times
    one(
        "gap",
        replaced("3,4,b\n4,5,b", "6,4,b\n7,5,b", TIMED),
        "DATA/t.csv, line 5: 4 s after the row before, where the median step is 1 s. Pass --fill previous, linear, zero or split.",
        time_column="time",
    ),
    one(
        "back in time",
        replaced("3,4,b", "1.5,4,b", TIMED),
        "DATA/t.csv, line 5: an earlier time than in the row before. Sort the rows by time, pass --recording-column if they belong to several recordings, or pass --fill split.",
        time_column="time",
    ),
    one(
        "repeated time",
        replaced("3,4,b", "2,4,b", TIMED),
        "DATA/t.csv, line 5: the same time as in the row before. Sort the rows by time, pass --recording-column if they belong to several recordings, or pass --fill split.",
        time_column="time",
    ),
    one(
        "no time",
        replaced("3,4,b", ",4,b", TIMED),
        "DATA/t.csv, line 5: no time. Complete the time column, or remove the line.",
        time_column="time",
    ),
    one(
        "text as time",
        replaced("3,4,b", "noon,4,b", TIMED),
        "DATA/t.csv, line 5: column 'time' holds 'noon', which is no number. Correct it.",
        time_column="time",
    ),
    one(
        "odd date",
        "when,x,act\n2025-01-31T12:00:00,1,a\n31.1.2025,2,b\n",
        "DATA/t.csv, line 3: column 'when' holds '31.1.2025', which is no time. Expected seconds, dates such as 2025-01-31T12:00:00.5, or 12:00:00.5.",
        time_column="when",
    ),
    one(
        "milliseconds since 1970",
        "time,x,act\n1700000000000,1,a\n1700000000010,2,b\n",
        "DATA/t.csv: times such as 1700000000000 in column 'time' are too late for seconds. End its name with the unit: _ms, _us or _ns.",
        time_column="time",
    ),
    one(
        "too long a gap to fill",
        replaced("4,5,b", "40,5,b", TIMED),
        "DATA/t.csv, line 6: 37 s after the row before. With such gaps more rows would be filled in than were recorded. Pass --fill split.",
        time_column="time",
        fill="linear",
    ),
    one(
        "nothing to fill with",
        "x,act\n,a\n,b\n",
        "DATA/t.csv, line 2: no value of 'x' in the whole recording, so --fill linear has none to go by. Remove the recording, or pass --fill zero.",
        fill="linear",
    ),
    one(
        "nothing left",
        "x,act\n,a\n,b\n",
        "DATA/t.csv, line 2: --fill split leaves nothing, as no row is complete.",
        fill="split",
    ),
    # Folders
    folder(
        "empty folder", "DATA: holds no files. Expected .csv, .tsv, .txt, .parquet, .pq.", {"": None}
    ),
    folder(
        "empty class",
        "DATA/run: the class has no files. Add some, or remove the folder.",
        {"walk/a.csv": MEASURED, "run": None},
    ),
    folder(
        "class with an empty group",
        "DATA/run/ann: holds no files. Add some, or remove the folder.",
        {"walk/ann/a.csv": MEASURED, "run/ann": None},
    ),
    folder(
        "flat folder without labels",
        "DATA: nothing says the class of a.csv. Pass --label-column, or put the files into a folder for each class.",
        {"a.csv": MEASURED, "b.csv": MEASURED},
    ),
    folder(
        "files beside classes",
        "DATA: holds files (a.csv) and folders (walk). Expected one kind.",
        {"a.csv": MEASURED, "walk/b.csv": MEASURED},
    ),
    folder(
        "files beside groups",
        "DATA/walk: holds files (b.csv) and folders (ann). Expected files, or a folder of files for each group.",
        {"walk/b.csv": MEASURED, "walk/ann/b.csv": MEASURED},
    ),
    folder(
        "too deep",
        "DATA/walk/ann/monday: one folder too deep. Expected files in ann/.",
        {"walk/ann/monday/b.csv": MEASURED},
    ),
    folder(
        "another kind of file",
        "DATA/walk/notes.docx: is no table. Expected .csv, .tsv, .txt, .parquet, .pq. Move it out of the data set.",
        {"walk/a.csv": MEASURED, "walk/notes.docx": "x"},
    ),
    folder(
        "folder with a file's name",
        "DATA/walk/a.csv: is a folder, though its name is that of a file. Rename it.",
        {"walk/a.csv/b.csv": MEASURED},
    ),
    folder(
        "folder beside train and test",
        "DATA/raw: lies beside test/ and train/. Expected nothing but these.",
        {"train/a/a.csv": MEASURED, "test/a/a.csv": MEASURED, "raw/a.csv": MEASURED},
    ),
    folder(
        "two folders for training",
        "DATA/training: a second folder for train, beside train/.",
        {"train/a/a.csv": MEASURED, "training/a/a.csv": MEASURED},
    ),
    folder(
        "class only in the test folder",
        "DATA/test/b/a.csv, line 2: class 'b' in the test split has no rows in the train split. Add some, or remove the class.",
        {"train/a/a.csv": MEASURED, "test/b/a.csv": MEASURED},
    ),
    folder(
        "split column and split folders",
        "--split-column: DATA has folders for its splits. Leave the option out.",
        {"train/a.csv": TABLE, "test/a.csv": TABLE},
        **LABELLED,
        split_column="act",
    ),
    folder(
        "column lacks",
        "DATA/walk/b.csv: has no column 'y'. Expected the columns of the first file: x, y.",
        {"walk/a.csv": MEASURED, "walk/b.csv": "x\n1\n"},
    ),
    folder(
        "column too many",
        "DATA/walk/b.csv: has a column 'z', which the first file does not have. Remove it, or name the features with --feature-columns.",
        {"walk/a.csv": MEASURED, "walk/b.csv": "x,y,z\n1,2,3\n"},
    ),
    folder(
        "header in one file only",
        "DATA/walk/b.csv: has no column 'x'. Expected the columns of the first file: x, y.",
        {"walk/a.csv": MEASURED, "walk/b.csv": "1,2\n3,4\n"},
    ),
    folder(
        "groups for one class only",
        "DATA/walk/a.csv: lies in no folder for its group, as DATA/run/ann/b.csv does. Expected folders for groups in each class, or in none.",
        {"walk/a.csv": MEASURED, "run/ann/b.csv": MEASURED},
    ),
    folder(
        "numbers called label",
        "DATA/run/a.csv: column 'label' does not look like a feature. Pass --label-column label, or name the features with --feature-columns.",
        {"walk/a.csv": "x,label\n1,0\n", "run/a.csv": "x,label\n1,1\n"},
    ),
    folder(
        "JSON beside tables",
        "DATA/walk/b.json: is no table. Expected .csv, .tsv, .txt, .parquet, .pq. Move it out of the data set.",
        {"walk/a.csv": MEASURED, "walk/b.json": "{}"},
    ),
)
