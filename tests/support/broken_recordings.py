"""Files of Edge Impulse and of the UEA archive that cannot be trained on, each with its sentence."""

from __future__ import annotations

import json
from typing import Any

from tests.support.broken_tables import Broken

SENSORS = [{"name": "accX", "units": "m/s2"}, {"name": "accY", "units": "m/s2"}]
ROWS = [[-9.81, 0.03], [-9.83, 0.04], [-9.12, 0.03], [-9.14, 0.01]]


def document(**payload: Any) -> dict[str, Any]:
    """The example of the documentation, with two of its three sensors."""
    return {
        "protected": {"ver": "v1", "alg": "HS256", "iat": 1564128599},
        "signature": "b0ee0572a1984b93b6bc56e6576e2cbbd6bccd65d0c356e26b31bbc9a48210c6",
        "payload": {
            "device_name": "ac:87:a3:0a:2d:1b",
            "device_type": "DISCO-L475VG-IOT01A",
            "interval_ms": 10,
            "sensors": SENSORS,
            "values": ROWS,
            **payload,
        },
    }


HEADER = "@problemName Demo\n@timeStamps false\n@missing true\n@univariate false\n"
EQUAL = HEADER + "@equalLength true\n@seriesLength 3\n@classLabel true Walk baNana\n@data\n"
UNEQUAL = HEADER + "@equalLength false\n@classLabel true Walk baNana\n@data\n"
GOOD = "1,2,3:4,5,6:Walk\n7,?,9:-1,-2,-3:baNana\n"

TRAIN, TEST = "training/x.1.json", "testing/x.2.json"


def a_file(name: str, content: Any, sentence: str) -> Broken:
    """A single file, as text or as a JSON document."""
    text = content if isinstance(content, str) else json.dumps(content)
    return Broken(name, {"a.json": text}, sentence, data="DATA/a.json")


def an_export(name: str, entry: dict[str, Any], sentence: str) -> Broken:
    """An exported data set of two files, of which `entry` describes the first."""
    files = [{"path": TRAIN, "category": "training", **entry}, {"path": TEST, "label": "b"}]
    contents: dict[str, Any] = {place: json.dumps(document()) for place in (TRAIN, TEST)}
    contents["info.labels"] = json.dumps({"version": 1, "files": files})
    return Broken(name, contents, sentence, data="DATA")


def an_archive(name: str, content: str | bytes, sentence: str) -> Broken:
    """A .ts file."""
    return Broken(name, {"demo.ts": content}, sentence, data="DATA/demo.ts")


SEGMENTS = [{"label": "a", "startIndex": 0, "endIndex": 99}]

JSON_CASES = (
    a_file(
        "not JSON",
        '{"payload": {\n"x": }',
        "DATA/a.json, line 2: is not JSON: Expecting value. Export the data set again.",
    ),
    a_file("no end", "[" * 100_000, "DATA/a.json: is not JSON in UTF-8. Export the data set again."),
    a_file(
        "a list",
        [1],
        "DATA/a.json: has no payload. Expected a JSON file in Edge Impulse's data acquisition format.",
    ),
    a_file(
        "no payload",
        {"protected": {}},
        "DATA/a.json: has no payload. Expected a JSON file in Edge Impulse's data acquisition format.",
    ),
    a_file(
        "no sensors",
        document(sensors=[]),
        "DATA/a.json: expected payload.sensors, a list of objects with a name.",
    ),
    a_file(
        "a name is missing",
        document(sensors=[{"units": "g"}] * 2),
        "DATA/a.json: expected payload.sensors, a list of objects with a name.",
    ),
    a_file(
        "names twice",
        document(sensors=[SENSORS[0]] * 2),
        "DATA/a.json: two of its sensors have the same name. Rename one of them.",
    ),
    a_file(
        "no interval",
        document(interval_ms=None),
        "DATA/a.json: payload.interval_ms is null. Expected the milliseconds from one row to the next.",
    ),
    a_file(
        "interval",
        document(interval_ms=-1),
        "DATA/a.json: payload.interval_ms is -1. Expected the milliseconds from one row to the next.",
    ),
    a_file(
        "no values",
        document(values=[]),
        "DATA/a.json: holds no values. Expected payload.values, a list of rows.",
    ),
    a_file(
        "narrow row",
        document(values=[*ROWS, [1]]),
        "DATA/a.json: payload.values[4] has 1 values. Expected 2, one for each sensor.",
    ),
    a_file(
        "text",
        document(values=[[1, "x"]]),
        'DATA/a.json: payload.values[0] holds "x". Expected a number or null.',
    ),
    a_file(
        "true",
        document(values=[[1, True]]),
        "DATA/a.json: payload.values[0] holds true. Expected a number or null.",
    ),
    a_file(
        "large",
        document(values=[[1, 2], [1, 1e300]]),
        "DATA/a.json: payload.values[1] is too large for float32. Remove the row.",
    ),
    a_file(
        "larger",
        document(values=[[1, 10**400]]),
        "DATA/a.json: payload.values[0] is too large for float32. Remove the row.",
    ),
    a_file(
        "audio",
        document(values=["Ref-BINARY-audio/wav"]),
        "DATA/a.json: payload.values[0] is not a list of numbers. Expected 2, one for each sensor.",
    ),
    Broken(
        "info.labels: no label",
        {"a.json": json.dumps(document()), "info.labels": '{"files": [{"path": "a.json"}]}'},
        "DATA: no file has a label. Label the data, and export it again.",
        data="DATA",
    ),
    an_export(
        "info.labels: label",
        {"label": {"type": "boxes"}},
        'DATA/info.labels: files[0]: label {"type": "boxes"}. Expected the type label, multi-label or unlabeled.',
    ),
    an_export(
        "info.labels: category",
        {"category": "anomaly"},
        "DATA/info.labels: files[0]: category 'anomaly'. Expected training or testing.",
    ),
    an_export(
        "info.labels: metadata",
        {"label": "a", "metadata": [1]},
        "DATA/info.labels: files[0]: expected metadata to be an object. Export the data set again.",
    ),
    an_export(
        "info.labels: path",
        {"path": 3},
        "DATA/info.labels: files[0]: expected an object with a path. Export the data set again.",
    ),
    an_export(
        "info.labels: file",
        {"path": "training/y.json"},
        "DATA/info.labels: files[0]: there is no file 'training/y.json'. Export the data set again.",
    ),
    an_export(
        "info.labels: outside",
        {"path": "../x.json"},
        "DATA/info.labels: files[0]: there is no file '../x.json'. Export the data set again.",
    ),
    an_export(
        "info.labels: kind",
        {"path": "info.labels"},
        "DATA/info.labels: is not JSON in the data acquisition format. Remove it from DATA/info.labels.",
    ),
    an_export(
        "info.labels: end",
        {"label": {"type": "multi-label", "labels": SEGMENTS}},
        "DATA/training/x.1.json: the last label of info.labels ends at 99, the file has 4 rows of 10 ms. Expected 3 in rows or about 40 in milliseconds.",
    ),
    an_export(
        "info.labels: order",
        {"label": {"type": "multi-label", "labels": [{**SEGMENTS[0], "startIndex": 5}, *SEGMENTS]}},
        "DATA/info.labels: files[0]: its labels are not in the order of time. Sort them.",
    ),
    an_export(
        "info.labels: segment",
        {"label": {"type": "multi-label", "labels": [{"label": "a"}]}},
        'DATA/info.labels: files[0]: {"label": "a"}. Expected label, startIndex and endIndex, in order.',
    ),
)

