"""Makes recordings of synthetic people with a sensor at the hip: what the example trains on.

    python examples/human_activity/generate.py                  # writes human-activity/recordings

Nothing is downloaded. Eight subjects do six activities, one minute each, with an accelerometer (g), a
gyroscope (rad/s) and a magnetometer (uT) at 50 Hz. Each recording is a CSV file with a header:

    time,subject,activity,acc_x,acc_y,acc_z,gyro_x,gyro_y,gyro_z,mag_x,mag_y,mag_z

A ninth person, who is in none of these files, does all activities in turn: new-person.csv, for
`edge-rnn stream`.

How a recording comes about. The body sways about three axes and moves along three, each by a sum of
three harmonics of the cadence. From the angles follow the rotation rate, by differences, and the
directions of gravity and of the Earth's field in the body's frame. The sensor turns all of them into its
own frame and adds an offset and noise. What differs between people (`Subject`) is what differs between
real ones: cadence, strength, gait (the size and phase of each harmonic), posture, how the sensor is
worn, and the offsets of gyroscope and magnetometer. It is the same in all recordings of a subject. The
figures are plausible guesses, and not measurements. How far a random split is from one by subject
depends on them.

The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 50.0  # rows a second
SUBJECTS = 8
CHANNELS = tuple(f"{kind}_{axis}" for kind in ("acc", "gyro", "mag") for axis in "xyz")

NOISE = np.repeat([0.02, 0.03, 0.6], 3)  # standard deviation: g, rad/s, uT
EARTH_FIELD = np.array([20.0, 0.0, -44.0])  # uT: north and down, in central Europe
HARMONICS = np.array([1.0, 2.0, 3.0])


@dataclass(frozen=True)
class Activity:
    """What an activity looks like in a typical person."""

    cadence: float  # hertz, of strides or turns of the pedals
    swing: tuple[float, float, float]  # g: forward, sideways, up
    sway: tuple[float, float, float]  # radians: roll, pitch, yaw
    harmonics: tuple[float, float, float]  # weights of the cadence and its multiples
    pitch: float  # radians, of the trunk: positive leans forward


ACTIVITIES = {
    "sitting": Activity(0.25, (0.005, 0.005, 0.01), (0.01, 0.015, 0.01), (1.0, 0.2, 0.0), -0.60),
    "standing": Activity(0.35, (0.01, 0.01, 0.01), (0.02, 0.02, 0.02), (1.0, 0.3, 0.1), 0.02),
    "walking": Activity(0.95, (0.18, 0.10, 0.25), (0.06, 0.06, 0.14), (0.4, 1.0, 0.3), 0.05),
    "upstairs": Activity(0.72, (0.14, 0.14, 0.20), (0.11, 0.09, 0.08), (0.8, 1.0, 0.1), 0.25),
    "downstairs": Activity(1.05, (0.16, 0.14, 0.42), (0.08, 0.05, 0.07), (0.5, 1.0, 0.7), -0.05),
    "cycling": Activity(1.25, (0.05, 0.05, 0.08), (0.12, 0.03, 0.04), (1.0, 0.3, 0.1), 0.60),
}


@dataclass(frozen=True)
class Subject:
    """What makes a person's recordings alike."""

    name: str
    tempo: float
    """Factor of every cadence."""
    strength: float
    """Factor of every movement."""
    gait: NDArray[np.float64]
    """[6, 3]: factor of each harmonic of each movement."""
    phase: NDArray[np.float64]
    """[6, 3]: its phase, radians."""
    posture: float
    """Radians, added to every pitch."""
    worn: NDArray[np.float64]
    """[3, 3]: the rotation from the body's frame to the sensor's."""
    offset: NDArray[np.float64]
    """[9]: of every channel."""

    @classmethod
    def random(cls, name: str, rng: np.random.Generator) -> Subject:
        """Someone whose traits are drawn from `rng`."""
        # A belt clip turns about the vertical axis most: it sits further to the front or to the back.
        angles = rng.normal(0.0, [0.1, 0.1, 0.3])
        return cls(
            name,
            tempo=float(np.exp(rng.normal(0.0, 0.1))),
            strength=float(np.exp(rng.normal(0.0, 0.2))),
            gait=np.exp(rng.normal(0.0, 0.2, (6, 3))),
            phase=rng.normal(0.0, 0.4, (6, 3)),
            posture=float(rng.normal(0.0, 0.1)),
            worn=rotations(angles[np.newaxis])[0],
            offset=rng.normal(0.0, np.repeat([0.01, 0.03, 4.0], 3)),
        )


