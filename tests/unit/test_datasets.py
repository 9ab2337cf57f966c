"""Data sets: splits, labels, normalization, and every way in which a file can be wrong."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest

from edge_runtime.errors import DataError
from edge_runtime.runs.labelled_windows import LabelledWindows
from tests.runtime.test_windows import idx_bytes
from train.datasets.load import load_dataset
from train.datasets.mnist import SHA256, download_mnist, find_mnist

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 4, 5), dtype=np.uint8)
LABELS = (np.arange(60) % 3).astype(np.uint8)
NINE = {"x": np.zeros((9, 4, 5)), "y": np.arange(9) % 3}


def idx_folder(folder, compress=False, **changed):
    files = {
        "train-images-idx3-ubyte": IMAGES,
        "train-labels-idx1-ubyte": LABELS,
        "t10k-images-idx3-ubyte": IMAGES[:30],
        "t10k-labels-idx1-ubyte": LABELS[:30],
    }
    for name, array in files.items():
        data = changed.get(name.replace("-", "_"), idx_bytes(array))
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("compress", [False, True])
def test_idx_folder(tmp_path, compress):
    dataset = load_dataset(str(idx_folder(tmp_path, compress)))
    np.testing.assert_array_equal(dataset.train.x, IMAGES)
    np.testing.assert_array_equal(dataset.test.y, LABELS[:30])
    assert dataset.labels == ("0", "1", "2")
    assert dataset.normalization().std == (255.0,)


def test_one_idx_file_with_its_labels_beside_it(tmp_path):
    idx_folder(tmp_path)
    dataset = load_dataset(str(tmp_path / "train-images-idx3-ubyte"))
    assert len(dataset.train) + len(dataset.test) == 60
    assert len(dataset.test) == 12
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="no labels beside it"):
        load_dataset(str(tmp_path / "train-images-idx3-ubyte"))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("train-images-idx3-ubyte", idx_bytes(IMAGES)[:-1], "truncated"),
        ("train-images-idx3-ubyte", idx_bytes(IMAGES) + b"x", "too long"),
        ("train-images-idx3-ubyte", b"", "not an IDX file"),
        ("train-images-idx3-ubyte", b"hello, this is text", "not an IDX file"),
        ("train-images-idx3-ubyte", idx_bytes(IMAGES)[:9], "truncated. The header"),
        ("train-images-idx3-ubyte", idx_bytes(IMAGES[:0]), "empty"),
        ("train-images-idx3-ubyte", idx_bytes(LABELS), r"3 dimension\(s\), found type 8 with 1"),
        ("train-labels-idx1-ubyte", idx_bytes(IMAGES), r"1 dimension\(s\), found type 8 with 3"),
        ("train-labels-idx1-ubyte", idx_bytes(LABELS[:59]), "59 labels for the 60 images"),
        ("train-labels-idx1-ubyte", b"\0\0\x0d\x01\0\0\0\x3c" + bytes(240), "found type 13"),
        ("t10k-images-idx3-ubyte", idx_bytes(IMAGES[:30, :, :4]), "Expected the same shape"),
        (
            "train-labels-idx1-ubyte",
            idx_bytes(np.where(np.arange(60) == 7, 200, LABELS)),
            "class 3 has 0",
        ),
        ("train-images-idx3-ubyte", b"\x1f\x8b" + bytes(20), "damaged gzip"),
        ("train-images-idx3-ubyte", gzip.compress(idx_bytes(IMAGES))[:-20], "damaged gzip"),
    ],
)
def test_bad_idx_files_are_named(tmp_path, name, data, message):
    idx_folder(tmp_path, **{name.replace("-", "_"): data})
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_missing_idx_file_is_named(tmp_path):
    (idx_folder(tmp_path) / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="no t10k-labels-idx1-ubyte"):
        load_dataset(str(tmp_path))


def test_npz_with_labels_is_split_by_class_and_standardized(tmp_path):
    x = RNG.normal([5, -3], [2, 10], (100, 6, 2))
    y = np.repeat([0, 1], [80, 20])
    np.savez(tmp_path / "s.npz", x=x, y=y, labels=["calm", "storm"])
    dataset = load_dataset(str(tmp_path / "s.npz"))
    assert dataset.labels == ("calm", "storm")
    assert np.bincount(dataset.test.y).tolist() == [16, 4]
    assert len(dataset.train) == 80
    normalized = dataset.normalization().apply(dataset.train.x).reshape(-1, 2)
    np.testing.assert_allclose(normalized.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalized.std(axis=0), 1, atol=1e-5)
    train = {window.tobytes() for window in dataset.train.x}
    assert not train & {window.tobytes() for window in dataset.test.x}


def test_npz_with_a_test_split_of_its_own(tmp_path):
    parts = {"x": RNG.normal(5, 2, (30, 4, 2)), "y": np.arange(30) % 3}
    test = {"test_x": RNG.normal(50, 20, (7, 4, 2)), "test_y": np.arange(7) % 2}
    np.savez(tmp_path / "s.npz", **parts, **test)
    dataset = load_dataset(str(tmp_path / "s.npz"))
    np.testing.assert_array_equal(dataset.train.x, np.float32(parts["x"]))
    np.testing.assert_array_equal(dataset.train.y, parts["y"])
    np.testing.assert_array_equal(dataset.test.x, np.float32(test["test_x"]))
    np.testing.assert_array_equal(dataset.test.y, test["test_y"])
    assert dataset.labels == ("0", "1", "2")
    expected = parts["x"].reshape(-1, 2).mean(axis=0)  # of the training split alone
    np.testing.assert_allclose(dataset.normalization().mean, expected, rtol=1e-6)


def test_constant_feature_stays_finite(tmp_path):
    x = RNG.normal(size=(30, 4, 2))
    x[:, :, 0] = 7
    np.savez(tmp_path / "s.npz", x=x, y=np.arange(30) % 2)
    dataset = load_dataset(str(tmp_path / "s.npz"))
    assert np.isfinite(dataset.normalization().apply(dataset.train.x)).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((9, 4, 5))}, "no array named y"),
        ({"y": np.zeros(9, int)}, "no array named x"),
        ({"x": np.zeros((9, 4)), "y": np.zeros(9, int)}, r"x has shape \[9, 4\]"),
        ({"x": np.zeros((0, 4, 5)), "y": np.zeros(0, int)}, "none of them 0"),
        ({"x": np.zeros((9, 4, 5)), "y": np.zeros(8, int)}, r"y has shape \[8\]\. Expected \[9\]"),
        ({"x": np.zeros((9, 4, 5)), "y": np.zeros(9)}, "integer class indices"),
        ({"x": np.full((9, 4, 5), np.nan), "y": np.arange(9) % 3}, "NaN or infinity"),
        ({"x": np.full((9, 4, 5), "a"), "y": np.arange(9) % 3}, "dtype <U1"),
        ({"x": np.zeros((9, 4, 5)), "y": np.zeros(9, int)}, "same class"),
        ({"x": np.zeros((9, 4, 5)), "y": np.arange(9) - 1}, "class indices from -1"),
        ({"x": np.zeros((9, 4, 5)), "y": np.arange(9) % 3, "labels": ["a", "b"]}, "Expected 0 to 1"),
        ({"x": np.zeros((9, 4, 5)), "y": np.arange(9) // 2}, "class 4 has 1 windows"),
        ({"x": np.zeros((9, 4, 5)), "y": np.arange(9) % 3, "labels": "abc"}, r"shape \[\]"),
        ({"x": np.zeros((9, 4, 5)), "y": np.arange(9) % 3, "labels": ["a", "", "b"]}, "none empty"),
        ({"x": np.zeros((9, 4, 5)), "y": np.arange(9) % 3, "labels": ["a", "b\n", "c"]}, "line break"),
        ({"x": np.zeros((9, 4, 5)), "y": np.arange(9) % 3, "labels": ["a", "b", "b"]}, "different"),
        ({"x": np.zeros((9, 4, 5)), "y": np.arange(9) % 3, "labels": ["a", "b\r", "c"]}, "line break"),
        ({"x": np.full((9, 4, 5), 1e39), "y": np.arange(9) % 3}, "too large for float32"),
        ({"x": np.zeros((9, 4, 5)), "y": np.eye(9, dtype=int)}, r"Save y\.argmax\(axis=1\)"),
        ({"x": np.array([{}], dtype=object), "y": np.zeros(1, int)}, "cannot read"),
        ({**NINE, "groups": np.arange(8)}, r"groups has shape \[8\]\. Expected \[9\], one group"),
        ({**NINE, "groups": np.arange(9) / 2}, "groups has dtype float64. Expected names or whole"),
        ({**NINE, "group": ["a", ""] + ["b"] * 7}, "groups holds an empty name"),
        ({**NINE, "group": np.arange(9), "groups": np.arange(9)}, "found group and groups, which mean"),
        (
            {**NINE, "groups": np.arange(9) % 3},
            r"class 0 occurs in 1 of 3 groups \(0\), so it cannot be",
        ),
        ({**NINE, "test_groups": np.arange(9)}, "found test_groups without test_x"),
        (
            {**NINE, "subject": np.arange(9), "X": 1},
            "no use for subject, X. Expected only x, y, labels, groups",
        ),
        ({**NINE, "calibration_x": np.zeros((2, 4, 5))}, "no use for calibration_x"),
        ({**NINE, "test_x": np.zeros((2, 4, 5))}, "found test_x alone"),
        ({**NINE, "test_y": np.zeros(2, int)}, "found test_y alone"),
        ({**NINE, "test_x": np.zeros((2, 4, 6)), "test_y": [0, 1]}, r"windows of \[4, 6\]"),
        ({**NINE, "test_x": np.zeros((2, 4, 5), np.uint8), "test_y": [0, 1]}, "test_x uint8 windows"),
        (
            {**NINE, "test_x": np.zeros((2, 4, 5)), "test_y": [0, 3]},
            "from 0 to 3 in test_y. Expected 0 to 2",
        ),
        ({**NINE, "test_x": np.zeros((2, 4, 5)), "test_y": [0]}, r"test_y has shape \[1\]"),
        ({**NINE, "test_x": np.zeros((0, 4, 5)), "test_y": np.zeros(0, int)}, "test_x has shape"),
    ],
)
def test_bad_npz_files_are_named(tmp_path, arrays, message):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        load_dataset(str(path))
    assert str(path) in str(caught.value)


def test_broken_npz_and_unknown_names(tmp_path):
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=r"cut\.npz"):
        load_dataset(str(tmp_path / "cut.npz"))
    with pytest.raises(DataError, match=r"not a data set\. Expected mnist, digits"):
        load_dataset("cifar")


def test_digits_hold_out_a_thousand_windows():
    dataset = load_dataset("digits")
    assert dataset.train.x.shape == (797, 28, 28)
    assert dataset.test.x.shape == (1000, 28, 28)
    assert dataset.train.x.dtype == np.uint8
    assert len(dataset.labels) == 10
    assert load_dataset("digits").digest == dataset.digest


def test_digest_changes_with_a_single_value(tmp_path):
    first = load_dataset(str(idx_folder(tmp_path))).digest
    changed = IMAGES.copy()
    changed[0, 0, 0] ^= 1
    idx_folder(tmp_path, train_images_idx3_ubyte=idx_bytes(changed))
    assert load_dataset(str(tmp_path)).digest != first


def test_stratified_sample_keeps_the_proportions_and_the_seed():
    windows = LabelledWindows(np.arange(1000), np.repeat([0, 1, 2], [700, 200, 100]))
    sample = windows.stratified_sample(100, seed=1)
    assert np.bincount(sample.y).tolist() == [70, 20, 10]
    np.testing.assert_array_equal(sample.x, windows.stratified_sample(100, seed=1).x)
    assert not np.array_equal(sample.x, windows.stratified_sample(100, seed=2).x)
    assert sorted(windows.stratified_sample(5000, seed=0).x) == list(range(1000))


def test_mnist_is_looked_for_in_data_dir_then_in_the_environment(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second" / "mnist"
    for folder in (first, second):
        folder.mkdir(parents=True)
        idx_folder(folder)
    monkeypatch.setenv("EDGE_RNN_DATA", str(second.parent))
    assert find_mnist(first) == first
    assert find_mnist() == second
    (second / "train-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match=r"\$EDGE_RNN_DATA.*train-images-idx3-ubyte"):
        find_mnist()


def test_mnist_is_looked_for_in_the_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGE_RNN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "edge-rnn" / "mnist"
    folder.mkdir(parents=True)
    idx_folder(folder)
    assert find_mnist() == folder


@pytest.fixture
def mirror(tmp_path):
    """A real HTTP server on this machine, and the folder that it serves."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Silent(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", folder
        server.shutdown()


