"""`read`: which format a source has, and what is answered when it has none."""

import subprocess
import sys

import pytest

from retinue.configs.errors import UsageError
from retinue.data.readers.read import read, understand


@pytest.fixture
def folder(tmp_path):
    for name in ("images/cat/1.jpg", "images/dog/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "labels.csv").write_text("file,label\nimages/cat/1.jpg,cat\nimages/dog/1.jpg,dog\n")
    (tmp_path / "labels.tsv").write_text("file\tlabel\nimages/cat/1.jpg\tcat\nimages/dog/1.jpg\tdog\n")
    return tmp_path


def test_formats_are_detected(folder):
    assert understand(f"{folder}/images").format == "class folders"
    assert understand(f"{folder}/labels.csv").format == "labels csv"
    for source in ("images", "labels.csv", "labels.tsv"):
        dataset = read(folder / source)
        assert dataset.classes == ("cat", "dog")
        assert list(dataset.files) == [f"{folder}/images/{name}/1.jpg" for name in dataset.classes]
        assert dataset.source == str(folder / source)


def test_the_nearest_name_is_suggested_for_a_missing_path(folder):
    with pytest.raises(UsageError, match=f"imgaes: no such file or folder; did you mean {folder}/images"):
        read(folder / "imgaes")
    with pytest.raises(UsageError, match="no such file or folder$"):
        read(folder / "something else")
    with pytest.raises(UsageError, match="no such file or folder"):
        read(folder / "none" / "deeper")


def test_a_file_of_another_format_is_refused(folder):
    with pytest.raises(
        UsageError,
        match="1.jpg: this is not a data source; give a folder .class folders, COCO, VOC, YOLO, images and masks., a",
    ):
        read(folder / "images/cat/1.jpg")


def test_packs_and_addresses_are_refused_with_the_cure(folder):
    (folder / "images" / "pack.index").touch()
    with pytest.raises(UsageError, match="images: this is a pack, .* no longer reads; give the folder of images"):
        read(folder / "images")
    for address in ("gs://bucket/images", "s3://bucket/images/labels.csv"):
        with pytest.raises(UsageError, match=f"{address}: this is an address, .* copy it to a local disk or mount it"):
            read(address)


def test_the_task_must_fit_the_format(folder):
    assert read(folder / "images", task="classification").task == "classification"
    with pytest.raises(UsageError, match="class folders can't be read for detection; it is data for classification"):
        read(folder / "images", task="detection")


def test_reading_and_checking_import_no_tensorflow():
    """`retinue check` must start quickly."""
    code = (
        "import sys\n"
        "import retinue.data.readers.read, retinue.data.checking.check, retinue.data.split\n"
        "import retinue.data.checking.summary\n"
        "assert not {'tensorflow', 'keras', 'cv2', 'matplotlib', 'tensorflow_datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
