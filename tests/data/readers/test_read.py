"""`read`: which format a source is, and what is said when it is none."""

import subprocess
import sys

import pytest

from retinue.configs.errors import UsageError
from retinue.data.readers.read import detect, read


@pytest.fixture
def folder(tmp_path):
    for name in ("photos/cat/1.jpg", "photos/dog/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "labels.csv").write_text("file,label\nphotos/cat/1.jpg,cat\nphotos/dog/1.jpg,dog\n")
    (tmp_path / "labels.tsv").write_text("file\tlabel\nphotos/cat/1.jpg\tcat\nphotos/dog/1.jpg\tdog\n")
    return tmp_path


def test_formats(folder):
    assert detect(f"{folder}/photos") == "class folders"
    assert detect(f"{folder}/labels.csv") == "csv"
    assert detect("tfds:mnist") == "tfds"
    for source in ("photos", "labels.csv", "labels.tsv"):
        dataset = read(folder / source)
        assert dataset.classes == ("cat", "dog")
        assert list(dataset.files) == [f"{folder}/photos/{name}/1.jpg" for name in dataset.classes]
        assert dataset.source == str(folder / source)


def test_a_path_that_is_not_there_gets_the_nearest(folder):
    with pytest.raises(UsageError, match=f"phtos: no such file or folder; did you mean {folder}/photos"):
        read(folder / "phtos")
    with pytest.raises(UsageError, match="no such file or folder$"):
        read(folder / "something else")
    with pytest.raises(UsageError, match="no such file or folder"):
        read(folder / "none" / "deeper")


def test_a_file_that_is_no_source(folder):
    with pytest.raises(
        UsageError,
        match="1.jpg: not a data source; give a folder .class folders, COCO, VOC, YOLO, images and masks., a .csv",
    ):
        read(folder / "photos/cat/1.jpg")


def test_packs_and_addresses_are_refused_with_what_to_do(folder):
    (folder / "photos" / "pack.index").touch()
    with pytest.raises(UsageError, match="photos: is a pack, .* no longer reads; give the folder of images"):
        read(folder / "photos")
    for address in ("gs://bucket/photos", "s3://bucket/photos/labels.csv"):
        with pytest.raises(UsageError, match=f"{address}: is an address, .* copy it to a local disk or mount it"):
            read(address)


def test_the_task_must_fit_the_format(folder):
    assert read(folder / "photos", task="classification").task == "classification"
    with pytest.raises(UsageError, match="class folders can't be read for detection; it is data for classification"):
        read(folder / "photos", task="detection")


def test_tensorflow_stays_out():
    """`retinue check` must start in a blink."""
    code = (
        "import sys\n"
        "import retinue.data.readers.read, retinue.data.checking.check, retinue.data.split\n"
        "import retinue.data.checking.check_report\n"
        "assert not {'tensorflow', 'keras', 'cv2', 'matplotlib', 'tensorflow_datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
