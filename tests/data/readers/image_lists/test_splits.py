"""Official splits: which lists beside class folders and tables give them, and what is left out or only reported."""

import pytest

from retinue.data.readers.read import read

FOLDERS = [f"images/{name}/{name}{number}.jpg" for name in "ab" for number in range(4)]
TRAIN, TEST = "a0 a1 a2 b0 b1".split(), "a3 b2 b3".split()


def splits(dataset):
    """Return the names of the files of each split, without suffix."""
    found = {}
    for file, split in zip(dataset.files, dataset.splits, strict=True):
        found.setdefault(split, []).append(file.rpartition("/")[2].removesuffix(".jpg"))
    return {split: sorted(names) for split, names in found.items()}


def kinds(dataset):
    return [finding.kind for finding in dataset.findings]


def lines(names, line):
    return "".join(line.format(folder=name[0], name=name) + "\n" for name in names)


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (("train.txt", "test.txt"), "{folder}/{name}"),
        (("train.txt", "test.txt"), "{folder}/{name}.jpg 0"),
        (("meta/train.txt", "meta/test.txt"), "images/{folder}/{name}.jpg"),
        (("TrainImages.txt", "TestImages.txt"), "{folder}/{name}.jpg"),
        (("train_val_list.txt", "test_list.txt"), "{name}.jpg"),
        (("trainval.txt", "test.txt"), "{name}"),
        (("x/images_train.txt", "x/images_test.txt"), "{name} Boeing 707-320"),
        (("train.csv", "test.csv"), "C:\\old\\{folder}\\{name}.png,{folder}"),
    ],
)
def test_lists_named_after_splits_give_class_folders_their_splits(data, names, line):
    train, test = names
    root = data(FOLDERS, {train: lines(TRAIN, line), test: lines(TEST, line)})
    dataset = read(root, "classification")
    assert splits(dataset) == {"train": TRAIN, "test": TEST}
    assert dataset.classes == ("a", "b") and "splits of lists" in kinds(dataset)


def test_a_list_of_train_and_val_only_adds_what_is_in_no_other(data):
    texts = {"trainval.txt": TRAIN, "train.txt": TRAIN[:3], "val.txt": TRAIN[3:], "test.txt": TEST}
    root = data(FOLDERS, {name: lines(names, "{name}") for name, names in texts.items()})
    assert splits(read(root)) == {"train": TRAIN[:3], "val": TRAIN[3:], "test": TEST}


def test_a_partition_numbers_the_splits_of_its_images(data):
    codes = dict.fromkeys(TRAIN, 0) | {"a3": 1, "b2": 2, "b3": 2}
    text = "".join(f"{name}.jpg {code}\n" for name, code in codes.items())
    for name, content in [("list_eval_partition.txt", text), ("list_eval_partition.csv", "id,partition\n" + text)]:
        root = data(FOLDERS, {name: content.replace(" ", ",") if name.endswith("csv") else content})
        assert splits(read(root)) == {"train": TRAIN, "val": ["a3"], "test": ["b2", "b3"]}
        (root / name).unlink()


def test_a_list_may_name_the_split_of_each_image_below_a_header(data):
    text = "8\nimage_name evaluation_status\n" + lines(TRAIN, "img/{folder}/{name}.jpg   train")
    root = data(FOLDERS, {"Eval/list_eval_partition.txt": text + lines(TEST, "img/{folder}/{name}.jpg   test")})
    assert splits(read(root)) == {"train": TRAIN, "test": TEST}


def test_images_may_be_numbered(data):
    names = sorted(TRAIN + TEST)
    numbers = "".join(f"{index} {name[0]}/{name}.jpg\n" for index, name in enumerate(names, 1))
    flags = "".join(f"{index} {int(name in TRAIN)}\n" for index, name in enumerate(names, 1))
    root = data(FOLDERS, {"CUB/images.txt": numbers, "CUB/train_test_split.txt": flags})
    assert splits(read(root)) == {"train": TRAIN, "test": TEST}


def test_images_in_no_list_are_left_out_and_counted(data):
    root = data(FOLDERS, {"train.txt": lines(TRAIN, "{name}"), "test.txt": lines(TEST[:1], "{name}")})
    dataset = read(root)
    assert splits(dataset) == {"train": TRAIN, "test": TEST[:1]}
    finding = next(finding for finding in dataset.findings if finding.kind == "not listed")
    assert (finding.severity, finding.reason) == ("warning", "2 of 8 images are in none of the lists of splits")


def test_images_beside_a_list_of_the_test_are_for_training(data):
    root = data(FOLDERS, {"test.txt": lines(TEST, "{name}")})
    assert splits(read(root)) == {"": TRAIN, "test": TEST}


