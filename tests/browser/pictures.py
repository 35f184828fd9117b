"""Pictures of the room: how they are taken, where they are kept, and what counts as another picture.

    python -m tests.browser.pictures

takes them anew, after a change that is meant to be seen; look at them before they are committed. They stand in the
documentation, and `test_pictures.py` compares what a browser draws now with them.
"""

from __future__ import annotations

import os
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

FOLDER = Path(__file__).resolve().parents[2] / "notebooks" / "site" / "pages" / "room"
ANEW = "WORKBENCH_PICTURES_ANEW"  # environment variable: keep what is taken instead of comparing it
QUALITY = 72  # of WebP: text is sharp, and all pictures together stay below two megabytes
BLOCK = 16  # pixels of a side of what is compared: larger than a letter, smaller than a control
FAINT = 10.0  # of 255: what anti-aliasing and another version of a font change in the mean of a block
MOST_BLOCKS = 0.02  # share of blocks that may differ: a line of text that breaks elsewhere, a marker that moved

Grey = NDArray[np.float64]


def opened(png: bytes) -> Image.Image:
    """A screenshot as a picture."""
    return Image.open(BytesIO(png)).convert("RGB")


def path_of(name: str) -> Path:
    """Where the picture of a name is kept."""
    return FOLDER / f"{name}.webp"


def keep(picture: Image.Image, name: str) -> None:
    """Keep a picture as the one to compare with."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture.save(path_of(name), quality=QUALITY, method=6)


def blocks(picture: Image.Image) -> Grey:
    """Mean luminance of blocks: what an eye sees that is not close, float64[rows, columns]."""
    soft = picture.convert("L").filter(ImageFilter.GaussianBlur(3))
    size = max(1, picture.width // BLOCK), max(1, picture.height // BLOCK)
    return np.asarray(soft.resize(size, Image.Resampling.BOX), dtype=float)


def difference(now: Image.Image, before: Image.Image) -> float:
    """Share of blocks in which two pictures differ to the eye, 0 to 1; 1 where they are not of one size."""
    if abs(now.width - before.width) > 2 or abs(now.height - before.height) > 2:
        return 1.0
    one, other = blocks(now), blocks(before)
    rows, columns = (min(ends) for ends in zip(one.shape, other.shape, strict=True))
    return float((np.abs(one - other)[:rows, :columns] > FAINT).mean())


def compared(png: bytes, name: str) -> str:
    """What is to be said of a picture beside the one that is kept; "" where they look alike."""
    now = opened(png)
    if os.environ.get(ANEW):
        keep(now, name)
        return ""
    if not path_of(name).exists():
        return f"{name}: there is no picture to compare with; python -m tests.browser.pictures takes it"
    share = difference(now, opened(path_of(name).read_bytes()))
    return "" if share <= MOST_BLOCKS else f"{name}: {100 * share:.1f} % of it look different"


def main() -> int:
    """Take all pictures anew."""
    import pytest

    os.environ[ANEW] = "1"
    here = Path(__file__).parent
    return int(pytest.main(["-q", "-n0", str(here / "test_pictures.py"), "-k", "looks"]))


if __name__ == "__main__":
    sys.exit(main())
