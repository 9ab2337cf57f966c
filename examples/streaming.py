"""Streaming in Python: rows go in one by one, a prediction comes out after every eighth.

    python examples/npz_sensor.py            # once: makes the model
    python examples/streaming.py             # or with the path of the model

The rows are those of `fake_sensor.py`; in your program they come from the sensor. The example prints
every prediction beside the activity that the sensor is really in, and in the end how many were right
among the windows that lie within one activity. It needs what a device needs, no TensorFlow.
"""

from __future__ import annotations

import argparse
from itertools import islice

from accelerometer import LABELS
from edge_runtime import EdgeRnnError, StreamingClassifier
from fake_sensor import STRETCH, rows

ROWS = 2 * STRETCH * len(LABELS)


def run(path: str) -> None:
    """Classify ROWS rows of the sensor with the model at `path`."""
    right = judged = 0
    with StreamingClassifier(path, hop=8) as stream:
        for row in islice(rows(seed=3), ROWS):
            prediction = stream.push(row)  # [3], raw, in g as in training
            if prediction is None:  # the window is not full, or no prediction is due
                continue
            begin, end = stream.rows - stream.spec.steps, stream.rows - 1
            activity = LABELS[end // STRETCH % len(LABELS)]
            mixed = begin // STRETCH != end // STRETCH
            note = "" if not mixed else "   the window holds the change"
            probability = prediction.probabilities[prediction.index]
            print(f"row {stream.rows:3}  {activity:8} -> {prediction.label:8} {probability:6.1%}{note}")
            judged += not mixed
            right += not mixed and prediction.label == activity
    print(f"{right} of {judged} windows within one activity are right")


def main() -> None:
    """Take the path of the model from the command line."""
    parser = argparse.ArgumentParser(description="Classify the rows of a made-up accelerometer.")
    parser.add_argument("model", nargs="?", default="npz-sensor/activity-int8.tflite")
    try:
        run(parser.parse_args().model)
    except EdgeRnnError as error:  # no such file, no engine, a row that is not one
        parser.exit(2, f"{error}\nThe example npz_sensor.py makes npz-sensor/activity-int8.tflite.\n")


if __name__ == "__main__":
    main()
