"""Bad images of one's own: rows of the table of bad inputs (``bad_input.py``), and how each is laid out."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.png import png_head

KIND = "Own images"
PARTS = Path("parts")
FOLDER = ("dataset=folder", "dataset.path=parts")
DRAWN = np.random.default_rng(0).integers(0, 256, (100, 8, 8), dtype=np.uint8)

LayOut = Callable[[Path], object]
Row = tuple[str, tuple[str, ...], str, LayOut | None]  # given, arguments, said in part, how it is laid out


def save(path: Path, number: int, mode: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(DRAWN[number]).convert(mode).save(path)


def parts(folder: Path) -> Path:
    """``train/good``, ``test/good`` and ``test/crack`` as they should be."""
    for number in range(12):
        save(folder / PARTS / "train" / "good" / f"{number}.png", number)
    for number, kind in ((20, "good"), (21, "crack")):
        save(folder / PARTS / "test" / kind / f"{number}.png", number)
    return folder / PARTS


def good(folder: Path, name: str = "bad.png") -> Path:
    """A further place for a training image."""
    return parts(folder) / "train" / "good" / name


def table(text: str, encoding: str = "utf-8") -> LayOut:
    def write(folder: Path) -> None:
        parts(folder)
        (folder / "list.csv").write_text(text, encoding=encoding)

    return write


def rows(*more: str, head: str = "path,label,split") -> str:
    return "\n".join([head, *(f"parts/train/good/{number}.png,good,train" for number in range(12)), *more])


def arrays(**named: np.ndarray) -> LayOut:
    return lambda folder: np.savez(folder / "a.npz", **named)


def damaged_zip(folder: Path) -> None:
    arrays(images=DRAWN)(folder)
    content = (folder / "a.npz").read_bytes()
    (folder / "a.npz").write_bytes(content[:1000] + bytes(100) + content[1100:])


def cut(folder: Path) -> None:
    path = good(folder)
    save(path, 30)
    path.write_bytes(path.read_bytes()[:70])


def of_pages(folder: Path) -> None:
    pages = [Image.fromarray(DRAWN[number]) for number in (30, 31)]
    pages[0].save(good(folder, "bad.tif"), save_all=True, append_images=pages[1:])


def leak(folder: Path) -> None:
    """A training image among the test images, in another format."""
    Image.fromarray(DRAWN[3]).save(parts(folder) / "test" / "crack" / "twin.bmp")


def of_all_kinds(folder: Path) -> None:
    leak(folder)
    for name in "abcde":
        good(folder, f"{name}.png").write_bytes(b"text")
    good(folder, "f.png").write_bytes(b"")


def without_class(folder: Path) -> None:
    save(parts(folder) / "stray.png", 30)


def loose(folder: Path) -> None:
    for split in ("train", "test"):
        save(folder / PARTS / split / "1.png", 1)


def renamed(folder: Path) -> None:
    (parts(folder) / "test" / "crack").rename(folder / PARTS / "test" / "=crack")


def in_capitals(folder: Path) -> None:
    for split in ("train", "test"):
        (parts(folder) / split).rename(folder / PARTS / split.title())


def too_deep(folder: Path) -> None:
    place = parts(folder) / "train" / "good"
    place.rename(folder / "sub")
    place.mkdir()
    (folder / "sub").rename(place / "sub")


def enormous(folder: Path) -> None:
    """A head that says 10^12 images, and a hundred."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 8, 8)})
    with zipfile.ZipFile(folder / "a.npz", "w") as file:
        file.writestr("images.npy", head.getvalue() + DRAWN.tobytes())


def encrypted(folder: Path) -> None:
    """The flag alone, which is in the local head and in the directory."""
    arrays(images=DRAWN)(folder)
    content = bytearray((folder / "a.npz").read_bytes())
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    (folder / "a.npz").write_bytes(content)


def own(given: str, says: str, lay_out: LayOut | None = None, *more: str, path: str = "parts") -> Row:
    return given, ("dataset=folder", f"dataset.path={path}", *more), says, lay_out


def typed(words: str, says: str, *more: str) -> Row:
    return f"`{words}`", (*words.split(), *more), says, parts