def rotations(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrices `[N, 3, 3]` of roll, pitch and yaw `[N, 3]` in radians, about x, y and z, z first."""
    (a, b, c), (x, y, z) = np.cos(angles).T, np.sin(angles).T
    rows = [
        [b * c, x * y * c - a * z, a * y * c + x * z],
        [b * z, x * y * z + a * c, a * y * z - x * c],
        [-y, x * b, a * b],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def record(
    subject: Subject, activity: Activity, rows: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """One recording `[rows, 9]` in the units of CHANNELS."""
    # The pace of a person drifts by a few percent, and turns on the way change the direction.
    pace = activity.cadence * subject.tempo * np.exp(rng.normal(0.0, 0.03) + _drift(rows, 0.04, rng))
    turns = 2 * np.pi * (np.cumsum(pace) / RATE + rng.uniform())
    angles = turns[:, np.newaxis, np.newaxis] * HARMONICS + subject.phase
    weights = np.array(activity.harmonics) * subject.gait
    size = np.array([*activity.swing, *activity.sway]) * subject.strength
    strength = np.exp(_drift(rows, 0.1, rng))[:, np.newaxis]
    moves = size * strength * (weights * np.sin(angles)).sum(axis=2)
    swing, sway = moves[:, :3], moves[:, 3:]

    sway[:, 1] += activity.pitch + subject.posture + rng.normal(0.0, 0.04)
    sway[:, 2] += rng.uniform(0, 2 * np.pi) + _drift(rows, 0.5, rng)
    turned = rotations(sway)
    # A vector v of the world is R^T v in the body's frame; einsum sums over the world's axis.
    gravity = np.einsum("nij,i->nj", turned, [0.0, 0.0, 1.0])
    field = np.einsum("nij,i->nj", turned, EARTH_FIELD)
    rate = np.gradient(np.unwrap(sway, axis=0), 1 / RATE, axis=0)
    measured = [part @ subject.worn.T for part in (gravity + swing, rate, field)]
    return np.hstack(measured) + subject.offset + rng.normal(0.0, NOISE, (rows, len(NOISE)))


def _drift(rows: int, size: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """`[rows]`: a slow random curve of standard deviation `size`, a new value every four seconds."""
    knots = rng.normal(0.0, size, int(rows / RATE / 4) + 2)
    return np.interp(np.arange(rows) / RATE / 4, np.arange(len(knots)), knots)


Part = tuple[str, str, NDArray[np.float64]]
"""Subject, activity and values `[rows, 9]` of a recording."""


def recordings(number: int, name: str, seconds: float, seed: int) -> list[Part]:
    """A recording of each activity by the person with that number."""
    rng = np.random.default_rng([seed, number])
    subject, rows = Subject.random(name, rng), round(seconds * RATE)
    return [
        (name, label, record(subject, activity, rows, rng)) for label, activity in ACTIVITIES.items()
    ]


def write_csv(path: Path, parts: list[Part]) -> None:
    """Write recordings one after the other into one file."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("time", "subject", "activity", *CHANNELS))
        row = 0
        for subject, activity, values in parts:
            for value in values:
                writer.writerow((f"{row / RATE:.2f}", subject, activity, *(f"{v:.4f}" for v in value)))
                row += 1


def main() -> None:
    """Write every file."""
    parser = argparse.ArgumentParser(
        description="Make recordings of synthetic people.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("human-activity"), help="folder to write")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a recording")
    parser.add_argument("--seed", type=int, default=0, help="chooses the people")
    options = parser.parse_args()
    folder = options.out / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, SUBJECTS + 1):
        for part in recordings(number, f"subject-{number}", options.seconds, options.seed):
            write_csv(folder / f"{part[0]}-{part[1]}.csv", [part])
    print(f"{folder}: {SUBJECTS * len(ACTIVITIES)} recordings of {SUBJECTS} subjects")
    new = options.out / "new-person.csv"
    write_csv(new, recordings(SUBJECTS + 1, "new-person", options.seconds / 4, options.seed))
    print(f"{new}: all activities of a person who is in none of them")


if __name__ == "__main__":
    main()
