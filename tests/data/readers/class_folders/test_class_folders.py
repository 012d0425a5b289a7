"""Class folders: the layouts that are understood, what is ignored, and what is refused with a cure."""

import os

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.class_folders.class_folders import read_class_folders
from retinue.data.storage.file_names import looks_like_image


def make(folder, *names):
    """Make empty files, which are enough, since a reader looks at names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


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
    make(tmp_path, "cat/more/1.jpg", "cat/2.jpg")
    dataset = read_class_folders(tmp_path)
    assert dataset.classes == ("cat",) and len(dataset) == 2


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


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(
        RetinueError,
        match=f"{tmp_path}: there are no images and no videos in it; looked for .jpg .*named after the classes",
    ):
        read_class_folders(tmp_path)


def test_images_without_class_folders_are_refused(tmp_path):
    make(tmp_path, "1.jpg", "2.jpg", "3.txt")
    with pytest.raises(
        RetinueError, match=r"2 images but no class folders, .* \(1 .txt\); give each class a folder of its own"
    ):
        read_class_folders(tmp_path)


def test_images_in_train_without_class_folders_are_refused(tmp_path):
    make(tmp_path, "train/1.jpg", "train/2.jpg", "val/3.jpg")
    with pytest.raises(RetinueError, match="there are 3 images in train, val but no class folders"):
        read_class_folders(tmp_path)


def test_a_table_beside_the_images_is_suggested(tmp_path):
    make(tmp_path, "1.jpg", "labels.csv")
    with pytest.raises(RetinueError, match=f"name it instead: retinue check {tmp_path}/labels.csv"):
        read_class_folders(tmp_path)


def test_a_table_beside_one_folder_of_images_is_suggested(tmp_path):
    make(tmp_path, "images/1.jpg", "images/2.jpg", "boxes.csv")
    with pytest.raises(RetinueError, match=f"2 images in images but .* retinue check {tmp_path}/boxes.csv"):
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


@pytest.mark.parametrize("names", [("fold1", "fold2"), ("train", "vaild")])
def test_folders_that_hold_the_same_folders_are_refused_as_splits(tmp_path, names):
    make(tmp_path, *(f"{name}/{label}/{name}.jpg" for name in names for label in "ab"))
    with pytest.raises(RetinueError, match=f"{names[0]} and {names[1]} hold the same folders .*rename them to train"):
        read_class_folders(tmp_path)


def test_splits_within_the_class_folders_are_read(tmp_path):
    make(tmp_path, "cat/train/1.jpg", "cat/test/2.jpg", "dog/train/3.jpg", "dog/test/4.jpg")
    assert rows(read_class_folders(tmp_path), tmp_path) == [
        ("cat/test/2.jpg", "cat", "test"),
        ("cat/train/1.jpg", "cat", "train"),
        ("dog/test/4.jpg", "dog", "test"),
        ("dog/train/3.jpg", "dog", "train"),
    ]


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


@pytest.mark.parametrize("name", ["images", "JPEGImages", "train_images"])
def test_one_folder_of_images_is_not_a_class(tmp_path, name):
    make(tmp_path, f"{name}/1.jpg", f"{name}/2.jpg", "annotations/labels.bin")
    with pytest.raises(RetinueError, match=f"there are 2 images in {name} but no class folders"):
        read_class_folders(tmp_path)


@pytest.mark.parametrize(
    ("folders", "stems"),
    [(("images", "drawn"), "12"), (("x", "y"), "12"), (("left", "right"), ("oak", "birch", "elm"))],
)
def test_folders_of_versions_of_the_same_images_are_not_classes(tmp_path, folders, stems):
    make(tmp_path, *(f"{folder}/{stem}.jpg" for folder in folders for stem in stems))
    with pytest.raises(RetinueError, match="hold images of the same names, so they seem to be versions"):
        read_class_folders(tmp_path)


def test_class_folders_may_number_their_images_alike(tmp_path):
    make(tmp_path, *(f"{name}/image_{number:04d}.jpg" for name in ("ant", "bee", "fly") for number in range(5)))
    assert read_class_folders(tmp_path).class_counts().tolist() == [5, 5, 5]


@pytest.mark.parametrize("suffix", [".xml", ".txt", ".json"])
def test_images_with_annotation_files_are_not_in_class_folders(tmp_path, suffix):
    make(tmp_path, *(f"{name}/{name}{number}{end}" for name in "ab" for number in "12" for end in (".jpg", suffix)))
    with pytest.raises(RetinueError, match="4 of 4 images have a file of the same name .* seem to be annotations"):
        read_class_folders(tmp_path)


def test_a_folder_of_several_data_sets_is_refused(tmp_path):
    make(tmp_path, "birds/images/b1.jpg", "birds/labels.csv", "trees/images/t1.jpg", "trees/instances.json")
    with pytest.raises(RetinueError, match=f"several data sets instead of classes.*check {tmp_path}/birds"):
        read_class_folders(tmp_path)


def test_numbered_parts_of_a_collection_are_no_classes(tmp_path):
    make(tmp_path, "images_part_1/a.jpg", "images_part_1/b.jpg", "images_part_2/c.jpg")
    with pytest.raises(RetinueError, match="images_part_1 and images_part_2 seem to be parts of one collection"):
        read_class_folders(tmp_path)


def test_folds_with_splits_inside_are_no_classes(tmp_path):
    for fold in (1, 2):
        make(tmp_path, *(f"f{fold}/{split}/{name}/1.jpg" for split in ("train", "test") for name in ("cat", "dog")))
    with pytest.raises(RetinueError, match="f1 and f2 hold the same folders"):
        read_class_folders(tmp_path)
