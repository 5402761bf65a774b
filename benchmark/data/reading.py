"""One image file, of whatever kind people have, as the pixels that a model is given.

What stands for what:

- A file is known by its content, not by its name: PNG, JPEG, BMP and TIFF, read by Pillow.
- Grey is made from colours as ITU-R 601 weighs them (0.299 R + 0.587 G + 0.114 B); grey as three channels is repeated.
- 16 bits become 8 by dividing by 257, so that 65535 is white: never by an image's own range, which would make a dark
  image and a bright one the same. 1 bit becomes 0 and 255. 32-bit whole numbers and floats have no white: refused.
- A palette's colours are looked up. What is transparent is laid over black, which padding is too.
- The orientation that a camera noted in EXIF is applied.
- Resized by a bilinear filter as wide as the scale asks (antialiased), as other data sets are here.
"""

from __future__ import annotations

import os
import stat
import warnings
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")  # in small letters; files of a folder that are images
FORMATS = ("PNG", "JPEG", "BMP", "TIFF")  # Pillow's names
MOST_PIXELS = 1 << 26  # 8,192 x 8,192: an image of more is refused before it is unpacked
MOST_BYTES = 1 << 29  # of a file: a TIFF of so many pixels with 16 bits a colour fits
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # to open a pipe must not wait for ever
GREY = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N", "I")  # Pillow's modes without colours
WIDE = ("I;16", "I;16L", "I;16B", "I;16N", "I")  # of 16 bits; "I" is that of a PNG in older versions of Pillow
ORIENTATION, TURNED = 0x0112, range(2, 9)  # a tag of EXIF, and its values that mean another than the stored one
SIXTEEN_TO_EIGHT = 257  # 65535 / 255


class Unreadable(Exception):
    """A file that gives no image; the message says why in a few words, without naming the file.

    What is said of this file alone stands in brackets at its end: ``empty (0 bytes)``.
    """


def read_image(path: Path | str | IO[bytes], channels: int, size: int, keep_aspect: bool = False) -> np.ndarray:
    """The image of a file, or of an open binary one: uint8 (C, size, size), C = ``channels``, 1 (grey) or 3 (RGB).

    The whole image is stretched to the square, or with ``keep_aspect`` made to fit into it, centred, with black beside
    it. Raises ``Unreadable``: no such file, empty, of another kind, cut off, damaged, of several pages, of more than
    ``MOST_PIXELS`` pixels.
    """
    return read_stored(path, channels, size, keep_aspect)[0]


def read_stored(
    path: Path | str | IO[bytes], channels: int, size: int, keep_aspect: bool = False
) -> tuple[np.ndarray, int]:
    """``read_image``, and how many channels the file itself has: 1 (grey) or 3 (colours)."""
    import PIL.Image

    _hush()
    # Whatever fails is the file's fault: Pillow's decoders raise many kinds of errors for damaged files (OSError,
    # SyntaxError, ValueError, KeyError, struct.error, ...).
    try:  # read at once: Pillow asks a file for many small pieces, which costs more than small images take otherwise
        file = BytesIO(content_of(path)) if isinstance(path, Path | str) else path
        with PIL.Image.open(file, formats=FORMATS) as image:
            _refuse(image)
            stored = 1 if image.mode in GREY else 3
            return fitted(_eight_bits(_upright(image), channels), size, keep_aspect), stored
    except Unreadable:
        raise
    except PIL.UnidentifiedImageError as error:
        raise Unreadable("no PNG, JPEG, BMP or TIFF image") from error
    except PIL.Image.DecompressionBombError as error:
        raise Unreadable(f"too large (at most {MOST_PIXELS:,} pixels are read)") from error
    except MemoryError as error:
        raise Unreadable("too large (for the memory there is)") from error
    except Exception as error:
        said = " ".join(str(error).split())[:80]
        raise Unreadable(f"cut off or damaged ({said or type(error).__name__})") from error


def size_of(path: Path) -> tuple[int, int] | None:
    """Width and height of the image of a file, from its head alone; None where it gives none."""
    import PIL.Image

    _hush()
    try:
        if not path.is_file():
            return None
        with PIL.Image.open(path, formats=FORMATS) as image:
            return image.size
    except Exception:  # as in ``read_stored``: what is wrong with it is said where it is read
        return None


