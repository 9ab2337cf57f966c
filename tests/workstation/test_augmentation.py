"""What `--augment` and `--shift` do to windows, measured on what TensorFlow computes."""

from __future__ import annotations

import numpy as np
import pytest

from edge_runtime.errors import InputError
from tests.support.command_server import run_python
from tests.support.commands import succeed
from train.augmentation import STRENGTHS, check_features, parse_augmentations
from train.hyperparameters import Hyperparameters, preset

STEPS, FEATURES = 60, 6
MEAN, STD = (0.0, 1.0, 9.8, 5.0, -3.0, 0.0), (1.0, 2.0, 0.5, 3.0, 0.1, 1.0)
ROTATION = 40.0
"""Degrees."""

AUGMENT = """
import sys
import numpy as np, tensorflow as tf
from edge_runtime.model_file.normalization import Normalization
from train.augmentation import STRENGTHS, augmented, parse_augmentations, shifted

tf.config.experimental.enable_op_determinism()
path, normalization = sys.argv[1], Normalization(*map(eval, sys.argv[2:4]))
waves = np.load(path)["waves"]
ramps = np.broadcast_to(np.arange(waves.shape[1], dtype=np.float32)[:, np.newaxis], waves.shape)
results = {}

def change(windows, *names, seed=(3, 5), graph=True):
    chosen = parse_augmentations(names)
    def compute(windows, seed):
        return augmented(tf, windows, chosen, normalization, seed)
    if graph:
        spec = tf.TensorSpec([None, *windows.shape[1:]], tf.float32)
        compute = tf.function(compute, input_signature=[spec, tf.TensorSpec([2], tf.int32)])
    return compute(tf.constant(windows), tf.constant(seed, tf.int32)).numpy()

for name in STRENGTHS:
    results[f"{name} off"] = change(waves, f"{name}=0")
    results[name] = change(waves, name)
    results[f"{name} eager"] = change(waves, name, graph=False)
    results[f"{name} later"] = change(waves, name, seed=(3, 6))
    results[f"{name} first"] = change(waves[:7], name)
    results[f"{name} on ramps"] = change(ramps, name)
results["rotate=40"] = change(waves, "rotate=40")
results["all"] = change(waves, *STRENGTHS)
results["all but jitter"] = change(waves, *[name for name in STRENGTHS if name != "jitter"])
results["jitter after the others"] = results["all"] - results["all but jitter"]
pictures = np.load(path)["pictures"]
seed = tf.constant([3, 5], tf.int32)
results["pictures"] = tf.function(lambda x: shifted(tf, x, 2, seed))(tf.constant(pictures)).numpy()
results["pictures first"] = shifted(tf, tf.constant(pictures[:7]), 2, seed).numpy()
results["pictures off"] = shifted(tf, tf.constant(pictures), 0, seed).numpy()
np.savez(path, **results)
"""


def waves() -> np.ndarray:
    """1,000 smooth normalized windows, all different."""
    generator = np.random.default_rng(0)
    phases = generator.uniform(0, 2 * np.pi, (1000, 1, FEATURES))
    speeds = generator.uniform(2, 6, (1000, 1, FEATURES))
    return np.sin(phases + speeds * np.linspace(0, 1, STEPS)[:, np.newaxis]).astype(np.float32)


def pictures() -> np.ndarray:
    """500 pictures of 12 x 10, with two different pixels away from the border."""
    result = np.zeros((500, 12, 10), np.float32)
    result[:, 5, 4], result[:, 6, 6] = 1, 2
    return result


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    path = tmp_path_factory.mktemp("augmentation") / "windows.npz"
    np.savez(path, waves=waves(), pictures=pictures())
    succeed(run_python(AUGMENT, path, MEAN, STD))
    with np.load(path) as file:
        return dict(file)


def raw(windows: np.ndarray) -> np.ndarray:
    return windows.astype(np.float64) * STD + np.array(MEAN)


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_strength_of_0_changes_nothing(changed, name):
    np.testing.assert_array_equal(changed[f"{name} off"], waves())


@pytest.mark.parametrize("name", STRENGTHS)
def test_windows_depend_on_seed_iteration_and_place_alone(changed, name):
    np.testing.assert_allclose(changed[f"{name} eager"], changed[name], rtol=0, atol=1e-5)
    np.testing.assert_allclose(changed[f"{name} first"], changed[name][:7], rtol=0, atol=1e-5)
    assert (changed[f"{name} later"] != changed[name]).any(axis=(1, 2)).mean() > 0.9
    differences = (changed[name] - waves()).reshape(1000, -1)
    assert len(np.unique(differences.round(4), axis=0)) > (10 if name == "shift" else 990)


def test_jitter_is_noise_of_its_strength(changed):
    noise = changed["jitter"] - waves()
    assert noise.std() == pytest.approx(0.05, rel=0.01)
    assert abs(noise.mean()) < 0.001
    steps, features = noise[:, 1:] * noise[:, :-1], noise[:, :, 1:] * noise[:, :, :-1]
    assert max(abs(steps.mean()), abs(features.mean())) < 0.05**2 / 100


