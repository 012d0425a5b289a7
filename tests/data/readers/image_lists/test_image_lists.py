"""Text lists of images with labels: which value is the label, what it is called, and what is refused."""

import pytest

from retinue.configs.errors import RetinueError, UsageError
from retinue.data.readers.read import read, understand
from retinue.tests.helpers.mask_images import halves, make_mask

FLAT = {f"{name}_{number}": name for name in ("Birman", "pug", "boxer") for number in (1, 2, 3)}


def rows(dataset):
    """Return the label and the split of each image, by its name without suffix."""
    stems = [file.rpartition("/")[2].rpartition(".")[0] for file in dataset.files]
    labels = [dataset.classes[label] for label in dataset.columns["label"]]
    return {stem: (label, split) for stem, label, split in zip(stems, labels, dataset.splits, strict=True)}


def flat_images():
    return [f"images/{stem}.jpg" for stem in FLAT]


def test_numbered_labels_beside_names_are_named_after_the_images(data):
    number = {"Birman": 7, "pug": 1, "boxer": 3}
    texts = {
        name: "".join(f"images/{stem}.jpg {number[label]}\n" for stem, label in FLAT.items() if stem[-1] in numbers)
        for name, numbers in {"train.txt": "12", "val.txt": "3"}.items()
    }
    dataset = read(data(flat_images(), texts))
    assert dataset.format == "image lists" and dataset.labels_in == "train.txt, val.txt"
    assert dataset.classes == ("pug", "boxer", "Birman") and dataset.class_ids == (1, 3, 7)
    assert rows(dataset) == {stem: (FLAT[stem], "val" if stem[-1] == "3" else "train") for stem in FLAT}


def test_of_several_numbers_the_one_of_the_names_is_the_label(data):
    number = {"Birman": "1 1 1", "pug": "2 2 1", "boxer": "3 2 2"}  # class, species, breed, as for the Oxford pets
    comment = "#Image CLASS-ID SPECIES BREED ID\n#1:Cat 2:Dog\n"
    lines = {stem: f"{stem} {number[label]}\n" for stem, label in FLAT.items()}
    texts = {
        "annotations/list.txt": comment + "".join(lines.values()),
        "annotations/trainval.txt": "".join(line for stem, line in lines.items() if stem[-1] != "3"),
        "annotations/test.txt": "".join(line for stem, line in lines.items() if stem[-1] == "3"),
    }
    root = data(flat_images(), texts)
    expected = {stem: (FLAT[stem], "test" if stem[-1] == "3" else "train") for stem in FLAT}
    assert rows(read(root)) == expected
    assert rows(read(root / "annotations" / "test.txt")) == expected
    for stem in FLAT:
        (root / "annotations" / "trimaps").mkdir(exist_ok=True)
        make_mask(root / "annotations" / "trimaps" / f"{stem}.png", halves())
    assert rows(read(root, "classification")) == expected
    assert understand(str(root), "segmentation").format == "mask folders"


def test_labels_may_have_several_words_and_a_file_names_numbers(data):
    names = dict(zip(FLAT, ["Boeing 707-320", "Eurofighter Typhoon", "A300B4"] * 3, strict=True))
    images = [f"images/{number}.jpg" for number in range(9)]
    lines = [f"{number} {label}\n" for number, label in enumerate(names.values())]
    dataset = read(data(images, {"images_variant_train.txt": "".join(lines)}))
    assert dataset.classes == ("A300B4", "Boeing 707-320", "Eurofighter Typhoon")
    assert [row[0] for row in rows(dataset).values()] == list(names.values())
    (data([], {}) / "images_variant_train.txt").unlink()
    numbers = "".join(f"{number}.jpg {number % 3}\n" for number in range(9))
    dataset = read(data([], {"labels.txt": numbers, "classes.txt": "cat\ndog\nowl\n"}))
    assert dataset.classes == ("cat", "dog", "owl")


def test_a_column_for_each_class_below_a_header(data):
    lines = ["000000.jpg  1 -1 -1", "000001.jpg -1 -1 -1", "000002.jpg  1  1 -1", "000003.jpg -1 -1  1"]
    texts = {
        "list_attr_celeba.txt": "4\nBald Male Smiling \n" + "\n".join(lines) + "\n",
        "list_eval_partition.txt": "".join(f"00000{number}.jpg {number // 2}\n" for number in range(4)),
    }
    dataset = read(data([f"img/00000{number}.jpg" for number in range(4)], texts))
    assert dataset.multi_label and dataset.classes == ("Bald", "Male", "Smiling")
    assert [list(labels) for labels in dataset.columns["labels"]] == [[0], [], [0, 1], [2]]
    assert list(dataset.splits) == ["train", "train", "val", "val"]


