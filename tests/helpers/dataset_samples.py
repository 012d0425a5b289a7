"""A small valid data set of every label format.

To add a format, add one entry to `DATASETS`.
"""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

from retinue.tests.helpers.format_samples import mask, sample_image
from retinue.tests.helpers.numbered_videos import write_numbers
from retinue.tests.helpers.tfrecord_files import example, save_records


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
            {
                **{"id": 4, "image_id": 1, "category_id": 7, "bbox": [3, 3, 9, 9], "area": 20, "iscrowd": 0},
                "segmentation": {"size": [30, 40], "counts": "T3d0hQ1"},
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


def _labelme(folder: Path) -> list[Path]:
    _write_images(folder, "a.jpg b.jpg")
    shapes = [
        {"label": "cat", "points": [[1, 2], [20, 22]], "group_id": None, "shape_type": "rectangle", "flags": {}},
        {"label": "dog", "points": [[5, 5], [15, 5], [15, 15]], "group_id": 1, "shape_type": "polygon", "flags": {}},
    ]
    content = {"version": "5.2.1", "flags": {}, "shapes": shapes, "imageData": None, "imageHeight": 30}
    files = {stem: content | {"imagePath": f"{stem}.jpg", "imageWidth": 40} for stem in "ab"}
    return [_write(folder / f"{stem}.json", json.dumps(content)) for stem, content in files.items()]


VIA_REGIONS = (
    {"name": "rect", "x": 1, "y": 2, "width": 19, "height": 20},
    {"name": "polygon", "all_points_x": [5, 15, 15], "all_points_y": [5, 5, 15]},
)


def _via_json(folder: Path) -> list[Path]:
    _write_images(folder, "a.jpg b.jpg")
    regions = [
        {"shape_attributes": shape, "region_attributes": {"kind": kind}}
        for shape, kind in zip(VIA_REGIONS, ("cat", "dog"), strict=True)
    ]
    content = {
        f"{name}9": {"filename": name, "size": 9, "regions": regions, "file_attributes": {}}
        for name in ("a.jpg", "b.jpg")
    }
    return [_write(folder / "via_region_data.json", json.dumps(content))]


def _via_csv(folder: Path) -> list[Path]:
    _write_images(folder, "a.jpg b.jpg")
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    columns = ("#filename", "file_size", "file_attributes", "region_count", "region_id")
    rows.writerow((*columns, "region_shape_attributes", "region_attributes"))
    for name, shape in zip(("a.jpg", "b.jpg"), VIA_REGIONS, strict=True):
        rows.writerow((name, 9, "{}", 1, 0, json.dumps(shape), json.dumps({"kind": name[0]})))
    return [_write(folder / "via.csv", text.getvalue())]


def _cvat(folder: Path) -> list[Path]:
    _write_images(folder, "images/a.jpg images/b.jpg")
    shapes = (
        '<box label="cat" occluded="1" xtl="1" ytl="2" xbr="20" ybr="22" z_order="0"/>'
        '<polygon label="dog" points="5,5;15,5;15,15" z_order="1"/>'
        '<mask label="cat" rle="1, 2, 3" left="7" top="6" width="3" height="2" z_order="2"/>'
    )
    labels = "".join(f"<label><name>{name}</name><type>any</type></label>" for name in ("cat", "dog"))
    entries = "".join(
        f'<image id="{number}" name="{name}.jpg" width="40" height="30">{shapes}</image>'
        for number, name in enumerate("ab")
    )
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}{entries}</annotations>'
    return [_write(folder / "annotations.xml", text)]


