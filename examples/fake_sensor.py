"""A fake sensor: prints the rows of a made-up accelerometer, for `edge-rnn stream` to classify.

    python examples/npz_sensor.py            # once: makes the model
    python examples/fake_sensor.py | edge-rnn stream npz-sensor/activity-int8.tflite --hop 25

A line is a row: x, y and z in g, separated by spaces. The activity changes every 100 rows, four
seconds at the usual rate: still, walking, running, cycling, and again from the start. The command
answers with a line of JSON after every 25 rows, as soon as its window of 32 rows is full. Around a
change the window holds rows of both activities.

    --rate 25     rows a second; 0 prints them as fast as they are read
    --rows 400    how many; 0 does not stop
    --seed 0      the same seed prints the same rows

The sensor ends without a word when its reader goes away, so that

    python examples/fake_sensor.py --rate 0 | head -3

prints three rows. A sensor that cannot wait for its reader needs `edge-rnn stream --drop-late`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from itertools import count, cycle, islice

import numpy as np

from accelerometer import LABELS, RATE, record

STRETCH = 100  # rows from one change of activity to the next


def rows(seed: int) -> Iterator[np.ndarray]:
    """Yield rows `[3]` in g without end, one activity after the other."""
    rng = np.random.default_rng(seed)
    for activity in cycle(LABELS):
        yield from record(activity, STRETCH, rng)


def send(stream: Iterator[np.ndarray], rate: float) -> None:
    """Print every row when it is due, and at once: a reader must not wait for a full buffer."""
    start = time.monotonic()
    for number, row in zip(count(), stream):
        if rate:
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
        print(" ".join(f"{value:.4f}" for value in row), flush=True)


def main() -> None:
    """Send rows until there are enough, or nobody reads them, or Ctrl-C is pressed."""
    parser = argparse.ArgumentParser(
        description="Print the rows of a made-up accelerometer.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rate", type=float, default=RATE, help="rows a second; 0: no pause")
    parser.add_argument("--rows", type=int, default=400, help="how many; 0: without end")
    parser.add_argument("--seed", type=int, default=0, help="chooses the rows")
    options = parser.parse_args()
    if options.rate < 0 or options.rows < 0 or options.seed < 0:
        parser.error("--rate, --rows and --seed take 0 or more")
    try:
        send(islice(rows(options.seed), options.rows or None), options.rate)
    except BrokenPipeError:
        # Python writes what is left in the buffer when it ends; give it a place that takes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