def content_of(path: Path | str) -> bytes:
    """All bytes of a file. Raises ``Unreadable`` where there are none, or too many for an image."""
    try:
        file = os.open(path, READ)
    except OSError as error:
        raise Unreadable((error.strerror or "it cannot be read").lower()) from error
    except ValueError as error:
        raise Unreadable("of a name that no file can have (with a zero byte)") from error
    try:
        size = _refuse_no_file(os.fstat(file))
        parts = [os.read(file, size)]
        while parts[-1] and sum(map(len, parts)) < size:
            parts.append(os.read(file, size))
        return b"".join(parts)
    except OSError as error:
        raise Unreadable((error.strerror or "it cannot be read").lower()) from error
    finally:
        os.close(file)


def fitted(image: Image, size: int, keep_aspect: bool) -> np.ndarray:
    """An image of mode L or RGB as uint8 (C, size, size)."""
    if image.size != (size, size):
        image = _resized(image, size, keep_aspect)
    pixels = np.frombuffer(image.tobytes(), np.uint8)
    if image.mode == "L":
        return pixels.reshape(1, size, size)
    return np.ascontiguousarray(pixels.reshape(size, size, 3).transpose(2, 0, 1))


def _resized(image: Image, size: int, keep_aspect: bool) -> Image:
    import PIL.Image
    from PIL.Image import Resampling

    if not keep_aspect:
        return image.resize((size, size), Resampling.BILINEAR)
    width, height = _within(*image.size, size)
    square = PIL.Image.new(image.mode, (size, size))  # black
    square.paste(
        image.resize((width, height), Resampling.BILINEAR), (round((size - width) / 2), round((size - height) / 2))
    )
    return square


def _within(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height in a square with the same aspect; a pixel is left of the short side, however long the other is.

    >>> _within(200, 100, 28), _within(1, 3000, 28)
    ((28, 14), (1, 28))
    """
    if width >= height:
        return size, max(1, round(height / width * size))
    return max(1, round(width / height * size)), size


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Pixels of 1, 8 or 16 bits as uint8, whatever their shape: 1 is 255, and 65535 is."""
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * 255
    if pixels.dtype.itemsize == 1:
        return pixels
    return (pixels.astype(np.float64) / SIXTEEN_TO_EIGHT).round().clip(0, 255).astype(np.uint8)


@cache
def _hush() -> None:
    """None of Pillow's warnings: of what is large by its measure (ours is lower, and an error), of odd tags, ..."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # for good: filters are shared by all threads


def _refuse_no_file(found: os.stat_result) -> int:
    """The size of a file, in bytes."""
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable("a folder" if stat.S_ISDIR(found.st_mode) else "no plain file")
    if found.st_size == 0:
        raise Unreadable("empty (0 bytes)")
    if found.st_size > MOST_BYTES:
        raise Unreadable(f"too large ({found.st_size:,} bytes, at most {MOST_BYTES:,} are read)")
    return found.st_size


def _refuse(image: Image) -> None:
    width, height = image.size
    if width == 0 or height == 0:
        raise Unreadable(f"of no size ({width} x {height} pixels)")
    if width * height > MOST_PIXELS:
        raise Unreadable(f"too large ({width:,} x {height:,} pixels, at most {MOST_PIXELS:,} are read)")
    if image.format in ("TIFF", "PNG") and (pages := getattr(image, "n_frames", 1)) > 1:
        raise Unreadable(f"of several pages or frames ({pages}, one image a file is read)")
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise Unreadable("of 32 bits a pixel (8 or 16 are read)")


def _upright(image: Image) -> Image:
    """The image as its EXIF turns it, not copied where it turns nothing. Its pixels are unpacked here."""
    image.load()  # before: of a PNG, EXIF may stand behind the pixels
    if not image.info and image.format != "TIFF":  # nothing is noted besides the pixels
        return image
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) if image.getexif().get(ORIENTATION, 1) in TURNED else image


def _eight_bits(image: Image, channels: int) -> Image:
    """An image of mode L or RGB."""
    wanted = "L" if channels == 1 else "RGB"
    if image.mode == wanted and "transparency" not in image.info:  # as most are
        return image
    import PIL.Image

    if image.mode in WIDE:
        image = PIL.Image.fromarray(to_bytes(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = PIL.Image.alpha_composite(PIL.Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    if image.mode not in ("L", "RGB"):  # a palette, an inverted or a printer's image: by its colours
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    return image if image.mode == wanted else image.convert(wanted)  # which would copy it
