"""A small valid file of every image and video format, and a small valid data set of every label format.

To add a format, add one entry to `images`, `videos` or `DATASETS`.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retinue.tests.helpers.numbered_videos import write_numbers


def sample_image(seed: int = 0, width: int = 40, height: int = 30, channels: int = 3) -> Image.Image:
    """Draw a smooth image."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x + seed) / (3 + channel) + y / (5 + seed)) for channel in range(channels)]
    pixels = (127 + 120 * np.stack(waves, -1)).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def mask(seed: int = 0, width: int = 40, height: int = 30) -> Image.Image:
    """Draw a mask of the ids 0 and 1."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[5 + seed : 20, 5:25] = 1
    return Image.fromarray(pixels)


def images() -> dict[str, bytes]:
    """Return the content of an image of each kind, by name."""
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb, rgba = sample_image(), sample_image(channels=4)
    frames: dict[str, Any] = {"save_all": True, "append_images": [sample_image(1), sample_image(2)]}
    transparent: dict[str, Any] = {"save_all": True, "append_images": [sample_image(1, channels=4)]}
    deep = Image.fromarray(np.asarray(sample_image(channels=1)).astype(np.uint16) * 200)
    return {
        "plain.jpg": _encode(rgb, "JPEG", exif=exif),
        "progressive.jpg": _encode(rgb, "JPEG", progressive=True),
        "gray.jpg": _encode(sample_image(channels=1), "JPEG"),
        "cmyk.jpg": _encode(rgb.convert("CMYK"), "JPEG"),
        "plain.png": _encode(rgb, "PNG", exif=exif),
        "palette.png": _encode(rgb.quantize(16), "PNG", transparency=3),
        "deep.png": _encode(deep, "PNG"),
        "alpha.png": _encode(rgba, "PNG"),
        "animated.gif": _encode(rgb, "GIF", **frames),
        "plain.bmp": _encode(rgb, "BMP"),
        "palette.bmp": _encode(rgb.quantize(16), "BMP"),
        "one bit.bmp": _encode(rgb.convert("1"), "BMP"),
        "lossy.webp": _encode(rgb, "WEBP", exif=exif),
        "lossless.webp": _encode(rgba, "WEBP", lossless=True),
        "alpha.webp": _encode(rgba, "WEBP"),
        "animated.webp": _encode(rgb, "WEBP", **frames),
        "animated alpha.webp": _encode(rgba, "WEBP", **transparent),
        "plain.tif": _encode(rgb, "TIFF"),
        "lzw.tif": _encode(rgb, "TIFF", compression="tiff_lzw"),
        "deep.tif": _encode(deep, "TIFF"),
    }


def videos(folder: Path) -> dict[str, bytes]:
    """Return the content of a video of each kind, by name. They are written into a folder."""
    kinds: dict[str, dict[str, Any]] = {
        "h264.mp4": {},
        "h264.mkv": {},
        "h264.ts": {},
        "mpeg4.avi": {"codec": "mpeg4"},
        "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
        "vp8.webm": {"codec": "libvpx", "deadline": "realtime", "cpu-used": 8},
        "wmv2.wmv": {"codec": "wmv2"},
    }
    return {name: write_numbers(folder / name, 12, g=6, **options).read_bytes() for name, options in kinds.items()}


def _encode(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def _write_images(folder: Path, names: str) -> list[Path]:
    paths = [folder / name for name in names.split()]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        sample_image(number).save(path)
    return paths


def _class_folders(folder: Path) -> list[Path]:
    return _write_images(folder, "cat/a.jpg cat/b.jpg cat/c.jpg dog/d.jpg dog/e.jpg dog/f.jpg")[:2]


def _labels_csv(folder: Path) -> list[Path]:
    _write_images(folder, "a.jpg b.jpg c.jpg d.jpg")
    rows = "file,label,split\na.jpg,cat,train\nb.jpg,dog,train\nc.jpg,cat,val\nd.jpg,dog,val\n"
    return [_write(folder / "labels.csv", rows)]


def _boxes_csv(folder: Path) -> list[Path]:
    _write_images(folder, "a.jpg b.jpg")
    rows = "file,x1,y1,x2,y2,label\na.jpg,1,2,20,22,cat\na.jpg,5,5,15,15,dog\nb.jpg,0,0,40,30,cat\n"
    return [_write(folder / "boxes.csv", rows)]


def _coco(folder: Path) -> list[Path]:
    _write_images(folder, "images/a.jpg images/b.jpg")
    content = {
        "images": [{"id": n, "file_name": name, "width": 40, "height": 30} for n, name in ((1, "a.jpg"), (2, "b.jpg"))],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 12], "area": 120, "iscrowd": 0},
            {
                **{"id": 2, "image_id": 2, "category_id": 7, "bbox": [5, 5, 9, 9], "area": 81, "iscrowd": 1},
                "segmentation": {"size": [30, 40], "counts": [100, 20, 1080]},
            },
            {
                **{"id": 3, "image_id": 2, "category_id": 1, "bbox": [0, 0, 8, 8], "area": 64, "iscrowd": 0},
                "segmentation": [[0, 0, 8, 0, 8, 8, 0, 8]],
            },
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    return [_write(folder / "annotations" / "instances.json", json.dumps(content))]


def _voc(folder: Path) -> list[Path]:
    _write_images(folder, "JPEGImages/a.jpg JPEGImages/b.jpg")
    text = (
        "<annotation><filename>{}.jpg</filename><size><width>40</width><height>30</height></size><object>"
        "<name>cat</name><difficult>0</difficult><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>22</ymax>"
        "</bndbox></object></annotation>"
    )
    lists = _write(folder / "ImageSets/Main/train.txt", "a\nb\n")
    return [*(_write(folder / f"Annotations/{stem}.xml", text.format(stem)) for stem in "ab"), lists]


def _yolo(folder: Path) -> list[Path]:
    _write_images(folder, "images/a.jpg images/b.jpg")
    labels = [
        _write(folder / "labels/a.txt", "0 0.5 0.5 0.2 0.4\n1 0.3 0.3 0.1 0.1\n"),
        _write(folder / "labels/b.txt", "1 .1 .1 .3 .1 .3 .2\n"),
    ]
    return [*labels, _write(folder / "data.yaml", "train: images\nval: images\nnames: [cat, dog]\nnc: 2\n")]


def _mask_folders(folder: Path) -> list[Path]:
    _write_images(folder, "images/a.jpg images/b.jpg")
    (folder / "masks").mkdir()
    paths = [folder / "masks" / f"{stem}.png" for stem in "ab"]
    for number, path in enumerate(paths):
        mask(number).save(path)
    return [*paths, _write(folder / "classes.txt", "background\nthing\n")]


def _masks_csv(folder: Path) -> list[Path]:
    _write_images(folder, "a.jpg b.jpg")
    for number, stem in enumerate("ab"):
        mask(number).save(folder / f"{stem}_mask.png")
    _write(folder / "classes.txt", "background\nthing\n")
    return [_write(folder / "masks.csv", "file,mask\na.jpg,a_mask.png\nb.jpg,b_mask.png\n")]


def _clips_csv(folder: Path) -> list[Path]:
    for name in ("a.avi", "b.avi"):
        folder.mkdir(parents=True, exist_ok=True)
        write_numbers(folder / name, 12, "mjpeg", pixels="yuvj420p")
    return [_write(folder / "clips.csv", "file,label,start,end\na.avi,left,0,0.3\nb.avi,right,0.1,0.4\n")]


def _clip_folders(folder: Path) -> list[Path]:
    paths = [folder / name for name in ("left/a.mp4", "left/b.mp4", "right/c.mp4")]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_numbers(path, 12, g=6 + number)
    return paths[:1]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# Each function writes a data set into a folder and returns the files of it that are damaged.
DATASETS: dict[str, Callable[[Path], list[Path]]] = {
    "class folders": _class_folders,
    "labels.csv": _labels_csv,
    "boxes.csv": _boxes_csv,
    "coco": _coco,
    "voc": _voc,
    "yolo": _yolo,
    "mask folders": _mask_folders,
    "masks.csv": _masks_csv,
    "clips.csv": _clips_csv,
    "clip folders": _clip_folders,
}
