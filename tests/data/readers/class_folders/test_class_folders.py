"""Class folders: the layouts that are understood, what is ignored, and what is refused with a cure."""

import os

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.class_folders.class_folders import read_class_folders
from retinue.data.storage.file_names import looks_like_image
from retinue.tests.helpers.empty_files import make


def rows(dataset, folder):
    """Return the file below the folder, the class name and the split of every record."""
    return [
        (os.path.relpath(record["file"], folder), dataset.classes[record["label"]], record["split"])
        for record in dataset
    ]


def test_class_folders_are_read_at_any_depth_in_sorted_order(tmp_path):
    make(tmp_path, "dog/2.jpg", "cat/b/c/1.PNG", "cat/a 1.jpeg", "Ünï/猫.webp")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("cat", "dog", "Ünï")
    assert rows(dataset, tmp_path) == [
        ("cat/a 1.jpeg", "cat", ""),
        ("cat/b/c/1.PNG", "cat", ""),
        ("dog/2.jpg", "dog", ""),
        ("Ünï/猫.webp", "Ünï", ""),
    ]
    assert (dataset.task, dataset.format, dataset.source) == ("classification", "class folders", str(tmp_path))
    assert dataset.findings == () and not dataset.multi_label


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "validation", "testing"), ("train", "valid")])
def test_split_folders_above_the_classes_are_read(tmp_path, names):
    for name in names:
        make(tmp_path, f"{name}/cat/1.jpg", f"{name}/dog/2.jpg")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("cat", "dog")
    for name, split in zip(names, ("train", "val", "test"), strict=False):
        assert (f"{name}/dog/2.jpg", "dog", split) in rows(dataset, tmp_path)


def test_a_class_that_is_only_in_val_is_a_class(tmp_path):
    make(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "val/fox/1.jpg")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("cat", "dog", "fox")
    assert dataset.split("train").class_counts().tolist() == [1, 1, 0]


def test_train_may_be_a_class_of_vehicles(tmp_path):
    make(tmp_path, "bus/1.jpg", "train/1.jpg", "tram/1.jpg")
    assert read_class_folders(tmp_path).classes == ("bus", "train", "tram")
    make(tmp_path, "train/steam/1.jpg")
    assert read_class_folders(tmp_path).classes == ("bus", "train", "tram")


