"""`tfds:NAME`: the real specification of MNIST with made-up images, and small datasets built from local files."""

import os

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.checking.check import check
from retinue.data.readers.read import read


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Caches of their own; and no network."""
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "tfds"))
    return tmp_path / "cache" / "tfds"


class LocalFiles(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """What the datasets below share: images of one color, written as files and then read as a source would be."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=self.features())

    def _split_generators(self, manager):
        return {name: self._generate_examples(records) for name, records in self.records().items()}

    def _generate_examples(self, records):
        folder = f"{self._data_dir_root}/source"
        os.makedirs(folder, exist_ok=True)
        for number, record in enumerate(records):
            file = f"{folder}/{number}.{record.pop('form')}"
            Image.new("RGB", (20, 10), (number, 0, 0)).save(file)
            yield number, record | {"scan": file}


class RetinueShapes(LocalFiles):
    """One label, an unlabeled test, an odd split, and a second ClassLabel."""

    def features(self):
        label = tfds.features.ClassLabel(names=["round", "angular", "other"])
        coarse = tfds.features.ClassLabel(num_classes=2)
        scan = tfds.features.Image(shape=(None, None, 3))
        return tfds.features.FeaturesDict({"scan": scan, "coarse": coarse, "label": label})

    def records(self):
        return {
            "train": [{"form": "png", "label": name, "coarse": 0} for name in ("angular", "round", "round")],
            "validation": [{"form": "png", "label": "angular", "coarse": 1}],
            "test": [{"form": "png", "label": -1, "coarse": 1}, {"form": "png", "label": "round", "coarse": 1}],
            "extra": [{"form": "png", "label": "round", "coarse": 1}],
        }


class RetinueTags(LocalFiles):
    """Several labels, as JPEG."""

    def features(self):
        tags = tfds.features.Sequence(tfds.features.ClassLabel(names=["b", "a"]))
        scan = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
        return tfds.features.FeaturesDict({"scan": scan, "tags": tags})

    def records(self):
        return {"train": [{"form": "jpg", "tags": tags} for tags in (["a", "b"], [], ["a", "a"])]}


class RetinueObjects(LocalFiles):
    """Boxes, one of them without a label, and labels of the whole image beside them."""

    def features(self):
        label = tfds.features.ClassLabel(names=["cat", "dog"])
        objects = {"bbox": tfds.features.BBoxFeature(), "label": label, "is_difficult": np.bool_}
        scan = tfds.features.Image(shape=(None, None, 3))
        labels = tfds.features.Sequence(label)
        objects = tfds.features.Sequence(objects)
        return tfds.features.FeaturesDict({"scan": scan, "labels": labels, "objects": objects})

    def records(self):
        def thing(label, *sides, difficult=False):
            return {"label": label, "bbox": tfds.features.BBox(*sides), "is_difficult": difficult}

        some = [
            thing("dog", 0.1, 0.2, 0.5, 0.6),
            thing(-1, 0.0, 0.0, 1.0, 1.0),
            thing("cat", 0.0, 0.0, 1.0, 1.0, difficult=True),
        ]
        return {"train": [{"form": "png", "labels": ["dog"], "objects": objects} for objects in (some, [])]}


def test_objects_with_boxes_are_read():
    data = read("tfds:retinue_objects")
    assert (data.task, data.classes) == ("detection", ("cat", "dog"))
    row = int(np.argmax([len(boxes) for boxes in data.columns["boxes"]]))
    record = list(data)[row]
    np.testing.assert_allclose(record["boxes"], [[4, 1, 12, 5], [0, 0, 20, 10]], rtol=1e-5)
    assert record["labels"].tolist() == [1, 0] and record["difficult"].tolist() == [False, True]
    assert len(data.columns["boxes"][1 - row]) == 0 and len(data) == 2
    whole = read("tfds:retinue_objects", task="classification")
    assert whole.task == "classification" and whole.columns["labels"].values.tolist() == [1, 1]
    with pytest.raises(UsageError, match="retinue_shapes: this dataset has no objects with boxes; its fields are scan"):
        read("tfds:retinue_shapes", task="detection")