def test_scale_is_one_factor_for_each_window_and_feature(changed):
    factors = changed["scale on ramps"][:, 1:] / np.arange(1, STEPS)[:, np.newaxis]
    assert np.ptp(factors, axis=1).max() < 1e-5
    assert factors[:, 0].std() == pytest.approx(0.1, rel=0.05)
    assert factors[:, 0].mean() == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(factors[:, 0].T)[np.triu_indices(FEATURES, 1)]).max() < 0.15


def test_rotation_keeps_raw_lengths_and_turns_all_triples_alike(changed):
    before = raw(waves()).reshape(1000, -1, 3)
    after = raw(changed["rotate=40"]).reshape(1000, -1, 3)
    np.testing.assert_allclose(
        np.linalg.norm(after, axis=2), np.linalg.norm(before, axis=2), rtol=2e-5, atol=2e-5
    )
    angles = []
    for first, second in zip(before, after):
        turn, *_ = np.linalg.lstsq(first, second, rcond=None)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-4)
        assert np.linalg.det(turn) == pytest.approx(1, abs=1e-4)
        angles.append(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    assert max(angles) <= ROTATION + 0.05
    assert np.mean(angles) == pytest.approx(ROTATION / 2, rel=0.1)  # uniform from 0


def test_a_time_warp_keeps_the_ends_and_the_order(changed):
    times = changed["timewarp on ramps"]
    np.testing.assert_allclose(times[:, 0], 0, atol=1e-5)
    np.testing.assert_allclose(times[:, -1], STEPS - 1, rtol=1e-5)
    speeds = np.diff(times, axis=1)
    assert speeds.min() > 0
    assert np.log(speeds).std() == pytest.approx(0.2, rel=0.25)
    assert abs(np.diff(speeds, axis=1)).mean() < 0.03  # speeds that each step draws anew: 0.23
    assert np.ptp(times, axis=2).max() == 0  # all features alike


def test_a_shift_repeats_the_edges(changed):
    moves = changed["shift on ramps"][:, STEPS // 2, 0] - STEPS // 2
    assert set(moves) == {*range(-6, 7)}  # 0.1 of 60 steps
    for move, window, original in zip(moves.astype(int), changed["shift"], waves()):
        rows = np.clip(np.arange(STEPS) + move, 0, STEPS - 1)
        np.testing.assert_array_equal(window, original[rows])


def test_one_augmentation_draws_the_same_beside_others(changed):
    alone = changed["jitter"] - waves()
    np.testing.assert_allclose(changed["jitter after the others"], alone, rtol=0, atol=1e-5)


def test_each_picture_moves_by_itself_and_0_comes_in(changed):
    ones, twos = np.argwhere(changed["pictures"] == 1), np.argwhere(changed["pictures"] == 2)
    assert len(ones) == len(twos) == 500
    moves = ones[:, 1:] - (5, 4)
    np.testing.assert_array_equal(twos[:, 1:] - (6, 6), moves)
    assert {tuple(move) for move in moves} == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}
    assert changed["pictures"].sum() == 1500
    np.testing.assert_array_equal(changed["pictures first"], changed["pictures"][:7])
    np.testing.assert_array_equal(changed["pictures off"], pictures())


def test_settings_hold_every_strength():
    assert Hyperparameters(augment=("scale", "rotate=30")).augment == ("rotate=30", "scale=0.1")
    assert preset("sensor").augment == ("scale=0.1", "jitter=0.05")
    again = Hyperparameters(augment=preset("sensor").augment)
    assert again.augment == preset("sensor").augment


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            ("flip",),
            "--augment: unknown augmentation 'flip'. Choose jitter, rotate, scale, shift, timewarp",
        ),
        (("",), "--augment: unknown augmentation ''."),
        (("jitter", "jitter=0.2"), "--augment: names jitter twice."),
        (("jitter=",), "--augment jitter: expected a strength from 0 to 10"),
        (("rotate=181",), "--augment rotate: expected a strength from 0 to 180 (the largest angle"),
        (("scale=-1",), "--augment scale: expected a strength from 0 to 1"),
        (("scale=nan",), "--augment scale: expected a strength from 0 to 1"),
        (("shift=1",), "--augment shift: expected a strength from 0 to 0.9"),
    ],
)
def test_broken_augmentations_are_refused(names, sentence):
    with pytest.raises(InputError) as caught:
        Hyperparameters(augment=names)
    assert str(caught.value).startswith(sentence)


def test_a_rotation_needs_triples():
    check_features(parse_augmentations(("jitter",)), 4)
    check_features(parse_augmentations(("rotate",)), 9)
    with pytest.raises(InputError, match=r"--augment rotate: turns features three by three .* have 4\."):
        check_features(parse_augmentations(("rotate",)), 4)
