"""TFRecords of the TF Object Detection API, TF-Slim and DeepLab."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.tests.helpers.tfrecord_files import example, save_records

LABEL_MAP = "item { id: 1 name: 'cat' }\nitem { id: 3 name: 'dog' }\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))


def image_content(orientation=1, suffix="JPEG", seed=0):
    """Return an encoded image of 64 x 48 pixels."""
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, suffix, exif=exif)
    return stream.getvalue()


def objects(
    labels=(1, 3), texts=(b"cat", b"dog"), corners=((0.25, 0.5), (0.25, 0.0), (0.75, 1.0), (0.75, 0.5)), **more
):
    names = ("xmin", "ymin", "xmax", "ymax")
    boxes = {f"image__object__bbox__{name}": list(values) for name, values in zip(names, corners, strict=True)}
    classes = {"image__object__class__label": list(labels), "image__object__class__text": list(texts)}
    return boxes | classes | more


def record(number=0, orientation=1, **more):
    features = {"image__encoded": [image_content(orientation, seed=number)], "image__source_id": [str(number).encode()]}
    return example(**features, **more)


def test_objects_of_shards_are_read_with_the_ids_of_the_label_map(tmp_path):
    folder = tmp_path / "data"
    first = record(7, **objects(image__object__is_crowd=[0, 1], image__object__difficult=[1, 0]))
    save_records(folder / "pets_train.record-00000-of-00002", first, record(8, **objects((), (), ((), (), (), ()))))
    save_records(folder / "pets_train.record-00001-of-00002", record(9, **objects()))
    save_records(folder / "pets_val.record", record(10, **objects()))
    (folder / "label_map.pbtxt").write_text(LABEL_MAP)
    data = read(folder)
    assert (data.format, data.classes, data.class_ids) == ("tfrecord", ("cat", "dog"), (1, 3))
    assert data.splits.tolist() == ["train", "train", "train", "val"] and data.findings == ()
    assert data.columns["image_id"].tolist() == [7, 8, 9, 10]
    record_0 = list(data)[0]
    assert record_0["boxes"].tolist() == [[16, 12, 48, 36], [32, 0, 64, 24]]
    assert (
        record_0["labels"].tolist() == [0, 1] and record_0["location"] == "record 1 of pets_train.record-00000-of-00002"
    )
    assert record_0["crowd"].tolist() == [False, True] and record_0["difficult"].tolist() == [True, False]
    assert len(list(data)[1]["labels"]) == 0
    assert open(data.files[0], "rb").read() == image_content(seed=7)  # unchanged


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("flowers_train_00000-of-00001.tfrecord", "train"),
        ("train-00000-of-00001", "train"),
        ("coco_train.record-00000-of-00001", "train"),
        ("train.tfrec", "train"),
        ("train/Cells.tfrecord", "train"),
        ("pets.record", ""),
    ],
)
def test_usual_names_are_found(tmp_path, name, split):
    save_records(tmp_path / "data" / name, record(**objects()))
    assert read(tmp_path / "data").splits.tolist() == [split]


def test_images_are_written_once(tmp_path, caplog):
    caplog.set_level("INFO")
    path = save_records(tmp_path / "train.tfrecord", record(**objects()))
    files = [list(read(path).files) for _ in range(2)]
    assert files[0] == files[1]
    assert [entry.getMessage() for entry in caplog.records if "writing the images of 1 TFRecord" in entry.getMessage()]
    assert len([entry for entry in caplog.records if "writing" in entry.getMessage()]) == 1
    assert read(tmp_path).splits.tolist() == ["train"] and read(path).splits.tolist() == [""]


def test_boxes_are_those_of_the_stored_image(tmp_path):
    """TensorFlow decodes without EXIF, so the check rotates the boxes with the image."""
    data = read(save_records(tmp_path / "a.record", record(orientation=6, **objects())))
    assert data.columns["size"].tolist() == [[48, 64]] and data.columns["boxes"][0].tolist()[0] == [16, 12, 48, 36]


def test_without_a_label_map_the_records_name_the_classes(tmp_path):
    data = read(save_records(tmp_path / "a.record", record(**objects())))
    assert (data.classes, data.class_ids) == (("cat", "dog"), (1, 3))
    data = read(save_records(tmp_path / "b.record", record(**objects(texts=()))))
    assert data.classes == ("1", "3") and [finding.kind for finding in data.findings] == ["no class names"]
    data = read(save_records(tmp_path / "c.record", record(**objects(labels=()))))
    assert data.classes == ("cat", "dog") and data.class_ids == ()


def test_a_label_map_that_contradicts_the_records_is_refused(tmp_path):
    path = save_records(tmp_path / "a.record", record(**objects()))
    (tmp_path / "label_map.pbtxt").write_text("item { id: 1 name: 'dog' } item { id: 3 name: 'cat' }")
    with pytest.raises(RetinueError, match="the class 1 is dog here, but cat in the records"):
        read(path)
    (tmp_path / "right.pbtxt").write_text(LABEL_MAP)
    assert read(path).classes == ("cat", "dog")
    (tmp_path / "label_map.pbtxt").write_text("item { id: 1 name: 'cat' }")
    (tmp_path / "right.pbtxt").unlink()
    data = read(path)
    assert data.classes == ("cat",) and "its label 3 is not in the label map" in data.findings[0].reason


def test_labels_and_masks_of_whole_images_are_read(tmp_path):
    classes = [
        record(n, image__class__label=[n % 2], image__class__text=[[b"daisy", b"rose"][n % 2]]) for n in range(4)
    ]
    data = read(save_records(tmp_path / "flowers/train-00000-of-00001", *classes))
    assert (data.task, data.classes, data.columns["label"].tolist()) == (
        "classification",
        ("daisy", "rose"),
        [0, 1, 0, 1],
    )
    stream, ids = io.BytesIO(), np.zeros((48, 64), np.uint8)
    ids[:5] = 1
    Image.fromarray(ids).save(stream, "PNG")
    masks = record(**{"image__segmentation__class__encoded": [stream.getvalue()]})
    data = read(save_records(tmp_path / "voc/train-00000-of-00001.tfrecord", masks))
    assert data.task == "segmentation" and np.array_equal(np.asarray(Image.open(data.columns["mask"][0])), ids)


def test_what_is_wrong_is_named(tmp_path):
    path = tmp_path / "a.record-00000-of-00003"
    pixels = objects((1,), (b"cat",), ((10.0,), (10.0,), (30.0,), (30.0,)))
    uneven = objects((1,), (b"cat",), ((0.1,), (0.1,), (0.3,), (0.3, 0.4)))
    save_records(path, record(0, **pixels), record(1, **uneven), example(image__height=[3]), record(2, **objects()))
    data = read(path)
    assert len(data) == 3 and len(data.columns["labels"].values) == 2
    words = ["not fractions", "it has 1, 1, 1, 2 values", "it has no image/encoded", "2 of its 3 shards are not read"]
    assert all(word in finding.reason for word, finding in zip(words, data.findings, strict=True))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RetinueError, match="a.record-00000-of-00003: it ends in the middle of record 4; copy"):
        read(path)


def test_other_records_are_refused_with_what_they_hold(tmp_path):
    path = save_records(tmp_path / "mnist-train.tfrecord-00000-of-00001", example(image=[b"x"], label=[3]))
    with pytest.raises(RetinueError, match="these TFRecords hold image, label; what is read has image/encoded"):
        read(path)


def test_a_file_that_is_no_tfrecord_is_named(tmp_path):
    (tmp_path / "train.tfrecord").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(RetinueError, match="train.tfrecord: it is not a TFRecord file .*; copy or write"):
        read(tmp_path / "train.tfrecord")


def test_tensorflow_is_not_imported(tmp_path):
    path = save_records(tmp_path / "a.record", record(**objects()))
    program = (
        "import sys\nfrom retinue.data.readers.read import read\n"
        f"assert len(read({str(path)!r})) == 1\nassert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