def test_images_with_one_label_become_files(cache, logged):
    data = read("tfds:retinue_shapes")
    assert data.classes == ("round", "angular", "other")  # the dataset's own order
    assert [record["label"] for record in data] == [1, 0, 0, 1, 0]
    assert list(data.splits) == ["train"] * 3 + ["val", "test"]
    assert (data.format, data.source, data.task) == ("tfds", "tfds:retinue_shapes", "classification")
    assert sorted({os.path.relpath(os.path.dirname(name), cache) for name in data.files}) == [
        f"retinue_shapes/1.0.0/{split}" for split in ("test", "train", "validation")
    ]
    assert all(name.endswith(".png") for name in data.files)
    with Image.open(data.files[2]) as image:
        assert image.size == (20, 10)
    assert [finding.reason for finding in data.findings] == [
        "its split extra is not used",
        "1 of its images without a label are not used",
    ]
    first, second = logged.messages
    assert "downloading" in first and "writing 6 records to" in second


def test_several_labels_are_read_and_bytes_are_unchanged(tmp_path):
    data = read("tfds:retinue_tags")
    assert data.classes == ("b", "a")
    assert sorted(row.tolist() for row in data.columns["labels"]) == [[], [0, 1], [1]]
    source = {path.read_bytes() for path in (tmp_path / "tfds/source").iterdir()}
    assert {open(name, "rb").read() for name in data.files} == source
    assert all(name.endswith(".jpeg") for name in data.files)


def test_the_second_time_nothing_is_logged_or_written(logged):
    first = read("tfds:retinue_shapes")
    times = [os.stat(name).st_mtime_ns for name in first.files]
    logged.clear()
    again = read("tfds:retinue_shapes")
    assert logged.messages == []
    assert again.fingerprint == first.fingerprint
    assert [os.stat(name).st_mtime_ns for name in again.files] == times


def test_an_interrupted_read_is_resumed(cache):
    first = read("tfds:retinue_shapes")
    content = [open(name, "rb").read() for name in first.files]
    os.remove(cache / "retinue_shapes/1.0.0/labels.json")  # what is written last
    os.remove(first.files[1])
    with open(first.files[2], "wb") as half:
        half.write(content[2][:10])
    kept = os.stat(first.files[0]).st_mtime_ns
    again = read("tfds:retinue_shapes")
    assert [open(name, "rb").read() for name in again.files] == content
    assert os.stat(again.files[0]).st_mtime_ns == kept


def test_the_check_works_as_for_other_data():
    report = check(read("tfds:retinue_shapes"))
    assert report.class_counts["train"].tolist() == [2, 1, 0]
    assert report.would_fail == [
        "1 class has no usable image to train on: other; add images to train, or remove the class"
    ]


def test_mnist_with_made_up_images_is_read(tmp_path):
    builder = tfds.builder("mnist", data_dir=tmp_path / "mock")
    info = [tfds.core.SplitInfo(name=name, shard_lengths=[4], num_bytes=0) for name in ("train", "test")]
    builder.info.set_splits(tfds.core.splits.SplitDict(info))
    os.makedirs(builder.data_dir)
    builder.info.write_to_directory(builder.data_dir)
    with tfds.testing.mock_data(num_examples=4, data_dir=str(tmp_path / "mock")):
        data = read("tfds:mnist")
    assert data.classes == tuple("0123456789")
    assert list(data.splits) == ["train"] * 4 + ["test"] * 4
    assert data.columns["label"].dtype == np.int64 and len(data) == 8
    with Image.open(data.files[0]) as image:
        assert (image.size, image.mode) == ((28, 28), "L")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("tfds:mnits", "tfds:mnits: tensorflow_datasets has no such dataset; did you mean tfds:mnist?"),
        ("tfds:mnits/fashion:3.0.1", "no such dataset; did you mean tfds:mnist?"),
        ("tfds:kubric:movi_a", "tfds:kubric:movi_a: community collections are not read"),
        ("tfds:mnist/huge", "tfds:mnist/huge: .*BuilderConfig huge not found"),
        ("tfds:mnist:9.9.9", "cannot be loaded at version 9.9.9"),
        ("tfds:clevr", "needs one label; its fields are image, file_name, objects, question_answer"),
        ("tfds:imdb_reviews", "needs one image; its fields are text, label"),
    ],
)
def test_unknown_and_unfit_datasets_are_refused(source, message):
    with pytest.raises(UsageError, match=message):
        read(source)


def test_a_failed_download_is_an_error_with_its_cause(monkeypatch):
    def fail(self):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(RetinueShapes, "download_and_prepare", fail)
    with pytest.raises(RetinueError, match=r"tfds:retinue_shapes: the dataset can't be prepared \(no route to host\)"):
        read("tfds:retinue_shapes")
