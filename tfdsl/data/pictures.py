"""Images: decoded, brought to one shape, and folders of them as a source."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfdsl import settings
from tfdsl.data.absent import needed
from tfdsl.data.source import Record, Source
from tfdsl.data.table import Array
from tfdsl.data.values import Unfit
from tfdsl.diagnostics import Diagnostic

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
GREY = ("1", "L", "LA")


class Pictures(Source):
    """Images in folders, a folder a class; without folders, images alone."""

    def __init__(self, root: Path, paths: Sequence[Path]) -> None:
        """Take the images of `paths`, all below `root`."""
        needed("PIL.Image", "pillow")
        self._root, self._paths = root, paths
        folders = sorted({path.parent.relative_to(root).as_posix() for path in paths})
        self._labelled = folders != ["."]
        self.columns = ("image", "label") if self._labelled else ("image",)
        self.classes = {"label": tuple(folders)} if self._labelled else {}
        self.count = len(paths)

    def files(self) -> Sequence[Path]:
        """Return the files."""
        return self._paths

    def pieces(self, most: int) -> list[tuple[int, int]]:
        """Return stretches of a thousand images."""
        return [(first, min(first + 1000, self.count)) for first in range(0, self.count, 1000)]

    def read(self, first: int, last: int) -> Iterator[Record | Diagnostic]:
        """Yield the images, or what is wrong with a file."""
        for unit in range(first, last):
            path = self._paths[unit]
            try:
                image = decoded(path.read_bytes())
            except OSError as error:
                yield Diagnostic("R744", f"`{path}` cannot be read: {error.strerror}", label="no image")
            except Unfit as reason:
                yield Diagnostic("R744", f"`{path}` {reason}", label="no image")
            else:
                label = {"label": path.parent.relative_to(self._root).as_posix()} if self._labelled else {}
                yield Record(unit, f"`{path}`", {"image": image, **label})


def decoded(content: bytes) -> Array:
    """Return the image in a file's content as uint8 [1 or 3, height, width], upright and on white; raises Unfit."""
    library = needed("PIL.Image", "pillow")
    try:
        with library.open(io.BytesIO(content)) as file:
            image: Any = needed("PIL.ImageOps", "pillow").exif_transpose(file)
            if image.mode.startswith("I") or image.mode == "F":
                return _deep(np.asarray(image))
            grey = image.mode in GREY
            if image.has_transparency_data:  # what lies below would be seen: colours that nobody chose
                image = image.convert("RGBA")
                image = library.alpha_composite(library.new("RGBA", image.size, "white"), image)
            return _planes(image.convert("L" if grey else "RGB"))
    except Unfit:
        raise
    except Exception as error:  # a damaged file makes the library raise what it will
        said = str(error).strip() if isinstance(error, OSError) and "BytesIO" not in str(error) else ""
        raise Unfit("is no image that can be read" + (f": {said.lower()}" if said else "")) from None


def shaped(image: Array, setting: settings.Image | None) -> Array:
    """Return an image of [channels, height, width] as the settings want it."""
    if setting is None:
        return image
    library = needed("PIL.Image", "pillow")
    channels, size = setting.channels or image.shape[0], setting.size
    picture: Any = library.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
    if channels != len(image):
        picture = picture.convert("L" if channels == 1 else "RGB")
    if size is None:
        return _planes(picture)
    width, height = picture.size
    scale = size / min(width, height)
    wide, high = max(size, round(width * scale)), max(size, round(height * scale))
    if (wide, high) != (width, height):
        picture = picture.resize((wide, high), library.Resampling.BICUBIC)
    left, top = (wide - size) // 2, (high - size) // 2
    return _planes(picture.crop((left, top, left + size, top + size)))


def _planes(picture: Any) -> Array:
    array = np.asarray(picture, np.uint8)
    return array[None] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _deep(array: Array) -> Array:
    """Return an image of 16 bits in 8."""
    if array.dtype.kind == "f" or array.min() < 0 or array.max() >= 2**16:
        raise Unfit("has values that are not from 0 to 65,535")
    return (array.astype(np.uint32) >> 8).astype(np.uint8)[None]