def test_numbered_images_have_numbered_labels(data):
    texts = {
        "images.txt": "".join(f"{index} x/{stem}.jpg\n" for index, stem in enumerate(FLAT, 1)),
        "image_class_labels.txt": "".join(f"{index} {(index - 1) // 3 + 1}\n" for index in range(1, 10)),
        "train_test_split.txt": "".join(f"{index} {index % 2}\n" for index in range(1, 10)),
        "classes.txt": "1 001.Birman\n2 002.pug\n3 003.boxer\n",
    }
    dataset = read(data(flat_images(), texts))
    assert dataset.classes == ("001.Birman", "002.pug", "003.boxer")
    assert rows(dataset)["pug_2"] == ("002.pug", "train") and rows(dataset)["pug_1"] == ("002.pug", "test")


def test_two_lists_of_labels_are_named_with_the_command_for_each(data):
    texts = {
        "attributes.txt": "".join(f"{stem}.jpg {number % 2}\n" for number, stem in enumerate(FLAT)),
        "identity.txt": "".join(f"{stem}.jpg {number % 4}\n" for number, stem in enumerate(FLAT)),
    }
    root = data(flat_images(), texts)
    with pytest.raises(UsageError, match=r"check \S+attributes\.txt\) or as .*check \S+identity\.txt\)"):
        read(root)
    assert read(root / "identity.txt").classes == ("0", "1", "2", "3")
    assert read(root / "attributes.txt").classes == ("0", "1")


def test_labels_that_contradict_the_folders_are_asked_for(data):
    images = [f"images/{folder}/{folder}{number}.jpg" for folder in "ab" for number in range(4)]
    text = "".join(f"{image[7:]} {number % 2}\n" for number, image in enumerate(images))
    with pytest.raises(UsageError, match=r"class folders in .* or as image lists in quality\.txt"):
        read(data(images, {"quality.txt": text}))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{stem} {number} {odd}\n", "which of the 2 values behind the name of an image is its label is not clear"),
        ("{stem} {many}\n", "its lines have different numbers of values"),
    ],
)
def test_what_is_not_clear_is_refused(data, text, problem):
    images = [f"images/{number}.jpg" for number in range(9)]
    lines = [
        text.format(stem=number, number=number % 4, odd=number % 2, many=" ".join("12345"[: number % 3 + 1]))
        for number in range(9)
    ]
    with pytest.raises(RetinueError, match=problem):
        read(data(images, {"train.txt": "".join(lines)}))


@pytest.mark.parametrize(
    "line", ["{stem}.jpg 0.{number}", "{stem}.jpg masks/{number}.png", "{stem} -1", "{stem}.jpg {number} 3 20 30"]
)
def test_scores_masks_flags_and_coordinates_are_no_labels(data, line):
    text = "".join(line.format(stem=stem, number=number) + "\n" for number, stem in enumerate(FLAT))
    with pytest.raises(RetinueError, match="no class folders"):
        read(data(flat_images(), {"test.txt": text}))


def test_folders_of_splits_give_a_list_their_splits(data):
    names = {f"{'test' if stem[-1] == '3' else 'train'}/{stem}.jpg": label for stem, label in FLAT.items()}
    dataset = read(
        data(names, {"labels.txt": "".join(f"{name} {label}\n" for name, label in names.items())}), "classification"
    )
    assert rows(dataset) == {stem: (FLAT[stem], "test" if stem[-1] == "3" else "train") for stem in FLAT}


def test_labels_are_named_after_the_folders_of_train_where_val_has_none(data):
    train = [f"train/n{label}/{number}.jpg" for label in (0, 1) for number in range(4)]
    val = [f"val/v{number}.jpg" for number in range(4)]
    texts = {
        "train.txt": "".join(f"{name[6:]} {name[7]}\n" for name in train),
        "val.txt": "".join(f"{name[4:]} {name[5]}\n".replace(" 2", " 0").replace(" 3", " 1") for name in val),
    }
    dataset = read(data([*train, *val], texts))
    assert dataset.classes == ("n0", "n1") and len(dataset) == 12
    assert [rows(dataset)[f"v{number}"] for number in range(4)] == [("n0", "val"), ("n1", "val")] * 2


def test_images_in_no_list_are_counted(data):
    text = "".join(f"{stem} {label}\n" for stem, label in list(FLAT.items())[:8])
    dataset = read(data(flat_images(), {"labels.txt": text}))
    assert len(dataset) == 8
    finding = next(finding for finding in dataset.findings if finding.kind == "not listed")
    assert finding.severity == "warning" and finding.file.endswith("boxer_3.jpg")