ROWS: list[Row] = [
    typed("dataset=folder", "dataset=folder needs to know where your images are. Type dataset.path=<a folder,"),
    typed("dataset=folder dataset.path=partz", "partz: there is no such folder or file. Type dataset.path=<your"),
    typed("dataset=mnist dataset.path=parts", "dataset.path is not of mnist. Type: dataset=folder dataset.path=parts"),
    typed("dataset=mnist dataset.on_bad=skip", "dataset.on_bad is for images of your own alone. Leave it out, or"),
    typed("dataset.image_size=20", "dataset.image_size=20 is not allowed: it must be a whole number of pixels from 28 "
          "to 128", *FOLDER),
    typed("dataset.image_size=129", "dataset.image_size=129 is not allowed: it must be a whole number of", *FOLDER),
    typed("dataset.channels=2", "dataset.channels=2 is not allowed: it must be 1 (grey), 3 (RGB) or null", *FOLDER),
    typed("dataset.on_bad=go", "dataset.on_bad=go is not allowed: it must be stop or skip", *FOLDER),
    typed("dataset.keep_aspect=maybe", "dataset.keep_aspect=maybe is not allowed: it must be true or false", *FOLDER),
    typed("dataset.classes=[good,crack]", "dataset.classes is found in the images of dataset=folder. Leave it out",
          *FOLDER),
    typed("dataset.name=mnist", "dataset.name=mnist is the name of another data set: your images must have one of",
          *FOLDER),
    typed("dataset.name=a/b", "dataset.name='a/b' is not allowed: it must be a name for a folder", *FOLDER),
    own("a file of another kind", "notes.txt is a file of another kind: it must be a folder of images, a .csv or an",
        lambda folder: (folder / "notes.txt").write_text("text"), path="notes.txt"),
    own("an empty folder", "parts: there are no images (.png, .jpg, .jpeg, .bmp, .tif, .tiff) in it, nor in",
        lambda folder: (folder / PARTS).mkdir()),
    own("the folder above", "all: there are no images (.png, .jpg, .jpeg, .bmp, .tif, .tiff) in it, nor in its class "
        "folders. Type dataset.path=", lambda folder: parts(folder / "all"), path="all"),
    own("`train/` with images outside of class folders", "train/ holds images outside of any class folder. Put them "
        "into train/good/, test images into test/good/", loose),
    own("`Train/` and `Test/` in capitals", "parts: Test/ and Train/ must be in small letters to be what is trained on "
        "or tested. Rename them: test/ and train/", in_capitals),
    own("`train/good/` with its images in a deeper folder", "parts: there are no images in the class folders of train/ "
        "(good): images are not looked for in deeper folders (train/good/sub/). Put them into train/good/ itself",
        too_deep),
    own("an image in no class folder", "1 fault in 15 images: beside train/ and test/ (in neither): stray.png. Put",
        without_class),
    own("a class folder `=crack`", "1 fault that can be told before an image is read: not allowed, as a class name "
        "must be not empty, without = + - @ in front,", renamed),
    own("a class folder `${oc.env:HOME}`", "not allowed, as a class name must be without ${, and not ???, which "
        "configurations take for something else: class ${oc.env:HOME}. Give the classes other names",
        lambda folder: save(parts(folder) / "test" / "${oc.env:HOME}" / "1.png", 30)),
    own("class folders `good` and `Good`", "1 fault that can be told before an image is read: differing in capitals "
        "alone: classes Good and good. Give the classes other names",
        lambda folder: save(parts(folder) / "test" / "Good" / "1.png", 30)),
    own("an image that is a text", "1 fault in 15 images: no PNG, JPEG, BMP or TIFF image: train/good/bad.png. Put "
        "them right, or type dataset.on_bad=skip", lambda folder: good(folder).write_bytes(b"text")),
    own("an image that is cut off", "cut off or damaged (image file is truncated): train/good/bad.png", cut),
    own("an image of 0 bytes", "empty (0 bytes): train/good/bad.png", lambda folder: good(folder).write_bytes(b"")),
    own("an image without a pixel", "no PNG, JPEG, BMP or TIFF image: train/good/bad.png",
        lambda folder: good(folder).write_bytes(png_head(0, 8))),
    own("an image of 100,000 x 100,000 pixels", "too large (at most 67,108,864 pixels are read): train/good/bad.png",
        lambda folder: good(folder).write_bytes(png_head(100_000, 100_000))),
    own("an image of 9,000 x 9,000 pixels", "too large (9,000 x 9,000 pixels, at most 67,108,864 are read): ",
        lambda folder: good(folder).write_bytes(png_head(9_000, 9_000))),
    own("an image with colours among grey ones", "in colours where most are grey (dataset.channels=1 or 3 makes all "
        "alike): train/good/bad.png", lambda folder: save(good(folder), 30, "RGB")),
    own("an image of 32-bit floats", "of 32 bits a pixel (8 or 16 are read): train/good/bad.tif",
        lambda folder: save(good(folder, "bad.tif"), 30, "F")),
    own("an image of several pages", "of several pages or frames (2, one image a file is read): train/good/bad.tif",
        of_pages),
    own("a link that leads nowhere", "no such file or directory: train/good/bad.png",
        lambda folder: good(folder).symlink_to("none.png")),
    own("a training image among the test images", "1 fault in 15 images: the same picture as a training image "
        "(train/good/3.png): test/crack/twin.bmp. Put", leak),
    own("a class with one training image", "fewer than 10 training images (1): class rare. Put them right, or type "
        "dataset.on_bad=skip", lambda folder: save(parts(folder) / "train" / "rare" / "1.png", 30)),
    own("no class with ten, and `dataset.on_bad=skip`", "parts: no class has 10 images to train on: fewer than 10 "
        "training images (1): class good", lambda folder: save(folder / PARTS / "1.png", 1), "dataset.on_bad=skip"),
    own("faults of several kinds", "7 faults in 21 images: no PNG, JPEG, BMP or TIFF image: train/good/a.png, "
        "train/good/b.png, train/good/c.png and 2 more; empty (0 bytes): train/good/f.png; the same picture as a "
        "training image (train/good/3.png): test/crack/twin.bmp. Put them right, or type dataset.on_bad=skip",
        of_all_kinds),
    own("a CSV without the columns", "its first line must name the columns path and label (and split, if there is "
        "one); it has: file, class", table("file,class\na.png,good\n"), path="list.csv"),
    own("a CSV of no image", "list.csv lists no images: a line an image must follow the first one",
        table("path,label\n"), path="list.csv"),
    own("a CSV in UTF-16", "list.csv cannot be read as a CSV file in UTF-8", table(rows(), "utf-16"), path="list.csv"),
    own("a CSV with a file that is not there", "1 fault in 13 images: no such file or directory: parts/none.png",
        table(rows("parts/none.png,good,train")), path="list.csv"),
    own("a CSV with a line without a label", "without a label: parts/test/good/20.png",
        table(rows("parts/test/good/20.png,,test")), path="list.csv"),
    own("a CSV with a line without a path", "without a path: line 14", table(rows(",good,test")), path="list.csv"),
    own("a CSV with another split",
        "of no split that there is (validation; train and test are): parts/test/good/20.png",
        table(rows("parts/test/good/20.png,good,validation")), path="list.csv"),
    own("a CSV with labels with commas, not in quotes", "2 faults in 14 images: with more cells than the first line "
        "has columns, as text with a comma outside of quotes makes (4, not 3): line 14, line 15. Put",
        table(rows("parts/test/good/20.png,good,bad,test", "parts/test/crack/21.png,a,b,test")), path="list.csv"),
    own("a CSV with a column twice", "its first line names the column label 2 times, and which of them counts is not "
        "said. Leave one label", table(rows(head="path,label,label")), path="list.csv"),
    own("a CSV that lists an image twice", "listed twice: parts/train/good/3.png",
        table(rows("parts/train/good/3.png,good,test")), path="list.csv"),
    own("a CSV that lists an image twice, in two ways", "listed twice: parts/../parts/./train/good/3.png",
        table(rows("parts/../parts/./train/good/3.png,good,test")), path="list.csv"),
    own("an `.npz` that is none", "a.npz cannot be read as an .npz file of numpy (",
        lambda folder: (folder / "a.npz").write_text("text"), path="a.npz"),
    own("an `.npz` of other names", "its arrays must be named train_images, train_labels, test_images, test_labels, or "
        "images and labels, or images; they are x, y", arrays(x=DRAWN, y=np.zeros(100, int)), path="a.npz"),
    own("an `.npz` of floats", "images has numbers of type float64; it must be uint8 (0 to 255), uint16 or bool. Of "
        "floats from 0 to 1 save: (255 * images)", arrays(images=DRAWN / 255), path="a.npz"),
    own("an `.npz` of flat images", "images has shape (100, 64); it must be (N, H, W), (N, H, W, C) or (N, C, H, W)",
        arrays(images=DRAWN.reshape(100, 64)), path="a.npz"),
    own("an `.npz` with too few labels", "images has 100 images, and labels is of type int64 and shape (99,)",
        arrays(images=DRAWN, labels=np.zeros(99, int)), path="a.npz"),
    own("an `.npz` with labels of 1 and -1", "labels has negative numbers (-1, 1), and no class name begins with a -. "
        "Save words, for example of 1 and -1: labels=numpy.where(labels == 1, 'good', 'anomalous')",
        arrays(images=DRAWN, labels=np.repeat([1, -1], 50)), path="a.npz"),
    own("an `.npz` of no images", "a.npz: images has no images", arrays(images=DRAWN[:0]), path="a.npz"),
    own("an `.npz` with a damaged image", "a.npz cannot be read as an .npz file of numpy (Bad CRC-32 for file",
        damaged_zip, path="a.npz"),
    own("an `.npz` of 100 images that says 10^12", "images is of shape (1000000000000, 8, 8) and has 6,400 bytes",
        enormous, path="a.npz"),
    own("an encrypted `.npz`", "a.npz cannot be read as an .npz file of numpy (File 'images.npy' is encrypted,",
        encrypted, path="a.npz"),
    own("an `.npy` called `.npz`", "a.npz cannot be read as an .npz file of numpy (it is none)",
        lambda folder: np.save((folder / "a.npz").open("wb"), DRAWN), path="a.npz"),
    own("the home of a user that there is not", "dataset.path='~nobody_here/x' cannot be a path: Could not determine",
        path='"~nobody_here/x"'),
    own("a path of 300 letters", "is too long for a path. Type dataset.path=<a shorter one>", path="x" * 300),
    own("a CSV with the home of a user that there is not", "no such file or directory: ~nobody_here/a.png",
        table(rows("~nobody_here/a.png,good,train")), path="list.csv"),
    own("a CSV with a zero byte in a path", "of a name that no file can have (with a zero byte): a\\x00.png",
        table(rows("a\0.png,good,train")), path="list.csv"),
]  # fmt: skip
