"""What the readers of labeling tools find in their files: images with objects, whose shapes are polygons or bitmaps."""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from retinue.configs.errors import RetinueError
from retinue.data.finding import INVALID, NOTE, WARNING, Finding
from retinue.data.readers.labeling_tools.outlines import Box, bounds

VOID_NAME = "__ignore__"  # labelme's name for what is neither an object nor background
MAX_PIXELS = 1 << 28  # of an image; a larger size is a mistake
BACKGROUND_NAME = "_background_"  # labelme's name for the background


@dataclass(frozen=True)
class Bitmap:
    """The pixels of an object.

    Attributes:
        x: Column of its left pixel in the image.
        y: Row of its upper pixel in the image.
        pixels: bool `[h, w]`, whether each pixel belongs to the object.
    """

    x: int
    y: int
    pixels: np.ndarray

    @property
    def box(self) -> Box | None:
        """The box around its pixels, x1, y1, x2, y2, or None if it has none."""
        rows, columns = (np.flatnonzero(self.pixels.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        left, upper = self.x + int(columns[0]), self.y + int(rows[0])
        return left, upper, self.x + int(columns[-1]) + 1, self.y + int(rows[-1]) + 1


@dataclass(frozen=True)
class AnnotatedObject:
    """One object of an image.

    Attributes:
        name: The name of its class.
        number: Which object of its file or image it is, for messages.
        box: x1, y1, x2, y2 in pixels of the image; x2 and y2 are exclusive.
        polygons: float64 `[k, 2]` each; the object is their union. A line has a box, but no polygon.
        bitmaps: Its pixels, if it was painted.
        is_rectangle: Whether all of its shapes are upright rectangles, which say nothing about its outline.
        crowd: Whether it surrounds many objects.
        difficult: Whether it is marked as difficult.
        occluded: Whether it is marked as occluded.
    """

    name: str
    number: int
    box: Box
    polygons: tuple[np.ndarray, ...] = ()
    bitmaps: tuple[Bitmap, ...] = ()
    is_rectangle: bool = False
    crowd: bool = False
    difficult: bool = False
    occluded: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", clean_name(self.name))


@dataclass(frozen=True)
class AnnotatedImage:
    """One image of a file of annotations.

    Attributes:
        name: The image as the file names it: a name, a path or an address.
        objects: Its objects, in the order in which they are drawn.
        labels: The classes of the whole image, for classification.
        image_id: Its id in the source.
        location: Where it is listed, for messages.
        size: Height and width in pixels that the file gives, 0 where it gives none.
        split: The split that the file gives, or "".
        other_names: Further names that its file may have.
        file: Its path, once it has been found.
    """

    name: str
    objects: tuple[AnnotatedObject, ...] = ()
    labels: tuple[str, ...] = ()
    image_id: int | str = ""
    location: str = ""
    size: tuple[int, int] = (0, 0)
    split: str = ""
    other_names: tuple[str, ...] = ()
    file: str = ""

    @property
    def content(self) -> tuple[object, ...]:
        """Its annotations as plain values, equal for two files that tell the same."""
        objects = tuple(
            (entry.name, *np.round(entry.box, 2).tolist(), len(entry.polygons), len(entry.bitmaps))
            for entry in self.objects
        )
        return tuple(sorted(objects)), tuple(sorted(self.labels))


@dataclass
class AnnotationFile:
    """What was read from one file of annotations, or from a folder of such files.

    Attributes:
        path: The file or the folder.
        images: Its images.
        classes: The class names in the order that the source defines; the others follow in sorted order.
        class_ids: The ids of `classes` in the source, or ().
        findings: What can't be used, or was assumed.
        problem: Why it can't be read, with the cure; "" if it can be read.
        missing_image_hint: What else the message about missing images should mention, or "".
        names_without_size: The labels of shapes that have no size, such as points.
    """

    path: str
    images: list[AnnotatedImage] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    class_ids: tuple[int, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    problem: str = ""
    missing_image_hint: str = ""
    names_without_size: set[str] = field(default_factory=set)

    def add_invalid_object(self, image: str, item: str, reason: str, cure: str = "draw it again") -> None:
        """Report an object that is skipped because it can't be understood."""
        finding = Finding(INVALID, "not a shape", image, item, f"{item}: {reason}", f"skipped; {cure}")
        self.findings.append(finding)

    def add_shapes_without_size(self, what: str, count: int) -> None:
        """Report shapes that are skipped because they have no size, such as points."""
        if count:
            reason = f"{count:,} {what}, which have no size"
            self.findings.append(Finding(WARNING, "no size", self.path, "", reason, "skipped; they are not objects"))


def make_object(
    name: str,
    number: int,
    polygons: Sequence[np.ndarray],
    *,
    is_rectangle: bool = False,
    is_open: bool = False,
    occluded: bool = False,
    crowd: bool = False,
) -> AnnotatedObject:
    """Return an object with the box around its polygons.

    Args:
        name: The name of its class.
        number: Which object it is, for messages.
        polygons: float64 `[k, 2]` each, at least one.
        is_rectangle: Whether they are upright rectangles.
        is_open: Whether they are open lines, which have a box but no area.
        occluded: Whether it is marked as occluded.
        crowd: Whether it surrounds many objects.
    """
    kept = () if is_open else tuple(polygons)
    return AnnotatedObject(name, number, bounds(polygons), kept, (), is_rectangle, crowd, False, occluded)


def make_bitmap_object(name: str, number: int, bitmap: Bitmap, *, occluded: bool = False) -> AnnotatedObject:
    """Return an object with the box around its pixels.

    Raises:
        ValueError: It has no pixel.
    """
    box = bitmap.box
    if box is None:
        raise ValueError("its mask is empty")
    return AnnotatedObject(name, number, box, bitmaps=(bitmap,), occluded=occluded)


def merge_group(entries: Sequence[AnnotatedObject]) -> AnnotatedObject:
    """Return the one object of the shapes of a group."""
    if len(entries) == 1:
        return entries[0]
    boxes = np.array([entry.box for entry in entries])
    x1, y1, x2, y2 = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)]).tolist()
    return replace(
        entries[0],
        box=(x1, y1, x2, y2),
        polygons=tuple(polygon for entry in entries for polygon in entry.polygons),
        bitmaps=tuple(bitmap for entry in entries for bitmap in entry.bitmaps),
        is_rectangle=all(entry.is_rectangle for entry in entries),
    )