TS_CASES = (
    an_archive(
        "text as a value",
        EQUAL + "1,2,3:4,5,x7:walk\n",
        "DATA/demo.ts, line 9: 'x7' is not a number. Expected numbers or ?, ':' between channels, and a class.",
    ),
    an_archive(
        "empty value",
        EQUAL + "1,2,3:4,,6:walk\n",
        "DATA/demo.ts, line 9: a value is empty. Expected numbers or ?, ':' between channels, and a class.",
    ),
    an_archive(
        "channel too short",
        EQUAL + GOOD + "1,2,3:4,5:walk\n",
        "DATA/demo.ts, line 11: a channel is missing, or a channel has another length. Expected numbers or ?, ':' between channels, and a class.",
    ),
    an_archive(
        "channel lacks",
        EQUAL + GOOD + "1,2,3:walk\n",
        "DATA/demo.ts, line 11: a channel is missing, or a channel has another length. Expected numbers or ?, ':' between channels, and a class.",
    ),
    an_archive(
        "unknown class",
        EQUAL + GOOD + "1,2,3:4,5,6:run\n",
        "DATA/demo.ts, line 11: class 'run' is not in the header. Expected one of Walk, baNana.",
    ),
    an_archive(
        "several channels",
        EQUAL.replace("variate false", "variate true") + GOOD,
        "DATA/demo.ts, line 10: has several channels, while the header says @univariate true. Expected numbers or ?, ':' between channels, and a class.",
    ),
    an_archive(
        "no series", EQUAL, "DATA/demo.ts: holds no series. Expected one on each line after @data."
    ),
    an_archive(
        "no @data", HEADER, "DATA/demo.ts: has no line @data. Expected a .ts file of the UEA archive."
    ),
    an_archive(
        "no classes",
        HEADER + "@classLabel false\n@data\n1:2\n",
        "DATA/demo.ts: its series have no class (@classLabel false). Training needs one for each.",
    ),
    an_archive(
        "no names of classes",
        HEADER + "@classLabel true\n@data\n1:2\n",
        "DATA/demo.ts: its header names no classes. Expected @classLabel true and the names.",
    ),
    an_archive(
        "names differ in case",
        HEADER + "@classLabel true a A\n@data\n",
        "DATA/demo.ts: two classes in its header differ in case only. Rename one of them.",
    ),
    an_archive(
        "a number to predict",
        HEADER + "@targetLabel true\n@data\n1:2\n",
        "DATA/demo.ts: its series have a number to predict. Expected classes (@classLabel).",
    ),
    an_archive(
        "time stamps",
        EQUAL.replace("timeStamps false", "timeStamps true"),
        "DATA/demo.ts: time stamps are not supported. Save them as CSV, and pass --time-column.",
    ),
    an_archive(
        "another encoding",
        b"@problemName \xff\xfe\n@data\n",
        "DATA/demo.ts: is not text in UTF-8. Expected a .ts file.",
    ),
    an_archive(
        "another encoding far below",
        EQUAL.encode() + GOOD.encode() * 1000 + b"1,2:4,5:\xff\n",
        "DATA/demo.ts: is not text in UTF-8. Expected a .ts file.",
    ),
)
