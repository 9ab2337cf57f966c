"""Reads a picture, PNG or JPEG, as a window of gray pixels (by Pillow)."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import InputError, reason
from edge_runtime.host.optional_packages import needs_extra

if TYPE_CHECKING:
    from PIL import Image

IMAGE_FORMATS = ("PNG", "JPEG")
"""Pillow would open its other formats under these names as well."""

MOST_IMAGE_BYTES = 1 << 28
"""Limit on the file."""

MOST_PIXELS = 50_000_000
"""Limit on a picture. A phone's photograph has 12 million pixels, at most 50 million. Each takes 5 bytes
while it is read, 16 in a picture with transparency."""


def read_image(path: Path, steps: int, features: int, *, invert: bool) -> NDArray[np.uint8]:
    """The picture, uint8 `[steps, features]`: upright (EXIF), gray on white, and resized.

    `invert` swaps dark and light and stretches the contrast to the full range. Raises InputError naming
    the file when it is not a PNG or JPEG, is damaged, or has more than MOST_PIXELS.
    """
    with needs_extra("images", "Pillow", f"reading {path}"):
        from PIL import Image, ImageOps
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damage in parts that are not needed
            gray = ImageOps.exif_transpose(_gray(path))
        gray = gray.resize((features, steps), Image.Resampling.LANCZOS)
        if invert:
            # Paper in a photograph is some gray; the network knows ink on pure black.
            gray = ImageOps.autocontrast(ImageOps.invert(gray))
    except Exception as error:  # Pillow raises many kinds, DecompressionBombError among them
        raise InputError(f"{path}: cannot read the image ({reason(error)}).") from None
    return np.asarray(gray, np.uint8)


def _gray(path: Path) -> Image.Image:
    """The picture in gray as it is stored, with the other facts in the file."""
    from PIL import Image

    size = path.stat().st_size
    if size > MOST_IMAGE_BYTES:
        raise ValueError(f"{size:,} bytes, expected at most {MOST_IMAGE_BYTES:,}")
    # From memory, because Pillow asks a file for 4 GiB at once if a damaged PNG says so.
    with Image.open(io.BytesIO(path.read_bytes()), formats=IMAGE_FORMATS) as image:
        if image.width * image.height > MOST_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels, expected at most {MOST_PIXELS:,}")
        if image.mode.startswith("I"):  # 16 bits, which Pillow cuts off at 255
            values, paper = np.asarray(image), image.info.get("transparency")
            gray = Image.fromarray(np.where(values == paper, 255, values >> 8).astype(np.uint8))
        elif image.mode in ("1", "L", "P", "RGB") and "transparency" not in image.info:
            gray = image.convert("L")
        else:
            gray = _on_white(image)
        gray.info.update(image.info)
    return gray


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    ink = image.convert("RGBA")
    paper = Image.new("RGBA", ink.size, "white")
    return Image.alpha_composite(paper, ink).convert("L")