def parse_size(height: object, width: object) -> tuple[int, int]:
    """Return height and width in pixels as a file gives them, as numbers or as text; 0, 0 where it gives none."""
    try:
        size = int(float(str(height))), int(float(str(width)))
    except (ValueError, OverflowError):
        return 0, 0
    return size if min(size) > 0 and size[0] * size[1] <= MAX_PIXELS else (0, 0)


def describe_shape_error(error: Exception) -> str:
    """Return why a shape can't be understood, from the error that its parser raised."""
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    known = isinstance(error, ValueError) and str(error).startswith(("it", "a ", "its", "'", "the "))
    return str(error) if known else "it can't be understood"


def clean_name(name: object) -> str:
    """Return the name of a class with one spelling for accented letters and without blanks around it."""
    return unicodedata.normalize("NFC", str(name)).strip()


def merge_images(files: Sequence[AnnotationFile], findings: list[Finding]) -> list[AnnotatedImage]:
    """Return the images of several files of annotations, each once.

    The same annotations are often there twice, as a project and as an export. An image that two files annotate in the
    same way counts once, and one that only one file annotates has these annotations.

    Args:
        files: The files, whose images have been found.
        findings: Receives what is there twice.

    Raises:
        RetinueError: Two files annotate an image in different ways.
    """
    first: dict[str, tuple[AnnotatedImage, str]] = {}
    repeated: dict[str, list[str]] = {}
    for file in files:
        for image in file.images:
            earlier, other_path = first.setdefault(image.file, (image, file.path))
            if earlier is image:
                continue
            if not any(earlier.content):
                first[image.file] = image, file.path
            elif any(image.content) and image.content != earlier.content:
                if other_path == file.path:
                    raise RetinueError(
                        f"{file.path}: {earlier.location} and {image.location} are both the image {image.file}, with "
                        "different objects; remove one of them"
                    )
                raise RetinueError(
                    f"{file.path} and {other_path} annotate {image.file} with different objects; give one of the two "
                    "files, or move the other away"
                )
            repeated.setdefault(file.path, []).append(other_path)
    for path, others in repeated.items():
        names = " and ".join(sorted({os.path.relpath(other, os.path.dirname(path) or os.curdir) for other in others}))
        reason = f"{len(others):,} of its images are also in {names}, annotated in the same way or in one of them only"
        findings.append(Finding(NOTE, "annotated twice", path, "", reason, "each image counts once"))
    return [image for image, _ in first.values()]