def test_download_with_a_wrong_digest_is_refused_and_leaves_nothing(tmp_path, mirror):
    url, folder = mirror
    idx_folder(folder, compress=True)
    with pytest.raises(DataError, match=r"wrong digest.*--data-dir or \$EDGE_RNN_DATA.*digits"):
        download_mnist(tmp_path / "cache", (url,))
    assert not list((tmp_path / "cache").glob("*"))


def test_download_that_breaks_off_prints_no_traceback(tmp_path):
    class Cut(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"short")

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cut) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(DataError, match="IncompleteRead"):
            download_mnist(tmp_path / "cache", (f"http://127.0.0.1:{server.server_port}/",))
        server.shutdown()


def test_download_verifies_and_falls_back_to_the_next_mirror(tmp_path, mirror, mnist_data):
    url, folder = mirror
    for file in mnist_data.iterdir():
        (folder / file.name).symlink_to(file)
    # The published digests are those of one compression. These files may be compressed again.
    files = {name: hashlib.sha256((folder / f"{name}.gz").read_bytes()).hexdigest() for name in SHA256}
    download_mnist(tmp_path / "cache", ("http://127.0.0.1:1/", url), files)
    assert sorted(f.name for f in (tmp_path / "cache").iterdir()) == sorted(
        f.name for f in folder.iterdir()
    )