def _label_studio(folder: Path) -> list[Path]:
    _write_images(folder, "images/1.jpg images/2.jpg")
    size = {"original_width": 40, "original_height": 30, "image_rotation": 0, "from_name": "label", "to_name": "image"}
    box = {"x": 10, "y": 20, "width": 30, "height": 50, "rotation": 0, "rectanglelabels": ["cat"]}
    polygon = {"points": [[10, 10], [20, 10], [20, 50]], "polygonlabels": ["dog"]}
    results = [
        {"id": "r", "type": "rectanglelabels", "value": box} | size,
        {"id": "s", "type": "polygonlabels", "value": polygon} | size,
    ]
    annotations = [{"id": 7, "was_cancelled": False, "result": results}]
    tasks = [
        {"id": n, "data": {"image": f"/data/upload/3/0a1b2c3d-{n}.jpg"}, "annotations": annotations} for n in (1, 2)
    ]
    return [_write(folder / "project.json", json.dumps(tasks))]


def _label_studio_min(folder: Path) -> list[Path]:
    _write_images(folder, "1.jpg 2.jpg")
    region = {"x": 10, "y": 20, "width": 30, "height": 50, "rotation": 0, "rectanglelabels": ["cat"]}
    region |= {"original_width": 40, "original_height": 30}
    meta = {"annotator": 1, "annotation_id": 5, "created_at": "x", "updated_at": "y", "lead_time": 2.5}
    tasks = [{"image": f"/data/upload/{n}.jpg", "id": n, "label": [region]} | meta for n in (1, 2)]
    return [_write(folder / "min.json", json.dumps(tasks))]


def _createml(folder: Path) -> list[Path]:
    _write_images(folder, "a.jpg b.jpg")
    entries = [
        {
            "image": f"{stem}.jpg",
            "annotations": [{"label": label, "coordinates": {"x": 15, "y": 12, "width": 20, "height": 10}}],
        }
        for stem, label in (("a", "cat"), ("b", "dog"))
    ]
    return [_write(folder / "_annotations.createml.json", json.dumps(entries))]


def _tfrecords(folder: Path) -> list[Path]:
    def record(number: int) -> bytes:
        stream = io.BytesIO()
        sample_image(number).save(stream, "JPEG")
        corners = {"xmin": [0.25, 0.5], "ymin": [0.25, 0.0], "xmax": [0.75, 1.0], "ymax": [0.75, 0.5]}
        return example(
            image__encoded=[stream.getvalue()],
            image__source_id=[str(number).encode()],
            image__object__class__label=[1, 3],
            image__object__class__text=[b"cat", b"dog"],
            **{f"image__object__bbox__{name}": values for name, values in corners.items()},
        )

    label_map = _write(folder / "label_map.pbtxt", "item { id: 1 name: 'cat' }\nitem { id: 3 name: 'dog' }\n")
    return [save_records(folder / "train.record", record(0), record(1)), label_map]


def _darknet(folder: Path) -> list[Path]:
    _write_images(folder, "obj/a.jpg obj/b.jpg")
    labels = [_write(folder / f"obj/{stem}.txt", "0 0.5 0.5 0.2 0.4\n1 0.3 0.3 0.1 0.1\n") for stem in "ab"]
    lists = [
        _write(folder / f"{split}.txt", f"data/obj/{stem}.jpg\n") for split, stem in (("train", "a"), ("valid", "b"))
    ]
    names = _write(folder / "obj.names", "cat\ndog\n")
    return [
        *labels,
        *lists,
        names,
        _write(folder / "obj.data", "classes=2\ntrain=train.txt\nvalid=valid.txt\nnames=obj.names\n"),
    ]


def _keras_yolo(folder: Path) -> list[Path]:
    _write_images(folder, "a.jpg b.jpg")
    names = _write(folder / "_classes.txt", "cat\ndog")
    return [names, _write(folder / "_annotations.txt", "a.jpg 1,2,20,22,0 5,5,15,15,1\nb.jpg 0,0,40,30,0\n")]


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
    "labelme": _labelme,
    "via": _via_json,
    "via.csv": _via_csv,
    "cvat": _cvat,
    "label studio": _label_studio,
    "label studio min": _label_studio_min,
    "createml": _createml,
    "tfrecords": _tfrecords,
    "darknet": _darknet,
    "keras-yolo": _keras_yolo,
}