def test_train_alone_is_the_train_split(tmp_path):
    make(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("cat", "dog") and set(dataset.splits) == {"train"}


def test_two_names_of_one_split_are_refused(tmp_path):
    make(tmp_path, "train/a/1.jpg", "val/a/1.jpg", "validation/a/1.jpg")
    with pytest.raises(RetinueError, match="both val and validation could be the val split; rename one of them"):
        read_class_folders(tmp_path)


def test_unlabeled_images_and_other_folders_beside_the_splits_are_reported(tmp_path):
    make(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "test/7.jpg", "extra/a/1.jpg")
    dataset = read_class_folders(tmp_path)
    assert len(dataset) == 2
    assert [(os.path.basename(finding.file), finding.severity) for finding in dataset.findings] == [
        ("7.jpg", "warning"),
        ("extra", "warning"),
    ]
    assert "outside the class folders" in dataset.findings[0].reason


def test_folders_of_a_program_beside_the_data_are_no_classes(tmp_path):
    make(
        tmp_path, "dataset/cat/1.jpg", "dataset/dog/2.jpg", "docs/img/a.png", "tests/data/b.jpg", "src/models/model.py"
    )
    assert [row[1] for row in rows(read_class_folders(tmp_path), tmp_path)] == ["cat", "dog"]


def test_a_folder_of_unlabeled_images_is_no_class(tmp_path):
    make(tmp_path, "cat/1.jpg", "dog/2.jpg", "Unlabeled/3.jpg")
    dataset = read_class_folders(tmp_path)
    assert rows(dataset, tmp_path) == [("cat/1.jpg", "cat", ""), ("dog/2.jpg", "dog", "")]
    (finding,) = dataset.findings
    assert (os.path.basename(finding.file), finding.severity) == ("Unlabeled", "warning")


def test_hidden_files_and_os_metadata_files_are_ignored_silently(tmp_path):
    make(tmp_path, "cat/1.jpg", "dog/1.jpg", "cat/.hidden.jpg", "cat/._1.jpg", "cat/Thumbs.db", "cat/.DS_Store")
    make(tmp_path, "__MACOSX/cat/1.jpg", ".git/1.jpg", ".DS_Store", "cat/@eaDir/1.jpg")
    dataset = read_class_folders(tmp_path)
    assert (len(dataset), dataset.classes, dataset.findings) == (2, ("cat", "dog"), ())


WRITTEN = (
    ("check/report.json", "check/problems.csv", "check/samples.jpg"),
    ("results/predict.json", "results/predictions.jsonl", "results/overlays/cat/1.jpg"),
    ("export/export.json", "export/saved_model.pb"),
    ("my run/run.json", "my run/confusion.png", "my run/worst/01.jpg"),
    ("out/one/run.json", "out/one/curves.png", "out/two/export.json"),
    ("runs/classification-001/run.json", "runs/classification-001/worst/01.jpg", "runs/broken off/solar-cells.csv"),
    ("runs/demo-001/run/run.json", "runs/demo-001/export/export.json", "runs/demo-001/test-files.txt"),
)


@pytest.mark.parametrize("written", WRITTEN, ids=lambda names: names[0].split("/")[0])
def test_folders_that_retinue_wrote_are_ignored_and_reported(tmp_path, written):
    make(tmp_path, "cat/1.jpg", "dog/1.jpg", *written)
    dataset = read_class_folders(tmp_path)
    assert (len(dataset), dataset.classes) == (2, ("cat", "dog"))
    assert [(finding.severity, finding.kind, finding.file) for finding in dataset.findings] == [
        ("note", "results of retinue", str(tmp_path / written[0].split("/")[0]))
    ]


def test_results_are_ignored_in_a_class_beside_splits_and_around_a_wrapped_folder(tmp_path):
    make(tmp_path / "a", "cat/1.jpg", "dog/2022/1.jpg", "dog/2022/results/predict.json", "dog/2022/results/o/1.jpg")
    make(tmp_path / "b", "train/cat/1.jpg", "train/dog/1.jpg", "val/cat/2.jpg", "runs/x/run.json", "runs/x/worst/1.jpg")
    make(tmp_path / "b", "train/check/report.json", "train/check/problems.csv")
    make(tmp_path / "c", "images/cat/1.jpg", "images/dog/1.jpg", "check/report.json", "check/problems.csv")
    for name, results in (("a", ["results"]), ("b", ["runs", "check"]), ("c", ["check"])):
        dataset = read_class_folders(tmp_path / name)
        assert dataset.classes == ("cat", "dog")
        ignored = [finding.file for finding in dataset.findings if finding.kind == "results of retinue"]
        assert [os.path.basename(file) for file in ignored] == results


def test_images_are_never_ignored_because_of_results_beside_them(tmp_path):
    make(tmp_path, "cat/1.jpg", "cat/report.json", "cat/problems.csv", "cat/samples.jpg", "dog/1.jpg")
    make(tmp_path, "fox/1.jpg", "fox/predict.json", "runs/on snow/1.jpg", "report.json", "problems.csv")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("cat", "dog", "fox", "runs")
    assert dataset.class_counts().tolist() == [2, 1, 1, 1]


def test_other_files_are_reported_and_not_used(tmp_path):
    make(tmp_path, "cat/1.jpg", "cat/notes.txt", "dog/1.jpg", "dog/clip.mp4", "dog/noextension", "stray.png")
    dataset = read_class_folders(tmp_path)
    assert len(dataset) == 2
    assert [(os.path.basename(finding.file), finding.reason.split(" of ")[0]) for finding in dataset.findings] == [
        ("notes.txt", "not an image"),
        ("clip.mp4", "not an image"),
        ("noextension", "not an image"),
        ("stray.png", "an image outside the class folders"),
    ]


def test_images_of_unsupported_formats_are_listed_for_the_check(tmp_path):
    make(tmp_path, "cat/1.heic", "dog/1.jpg")
    assert len(read_class_folders(tmp_path)) == 2


def test_an_empty_class_folder_is_a_class_without_files(tmp_path):
    make(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "fox").mkdir()
    assert read_class_folders(tmp_path).class_counts().tolist() == [1, 1, 0]


def test_a_folder_that_only_wraps_another_is_opened_and_reported(tmp_path):
    make(tmp_path, "flowers/daisy/1.jpg", "flowers/rose/1.jpg", "LICENSE.txt")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("daisy", "rose")
    assert [(finding.severity, finding.kind) for finding in dataset.findings] == [("note", "folder in a folder")]


def test_a_class_with_one_folder_in_it_stays_a_class(tmp_path):
    make(tmp_path, "cat/more/1.jpg", "cat/2.jpg", "dog/3.jpg")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("cat", "dog") and len(dataset) == 3


def test_links_are_followed_but_never_in_circles(tmp_path):
    make(tmp_path, "elsewhere/1.jpg", "data/cat/1.jpg")
    (tmp_path / "data/dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/round").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/cat/lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert rows(read_class_folders(tmp_path / "data"), tmp_path / "data") == [
        ("cat/1.jpg", "cat", ""),
        ("cat/lost.jpg", "cat", ""),  # listed, so that the check reports it
        ("dog/1.jpg", "dog", ""),
    ]


def test_accented_class_names_are_one_class_in_every_normalization(tmp_path):
    make(tmp_path, "train/caf\u00e9/1.jpg", "train/tea/1.jpg", "val/cafe\u0301/1.jpg", "val/tea/1.jpg")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("caf\u00e9", "tea")
    assert all(os.path.exists(file) for file in dataset.files)


def test_a_class_name_that_is_not_unicode_is_refused(tmp_path):
    make(tmp_path, "cat/1.jpg", os.fsdecode(b"\xff/1.jpg"))
    with pytest.raises(RetinueError, match=r"'.udcff': the name of this class folder is not valid UTF-8; rename it"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "b.TIFF", "c.webp", "d.heic"])
