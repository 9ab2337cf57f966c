"""Reading windows from files and lines."""

from __future__ import annotations

import gzip
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from edge_runtime.errors import EdgeRnnError, InputError
from edge_runtime.inputs.read_windows import read_windows
from edge_runtime.inputs.text import parse_line

WINDOWS = np.random.default_rng(0).integers(0, 256, (3, 4, 5), dtype=np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def written(path, array):
    """The array in the format that the suffix says."""
    writers = {
        ".npy": lambda: np.save(path, array),
        ".npz": lambda: np.savez(path, x=array, y=np.zeros(len(array))),
        ".csv": lambda: np.savetxt(path, array.reshape(-1, 5), delimiter=",", fmt="%d"),
        ".idx": lambda: path.write_bytes(idx_bytes(array)),
        ".gz": lambda: path.write_bytes(gzip.compress(idx_bytes(array))),
    }
    writers[path.suffix]()
    return path


@pytest.mark.parametrize("name", ["w.npy", "w.npz", "w.csv", "w.idx", "t10k-images-idx3-ubyte.gz"])
def test_every_format_gives_the_same_windows(tmp_path, name):
    np.testing.assert_array_equal(read_windows(written(tmp_path / name, WINDOWS), 4, 5), WINDOWS)


def test_csv_with_a_window_per_row(tmp_path):
    path = tmp_path / "rows.csv"
    np.savetxt(path, WINDOWS.reshape(3, -1), delimiter=",", fmt="%d")
    np.testing.assert_array_equal(read_windows(path, 4, 5), WINDOWS)


def test_single_npy_window_and_npz_with_another_name(tmp_path):
    np.save(tmp_path / "one.npy", WINDOWS[0])
    np.testing.assert_array_equal(read_windows(tmp_path / "one.npy", 4, 5), WINDOWS[:1])
    np.savez(tmp_path / "one.npz", anything=WINDOWS)
    np.testing.assert_array_equal(read_windows(tmp_path / "one.npz", 4, 5), WINDOWS)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_image_is_turned_gray_resized_and_inverted(tmp_path, suffix):
    path = tmp_path / f"digit{suffix}"
    picture = np.zeros((40, 50, 3), np.uint8)
    picture[:20] = 255  # white above, black below
    Image.fromarray(picture).save(path)
    (window,) = read_windows(path, 4, 5)
    assert window.shape == (4, 5)
    assert window.dtype == np.uint8
    assert (window[0] > 240).all()
    assert (window[-1] < 15).all()
    (inverted,) = read_windows(path, 4, 5, invert=True)
    np.testing.assert_array_equal(inverted, 255 - window)


@pytest.mark.parametrize(
    "line",
    ["1,2,3,4,5,6", "1 2 3 4 5 6", " 1, 2, 3, 4, 5, 6\n", "[1,2,3,4,5,6]", "[[1,2,3],[4,5,6]]"],
)
def test_lines(line):
    np.testing.assert_array_equal(parse_line(line, 2, 3), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    "line",
    [
        *("1,2,3", "a,b", "[1,[2]]", "[[1,2,3]", '{"x": 1}', "[" * 100_000, "[]"),
        *('["1","2","3","4","5","6"]', "[true,false,true,false,true,false]", "[1,2,3,4,5,null]"),
        f"[1,2,3,4,5,{'9' * 401}]",
    ],
)
def test_bad_lines_are_typed_errors(line):
    with pytest.raises(InputError):
        parse_line(line, 2, 3)


def test_transparent_pixels_of_16_bits_are_white(tmp_path):
    pixels = np.full((4, 5), 0x8000, np.uint16)
    pixels[1, 2] = 0x1234
    Image.fromarray(pixels).save(tmp_path / "deep.png", transparency=0x1234)
    (window,) = read_windows(tmp_path / "deep.png", 4, 5)
    assert (window[1, 2], window[0, 0]) == (255, 0x80)


def test_pickled_arrays_are_refused(tmp_path):
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"evil\.npy"):
        read_windows(tmp_path / "evil.npy", 4, 5)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.npy", b"no numpy"),
        ("broken.npz", b"PK\x03\x04 but cut"),
        ("broken.png", b"\x89PNG but cut"),
        ("broken.csv", b"1,2\n3\n"),
        ("shape.csv", b"1,2\n3,4\n"),
        ("empty.csv", b""),
        ("broken.idx", b"\0\0\x08\x03\0\0"),
        ("broken-ubyte.gz", b"\x1f\x8b but cut"),
        ("unknown.wav", b"RIFF"),
    ],
)
def test_broken_files_are_named(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(EdgeRnnError, match=name.replace(".", r"\.")):
        read_windows(path, 4, 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"ax,ay\n1,2\n",
            "line 1 holds 'ax', which is no number. Expected numbers",
        ),
        (b"\xef\xbb\xbftime,ax\r\n1,2\r\n", "line 1 holds 'time', which is no number."),
        (
            b'1,2\n"3",4\n',
            "line 2 holds '\"3\"', which is no number. Expected numbers separated by commas,",
        ),
        (b"# ax,ay\n\n1 2\n", "line 3 holds '1 2', which is no number."),
        (
            b"1;2\n3;4\n",
            "line 1 separates numbers with ';'. Expected commas between numbers, and points",
        ),
        (b"1,2\n3,5;4,0\n", "line 2 separates numbers with ';'."),
        (b"1,2\n3,\n", "line 2 lacks a number beside a comma. Fill the gap."),
        (b"1,2\n3,4,5\n", "cannot read the numbers"),
        (b"\xff\xfe1,2\n", "cannot read the numbers"),
        (b"1,\x1b[2Jx\n", "line 1 holds '\\x1b[2Jx', which is no number."),
    ],
)
def test_csv_says_which_line_is_something_else(tmp_path, content, message):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_windows(path, 4, 5)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_csv_of_a_spreadsheet_has_a_byte_order_mark(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbf1,2\r\n3,4\r\n")
    np.testing.assert_array_equal(read_windows(tmp_path / "rows.csv", 2, 2), [[[1, 2], [3, 4]]])


def test_inverted_picture_of_gray_paper_uses_the_full_range(tmp_path):
    picture = Image.new("L", (50, 40), 190)
    picture.paste(135, (0, 0, 50, 20))  # gray ink above
    picture.save(tmp_path / "photo.png")
    (window,) = read_windows(tmp_path / "photo.png", 4, 5, invert=True)
    assert (window[0] == 255).all()
    assert (window[-1] == 0).all()


def test_photograph_is_turned_upright_and_transparency_is_paper(tmp_path):
    picture = Image.new("L", (50, 40), 255)
    picture.paste(0, (0, 0, 50, 20))  # black above
    sideways = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    sideways.save(tmp_path / "photo.jpg", exif=exif)
    (window,) = read_windows(tmp_path / "photo.jpg", 4, 5)
    assert (window[0] < 15).all()
    assert (window[-1] > 240).all()
    ink = Image.new("RGBA", (50, 40), (0, 0, 0, 0))
    ink.paste((0, 0, 0, 255), (0, 0, 50, 20))
    ink.save(tmp_path / "ink.png")
    (window,) = read_windows(tmp_path / "ink.png", 4, 5)
    assert (window[0] < 15).all()
    assert (window[-1] > 240).all()


def test_file_without_windows(tmp_path):
    np.save(tmp_path / "none.npy", np.zeros((0, 4, 5)))
    with pytest.raises(InputError, match=r"none\.npy: holds no windows"):
        read_windows(tmp_path / "none.npy", 4, 5)


@pytest.mark.parametrize("shape", [(), (20,), (3, 5, 4), (1, 3, 4, 5)])
def test_arrays_of_another_shape_are_named(tmp_path, shape):
    np.save(tmp_path / "w.npy", np.zeros(shape))
    with pytest.raises(InputError, match=r"w\.npy: the array has shape .*\. Expected \[4, 5\]"):
        read_windows(tmp_path / "w.npy", 4, 5)


def test_missing_file_and_inverted_floats(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_windows(tmp_path / "absent.png", 4, 5)
    np.save(tmp_path / "f.npy", WINDOWS.astype(np.float32))
    with pytest.raises(InputError, match="--invert needs uint8"):
        read_windows(tmp_path / "f.npy", 4, 5, invert=True)


def test_sixteen_bits_a_pixel_are_scaled_not_cut_off(tmp_path):
    Image.fromarray(np.full((4, 5), 0x8000, np.uint16)).save(tmp_path / "deep.png")
    assert (read_windows(tmp_path / "deep.png", 4, 5) == 0x80).all()


@pytest.mark.parametrize("kind", ["GIF", "EPS", "TIFF"])
def test_other_kinds_of_pictures_are_refused_whatever_their_name(tmp_path, kind):
    """Pillow hands EPS to Ghostscript."""
    with (tmp_path / "picture.png").open("wb") as file:
        Image.new("L", (5, 4)).save(file, kind)
    with pytest.raises(InputError, match=r"picture\.png: cannot read the image \(cannot identify"):
        read_windows(tmp_path / "picture.png", 4, 5)


def test_an_archive_without_arrays_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "texts.npz", "w") as archive:
        archive.writestr("x", "no array")
    with pytest.raises(InputError, match=r"texts\.npz: expected one array or one named x, found none"):
        read_windows(tmp_path / "texts.npz", 4, 5)


@pytest.mark.parametrize(
    "dtype",
    ["<f4", ">f4", "<f8", ">f8", ">f2", "u1", "i1", "<i8", ">u2", ">u4", "f4,f4", "S3", "M8[s]", "c8"],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_type_and_order_of_numbers_is_read_as_numpy_reads_it(tmp_path, dtype, order):
    array = np.asarray(WINDOWS, "u1").astype(dtype, order=order)
    np.save(tmp_path / "w.npy", array)
    np.savez_compressed(tmp_path / "w.npz", x=array)
    for name in ("w.npy", "w.npz"):
        if array.dtype.kind in "fiu":
            found = read_windows(tmp_path / name, 4, 5)
            assert found.dtype == array.dtype
            np.testing.assert_array_equal(found, array)
        else:
            with pytest.raises(InputError, match=rf"{name}: .*expected real numbers"):
                read_windows(tmp_path / name, 4, 5)


class Trap:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("name", ["evil.npy", "evil.npz", "pickle.npy"])
def test_no_pickle_is_executed(tmp_path, name):
    trap, path = np.array([[Trap(str(tmp_path / "sprung"))] * 5] * 4, dtype=object), tmp_path / name
    if name == "pickle.npy":
        path.write_bytes(pickle.dumps(trap))
    else:
        (np.save if name == "evil.npy" else np.savez)(path, trap)
    with pytest.raises(InputError, match=name):
        read_windows(path, 4, 5)
    assert not (tmp_path / "sprung").exists()