def test_the_name_of_a_lone_list_of_all_images_tells_nothing(data):
    root = data(FOLDERS, {"test.txt": lines(TRAIN + TEST, "{name}")})
    dataset = read(root)
    assert splits(dataset) == {"": sorted(TRAIN + TEST)} and "splits of lists" not in kinds(dataset)


def test_a_lone_list_of_a_part_for_training_is_a_warning(data):
    dataset = read(data(FOLDERS, {"train.txt": lines(TRAIN, "{name}")}))
    assert set(splits(dataset)) == {""} and kinds(dataset).count("list not used") == 1


def test_of_several_numbered_splits_the_first_is_used_with_a_warning(data):
    texts = {"train1.txt": TRAIN, "test1.txt": TEST, "train2.txt": TEST, "test2.txt": TRAIN}
    root = data(FOLDERS, {f"labels/{name}": lines(names, "{folder}/{name}.jpg") for name, names in texts.items()})
    dataset = read(root)
    assert splits(dataset) == {"train": TRAIN, "test": TEST}
    warned = [finding.file.rpartition("/")[2] for finding in dataset.findings if finding.kind == "another split"]
    assert warned == ["test2.txt", "train2.txt"]


def test_lists_that_contradict_each_other_are_not_used(data):
    root = data(FOLDERS, {"train.txt": lines(TRAIN, "{name}"), "test.txt": lines(TEST + TRAIN[:1], "{name}")})
    dataset = read(root)
    assert set(splits(dataset)) == {""}
    finding = next(finding for finding in dataset.findings if finding.kind == "contradicting lists")
    assert finding.severity == "warning" and "a0.jpg" in finding.reason


def test_lists_of_a_small_part_of_the_images_are_not_used(data):
    root = data(FOLDERS, {"train.txt": lines(TRAIN[:2], "{name}"), "test.txt": lines(TEST[:1], "{name}")})
    dataset = read(root)
    assert set(splits(dataset)) == {""} and kinds(dataset).count("list not used") == 1


def test_a_list_whose_splits_are_not_known_is_a_warning(data):
    root = data(FOLDERS, {"my_split.txt": lines(TRAIN + TEST, "{name} of_{name}")})
    dataset = read(root)
    assert set(splits(dataset)) == {""} and "list not used" in kinds(dataset)


def test_lists_beside_a_folder_of_images_that_is_given_are_used(data):
    root = data(FOLDERS, {"meta/train.txt": lines(TRAIN, "{folder}/{name}")} | {"test.txt": lines(TEST, "{name}")})
    assert splits(read(root / "images")) == {"train": TRAIN, "test": TEST}


def test_a_list_in_a_format_that_is_not_read_is_a_warning(data):
    dataset = read(data(FOLDERS, {"lists/train_list.mat": "MATLAB 5.0"}))
    finding = next(finding for finding in dataset.findings if finding.kind == "list not used")
    assert finding.severity == "warning" and finding.file.endswith("lists/train_list.mat")


def test_names_that_several_images_have_are_a_warning(data):
    images = [f"{folder}/{number}.jpg" for folder in ("cat", "dog") for number in range(4)]
    dataset = read(data(images, {"train.txt": "0\n1\n", "test.txt": "2\n3\n"}))
    assert set(splits(dataset)) == {""} and kinds(dataset).count("list not used") == 2


def test_folders_of_splits_win_over_lists(data):
    images = [f"{split}/{name[0]}/{name}.jpg" for split, names in (("train", TRAIN), ("test", TEST)) for name in names]
    root = data(images, {"train.txt": lines(TEST, "{name}"), "test.txt": lines(TRAIN, "{name}")})
    assert splits(read(root)) == {"train": TRAIN, "test": TEST}


@pytest.mark.parametrize("given", ["", "labels.csv"])
def test_lists_give_tables_of_labels_their_splits(data, given):
    table = "file,label\n" + lines(TRAIN + TEST, "{name}.jpg,{folder}")
    texts = {"labels.csv": table, "train_val_list.txt": lines(TRAIN, "{name}.jpg")}
    root = data([f"images/{name}.jpg" for name in TRAIN + TEST], texts | {"test_list.txt": lines(TEST, "{name}.jpg")})
    dataset = read(root / given)
    assert dataset.format == "labels csv" and splits(dataset) == {"train": TRAIN, "test": TEST}


def test_names_of_images_may_tell_the_splits(data):
    names = ["train_1", "train_2", "train_3", "test_1", "test_2"]
    table = "file,label\n" + "".join(f"{name}.jpg,{name[-1]}\n" for name in names)
    dataset = read(data([f"images/{name}.jpg" for name in names], {"labels.csv": table}))
    assert splits(dataset) == {"train": names[:3], "test": names[3:]} and "splits of names" in kinds(dataset)
    table += "other.jpg,1\n"
    dataset = read(data(["images/other.jpg"], {"labels.csv": table}))
    assert set(dataset.splits) == {""}