def test_names_of_images_are_recognized(name):
    assert looks_like_image(name)


@pytest.mark.parametrize("name", ["jpg", "a.txt", "a.jpg.part", "a.mp4", "a"])
def test_names_of_other_files_are_not_images(name):
    assert not looks_like_image(name)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train", "test1"),
        ("archive/chest/train", "archive/chest/test"),
        ("train/images", "test/images"),
        ("asl_alphabet_train/asl_alphabet_train", "asl_alphabet_test/asl_alphabet_test"),
        ("Train-pets", "Test-pets"),
    ],
)
def test_split_folders_of_many_spellings_are_read(tmp_path, train, test):
    make(tmp_path, f"{train}/a/1.jpg", f"{train}/b/2.jpg", f"{test}/a/3.jpg", f"{test}/b/4.jpg")
    dataset = read_class_folders(tmp_path)
    assert rows(dataset, tmp_path) == [
        (f"{test}/a/3.jpg", "a", "test"),
        (f"{test}/b/4.jpg", "b", "test"),
        (f"{train}/a/1.jpg", "a", "train"),
        (f"{train}/b/2.jpg", "b", "train"),
    ]


def test_splits_within_the_class_folders_are_read(tmp_path):
    make(tmp_path, "cat/train/1.jpg", "cat/test/2.jpg", "dog/train/3.jpg", "dog/test/4.jpg")
    assert rows(read_class_folders(tmp_path), tmp_path) == [
        ("cat/test/2.jpg", "cat", "test"),
        ("cat/train/1.jpg", "cat", "train"),
        ("dog/test/4.jpg", "dog", "test"),
        ("dog/train/3.jpg", "dog", "train"),
    ]


def test_folders_with_other_words_beside_the_split_are_classes(tmp_path):
    make(tmp_path, "steam train/1.jpg", "steam boat/1.jpg", "test track/1.jpg", "toy train/1.jpg")
    assert read_class_folders(tmp_path).classes == ("steam boat", "steam train", "test track", "toy train")


@pytest.mark.parametrize("folder", ["val/images", "val", "asl_test/asl_test", "test/flat"])
def test_images_of_a_split_without_class_folders_are_reported_once(tmp_path, folder):
    train = "asl_train" if "asl" in folder else "train"
    make(tmp_path, f"{train}/a/1.jpg", f"{train}/b/2.jpg", f"{folder}/3.jpg", f"{folder}/4.jpg")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("a", "b") and set(dataset.splits) == {"train"}
    assert [(finding.severity, finding.file) for finding in dataset.findings] == [("warning", str(tmp_path / folder))]


def test_folders_of_a_repository_are_no_classes(tmp_path):
    make(tmp_path, "data/cells/1.png", "data/cells/2.png", "img/architecture.png")
    with pytest.raises(RetinueError, match="there are 3 images in data/cells, img but no class folders"):
        read_class_folders(tmp_path)


def test_images_of_the_documentation_beside_the_data_are_no_class(tmp_path):
    make(tmp_path, "data/train/cat/1.jpg", "data/train/dog/1.jpg", "images/logo.png", "assets/plot.png", "train.py")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert {os.path.basename(finding.file) for finding in dataset.findings} == {"data", "images", "assets"}


def test_test_images_without_a_class_are_not_a_class(tmp_path):
    make(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "test/unknown/3.jpg")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("a", "b") and len(dataset) == 2
    assert [finding.file for finding in dataset.findings] == [str(tmp_path / "test/unknown")]


@pytest.mark.parametrize("folder", ["$RECYCLE.BIN", "System Volume Information", "lost+found", "__pycache__"])
def test_folders_of_operating_systems_are_no_classes(tmp_path, folder):
    make(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / folder).mkdir()
    assert read_class_folders(tmp_path).classes == ("cat", "dog")


def test_classes_are_found_in_a_repository_beside_code_and_documentation(tmp_path):
    make(tmp_path, "README.md", "train.py", "docs/1.png", "data/resized/cat/1.jpg", "data/resized/dog/1.jpg")
    dataset = read_class_folders(tmp_path)
    assert rows(dataset, tmp_path) == [("data/resized/cat/1.jpg", "cat", ""), ("data/resized/dog/1.jpg", "dog", "")]
    assert [finding.kind for finding in dataset.findings] == ["folder in a folder", "not used"]
