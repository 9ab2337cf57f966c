"""Random changes of the training windows, so that a network learns what they have in common.

Sensors: jitter, scaling, rotation, time warping and shifts (Um et al. 2017, arXiv 1706.00527, whose
strengths are the defaults). Pictures: each is moved by a few pixels. Everything is drawn without a
state: the same seed and iteration give the same windows, whatever came before, so that a resumed
training and each of several workers draw what an uninterrupted one draws.

Importable without numpy: the command line checks `--augment` before anything is loaded.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_runtime.errors import InputError

if TYPE_CHECKING:
    from edge_runtime.model_file.normalization import Normalization

GENERATOR = "philox"
"""The same random numbers on every device. TensorFlow would otherwise choose by device."""

WARP_KNOTS = 6
"""The speeds that a time warp draws: one at each end of the window and four between (Um et al. 2017)."""

AXES = 3
"""Features that a rotation turns together: x, y and z."""


@dataclass(frozen=True)
class Strength:
    """What the strength of an augmentation is, and its limits."""

    default: float
    largest: float
    unit: str


STRENGTHS = {
    "rotate": Strength(15.0, 180.0, "the largest angle in degrees"),
    "scale": Strength(0.1, 1.0, "the standard deviation of the factor"),
    "timewarp": Strength(0.2, 1.0, "the standard deviation of the logarithm of the speed"),
    "shift": Strength(0.1, 0.9, "the largest part of the window"),
    "jitter": Strength(0.05, 10.0, "the standard deviation of the noise, in those of the feature"),
}
"""Name -> its strength, in the order in which they are applied: first how the sensor is mounted, then
what it measures, last its noise."""


@dataclass(frozen=True)
class Augmentation:
    """One of STRENGTHS with a strength. `str` gives NAME=STRENGTH, which `parse_augmentations` reads."""

    name: str
    strength: float

    def __str__(self) -> str:
        return f"{self.name}={self.strength:g}"


def parse_augmentations(names: tuple[str, ...]) -> tuple[Augmentation, ...]:
    """The augmentations of `--augment`, each NAME or NAME=STRENGTH, in the order of STRENGTHS.

    Raises InputError with the choices for an unknown name, and for a strength that is no number, out of
    range, or given twice.
    """
    found: dict[str, Augmentation] = {}
    for text in names:
        parsed = _parsed(text)
        if parsed.name in found:
            raise InputError(f"--augment: names {parsed.name} twice. Name each augmentation once.")
        found[parsed.name] = parsed
    return tuple(found[name] for name in STRENGTHS if name in found)


def _parsed(text: str) -> Augmentation:
    name, equals, given = text.strip().partition("=")
    if name not in STRENGTHS:
        raise InputError(
            f"--augment: unknown augmentation {name!r}. Choose {', '.join(sorted(STRENGTHS))}, "
            "each alone or with a strength, as in jitter=0.1."
        )
    limits = STRENGTHS[name]
    try:
        strength = float(given) if equals else limits.default
    except ValueError:
        strength = math.nan
    if not 0 <= strength <= limits.largest:
        raise InputError(
            f"--augment {name}: expected a strength from 0 to {limits.largest:g} ({limits.unit}), "
            f"found {given!r}."
        )
    return Augmentation(name, strength)


def check_features(augmentations: tuple[Augmentation, ...], features: int) -> None:
    """Raises InputError when a rotation needs triples of x, y and z, and `features` are not."""
    if features % AXES and any(each.name == "rotate" for each in augmentations):
        raise InputError(
            f"--augment rotate: turns features three by three (x, y and z), and the windows have "
            f"{features}. Leave rotate out."
        )


def augmented(
    tf: Any,
    windows: Any,
    augmentations: tuple[Augmentation, ...],
    normalization: Normalization,
    seed: Any,
) -> Any:
    """Change each window at random, each differently; also inside a tf.function.

    - `windows`: `[N, steps, features]` float32, normalized with `normalization`; steps and features are
      known when a graph is made. The result has the same shape.
    - `seed`: `[2]` int32, the seed of the training and the iteration. A window's changes depend on these
      and on its place in `windows`, not on the other windows.

    Raises InputError as `check_features` does.
    """
    check_features(augmentations, windows.shape[2])
    for each in augmentations:
        own = own_seed(tf, seed, f"augment {each.name}")
        if each.name == "rotate":
            windows = _rotated(tf, windows, each.strength, normalization, own)
        else:
            windows = _CHANGES[each.name](tf, windows, each.strength, own)
    return windows


def shifted(tf: Any, windows: Any, shift: int, seed: Any) -> Any:
    """Move each window by up to `shift` steps and up to `shift` features, 0 where nothing was.

    For pictures, whose rows are steps and whose columns are features. Arguments as for `augmented`.
    """
    count, steps, features = tf.shape(windows)[0], windows.shape[1], windows.shape[2]
    padded = tf.pad(windows, [[0, 0], [shift, shift], [shift, shift]])
    own = own_seed(tf, seed, "shift")
    starts = tf.random.stateless_uniform(
        [count, 2], own, minval=0, maxval=2 * shift + 1, dtype=tf.int32, alg=GENERATOR
    )
    rows = tf.gather(padded, starts[:, :1] + tf.range(steps), batch_dims=1)
    columns = tf.gather(tf.transpose(rows, [0, 2, 1]), starts[:, 1:] + tf.range(features), batch_dims=1)
    return tf.transpose(columns, [0, 2, 1])


def own_seed(tf: Any, seed: Any, purpose: str) -> Any:
    """A seed for one purpose alone: no augmentation changes because another one is added."""
    return tf.random.fold_in(seed, zlib.crc32(purpose.encode()) >> 1, alg=GENERATOR)


def _normal(tf: Any, shape: list[Any], seed: Any) -> Any:
    return tf.random.stateless_normal(shape, seed, alg=GENERATOR)


def _jittered(tf: Any, windows: Any, strength: float, seed: Any) -> Any:
    """Noise of the sensor, at every value."""
    _, steps, features = windows.shape
    return windows + strength * _normal(tf, [tf.shape(windows)[0], steps, features], seed)


def _scaled(tf: Any, windows: Any, strength: float, seed: Any) -> Any:
    """Another amplitude around the mean, for each window and feature.

    Normalized values are scaled: a factor on raw ones would move a feature with a large offset, such as
    the pressure of the air, far out of what is ever measured.
    """
    return windows * (1 + strength * _normal(tf, [tf.shape(windows)[0], 1, windows.shape[2]], seed))


def _rotated(tf: Any, windows: Any, strength: float, normalization: Normalization, seed: Any) -> Any:
    """The sensor mounted differently: one rotation for all triples of a window, about a random axis.

    Raw values are turned, R v of v = std * normalized + mean, because the axes have other means and
    standard deviations: gravity turns with the rest, and lengths stay. R v by Rodrigues' formula.
    """
    import numpy as np

    count, (_, steps, features) = tf.shape(windows)[0], windows.shape
    mean = np.broadcast_to(np.asarray(normalization.mean, np.float32), features)
    std = np.broadcast_to(np.asarray(normalization.std, np.float32), features)
    axis = tf.math.l2_normalize(_normal(tf, [count, 1, 1, AXES], seed), axis=-1)
    limit = math.radians(strength)
    angle = tf.random.stateless_uniform(
        [count, 1, 1, 1], own_seed(tf, seed, "angle"), -limit, limit, alg=GENERATOR
    )
    raw = tf.reshape(windows * std + mean, [count, steps, features // AXES, AXES])
    along = axis * tf.reduce_sum(axis * raw, axis=-1, keepdims=True)
    across = tf.linalg.cross(tf.broadcast_to(axis, tf.shape(raw)), raw)
    moved = (tf.cos(angle) - 1) * (raw - along) + tf.sin(angle) * across
    return windows + tf.reshape(moved, [count, steps, features]) / std


def _warped(tf: Any, windows: Any, strength: float, seed: Any) -> Any:
    """Faster here and slower there: the values at times that a smooth random speed leads to.

    The window's ends stay. The speed is e to the power of a cubic spline through random knots, so that
    time never runs backwards.
    """
    count, steps = tf.shape(windows)[0], windows.shape[1]
    if steps < 3:  # nothing lies between the ends
        return windows
    knots = strength * _normal(tf, [count, WARP_KNOTS], seed)
    speeds = tf.exp(tf.matmul(knots, _spline(steps - 1), transpose_b=True))
    passed = tf.pad(tf.cumsum(speeds, axis=1), [[0, 0], [1, 0]])
    times = passed * ((steps - 1) / passed[:, -1:])
    before = tf.clip_by_value(tf.cast(times, tf.int32), 0, steps - 2)
    part = (times - tf.cast(before, tf.float32))[:, :, tf.newaxis]
    earlier = tf.gather(windows, before, batch_dims=1)
    later = tf.gather(windows, before + 1, batch_dims=1)
    return (1 - part) * earlier + part * later


def _spline(points: int) -> Any:
    """`[points, WARP_KNOTS]` float32: this @ values of the knots = the cubic spline through them."""
    import numpy as np
    from scipy.interpolate import CubicSpline

    at = np.linspace(0, WARP_KNOTS - 1, points)
    return CubicSpline(np.arange(WARP_KNOTS), np.eye(WARP_KNOTS))(at).astype(np.float32)


def _moved(tf: Any, windows: Any, strength: float, seed: Any) -> Any:
    """The event earlier or later in the window. The first or last row is repeated where nothing was."""
    count, steps = tf.shape(windows)[0], windows.shape[1]
    most = round(strength * steps)
    start = tf.random.stateless_uniform(
        [count, 1], seed, minval=-most, maxval=most + 1, dtype=tf.int32, alg=GENERATOR
    )
    rows = tf.clip_by_value(start + tf.range(steps), 0, steps - 1)
    return tf.gather(windows, rows, batch_dims=1)


_CHANGES = {"jitter": _jittered, "scale": _scaled, "timewarp": _warped, "shift": _moved}
"""Name -> function of TensorFlow, windows, strength and seed, for those that need nothing else."""
