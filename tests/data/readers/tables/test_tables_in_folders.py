"""Tables that lie in a folder with images: which are read, which belong together, where their images are."""

import pytest

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read, understand

BOXES = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def rows(dataset, root):
    """Return the split of each file, by its path in the folder."""
    return {
        str(file).removeprefix(f"{root}/"): split for file, split in zip(dataset.files, dataset.splits, strict=True)
    }


def box_lines(*names):
    return BOXES + "".join(f"{name},100,80,cat,1,2,30,40\n" for name in names)


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train.csv", "val.csv"),
        ("data/train_labels.csv", "data/valid_labels.csv"),
        ("x/raccoon-train-v2.csv", "x/raccoon-validation-v2.csv"),
        ("train/_annotations.csv", "valid/_annotations.csv"),
    ],
)
def test_tables_named_after_splits_are_one_dataset(data, train, val):
    root = data(["images/a.jpg", "images/b.jpg"], {train: box_lines("a.jpg"), val: box_lines("b.jpg")})
    dataset = read(root)
    assert rows(dataset, root) == {"images/a.jpg": "train", "images/b.jpg": "val"}
    assert dataset.labels_in == f"{train}, {val}" and dataset.source == str(root)


def test_images_of_the_same_names_belong_to_the_table_of_their_split(data):
    images = ["images/train/1.jpg", "images/test/1.jpg"]
    root = data(images, {"x/train.csv": box_lines("1.jpg"), "x/test.csv": box_lines("1.jpg")})
    assert rows(read(root), root) == {"images/train/1.jpg": "train", "images/test/1.jpg": "test"}


def test_an_image_in_the_tables_of_two_splits_is_refused_with_both_lines(data):
    names = [f"{number}.jpg" for number in range(12)]
    tables = {"train.csv": box_lines(*names[:9]), "val.csv": box_lines(*names[8:])}
    root = data([f"images/{name}" for name in names], tables)
    with pytest.raises(
        RetinueError, match=r"val.csv line 2: .*8.jpg has the split val .* train in line 10 of .*train.csv"
    ):
        read(root)


def test_a_table_of_all_gives_way_to_tables_with_splits(data):
    names = [f"{name}.jpg" for name in "abcd"]
    tables = {"all.csv": box_lines(*names), "train.csv": box_lines(*names[:3]), "test.csv": box_lines(names[3])}
    root = data([f"images/{name}" for name in names], tables)
    dataset = read(root)
    assert sorted(dataset.splits) == ["test", "train", "train", "train"]
    assert [finding.file for finding in dataset.findings if finding.kind == "table not used"] == [f"{root}/all.csv"]


def test_tables_with_the_same_columns_and_other_files_are_one_dataset(data):
    tables = {"cats.csv": "file,class\na.jpg,cat\n", "dogs.csv": "file,class\nb.jpg,dog\n"}
    dataset = read(data(["a.jpg", "b.jpg"], tables))
    assert dataset.classes == ("cat", "dog") and len(dataset) == 2 and set(dataset.splits) == {""}


def test_a_lone_train_table_has_no_splits(data):
    root = data(
        ["train/a.jpg", "test/b.jpg"], {"train.csv": "id,label\na,cat\n", "sample_submission.csv": "id,label\nb,cat\n"}
    )
    assert rows(read(root), root) == {"train/a.jpg": ""}


def test_a_table_wins_over_the_folders_of_its_images(data):
    images = [f"{name}/{number}.jpg" for name in ("cat", "dog") for number in range(3)]
    tables = {
        "train.csv": "file,label\n" + "".join(f"{image},{image[:3]}\n" for image in images if "2" not in image),
        "test.csv": "file,label\n" + "".join(f"{image},{image[:3]}\n" for image in images if "2" in image),
    }
    root = data(images, tables)
    assert rows(read(root), root) == {image: "test" if "2" in image else "train" for image in images}


def test_numbers_are_named_after_the_folders_of_their_images(data):
    images = ["x/cat/c1.jpg", "x/cat/c2.jpg", "x/dog/d1.jpg", "x/dog/d2.jpg"]
    dataset = read(data(images, {"train.csv": "c1.jpg,1\nd1.jpg,0\n", "test.csv": "c2.jpg,1\nd2.jpg,0\n"}))
    assert dataset.classes == ("dog", "cat") and dataset.class_ids == (0, 1)
    assert dataset.columns["label"].tolist() == [1, 0, 1, 0]
    assert dataset.splits.tolist() == ["train", "train", "test", "test"]


def test_folders_of_images_give_the_splits_of_one_table(data):
    images = ["train/a.jpg", "test/b.jpg"]
    root = data(images, {"metadata.csv": "file_name,label\ntrain/a.jpg,cat\ntest/b.jpg,dog\n"})
    assert rows(read(root), root) == {"train/a.jpg": "train", "test/b.jpg": "test"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", "filename,age,weight\n1.jpg,5,2.5\n2.jpg,6,2.5\n"),
        ("predictions.csv", "file,label,score\n1.jpg,cat,0.5\n2.jpg,dog,0.5\n"),
        ("out.csv", "file,label,prediction\n1.jpg,cat,cat\n2.jpg,dog,dog\n"),
        ("classes.csv", "name,id\ncat,0\ndog,1\n"),
        ("other.csv", "file,label\nx.jpg,cat\ny.jpg,dog\n"),
        ("broken.csv", 'file,label\n1.jpg,"cat\n'),
    ],
)
def test_tables_of_something_else_are_passed_over(data, name, text):
    root = data(["cat/1.jpg", "dog/2.jpg"], {name: text})
    assert understand(str(root)).format == "class folders"


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a", "A.JPG", "/home/me/a.jpg", "C:\\Users\\me\\a.jpg", "gs://bucket/x/a.jpg", "../old/images/a.jpg"],
)
@pytest.mark.parametrize("folder", ["images", "images/deeper", "ann/images", "ann"])
def test_images_are_found_near_a_table(data, name, folder):
    root = data([f"{folder}/a.jpg"], {"ann/x.csv": f"file,label\n{name},cat\n"})
    if folder == "images/deeper":  # beside the folder of the table only folders of images are looked at
        with pytest.raises(RetinueError, match="none of its 1 files exists"):
            read(root / "ann/x.csv")
    else:
        assert list(read(root / "ann/x.csv").files) == [f"{root}/{folder}/a.jpg"]
    assert list(read(root).files) == [f"{root}/{folder}/a.jpg"]


def test_a_list_of_classes_is_not_taken_for_labels_of_images_with_these_numbers(data):
    root = data([f"all/{number}.jpg" for number in range(20)], {"classes.csv": "id,name\n0,cat\n1,dog\n"})
    with pytest.raises(RetinueError, match="no class folders, and no labels that are understood in its other files"):
        read(root)


@pytest.mark.parametrize(("folder", "source"), [("x", "/x/x.csv"), ("images", "/x/x.csv"), ("a/b", ""), ("y", "")])
def test_the_source_of_a_lone_table_finds_the_same_images(data, folder, source):
    root = data([f"{folder}/a.jpg"], {"x/x.csv": "file,label\na.jpg,cat\n"})
    dataset = read(root)
    assert dataset.source == f"{root}{source}" and dataset.labels_in == "x/x.csv"
    assert list(read(dataset.source).files) == list(dataset.files) == [f"{root}/{folder}/a.jpg"]


def test_where_images_were_found_is_reported(data):
    root = data(["images/a.jpg"], {"x/x.csv": "file,label\na.jpg,cat\n"})
    (finding,) = read(root / "x/x.csv").findings
    assert finding.reason == "1 files were found in ../images, not where it says"


def test_images_that_could_be_in_two_folders_are_refused(data):
    root = data(["images/a.jpg", "small/a.jpg"], {"x.csv": "file,label\na.jpg,cat\n"})
    with pytest.raises(RetinueError, match="a.jpg could be .*images/a.jpg or .*small/a.jpg; write the folder into"):
        read(root / "x.csv")


def test_the_end_of_a_path_decides_between_folders(data):
    images = ["x/images/a.jpg", "x/small/a.jpg"]
    root = data(images, {"x.csv": "file,label\n/home/me/images/a.jpg,cat\n"})
    assert list(read(root / "x.csv").files) == [f"{root}/x/images/a.jpg"]


def test_a_missing_image_is_not_taken_from_another_folder(data):
    root = data(["a.jpg", "b.jpg", "other/c.jpg"], {"x.csv": "file,label\na.jpg,cat\nb.jpg,cat\nc.jpg,dog\n"})
    assert f"{root}/c.jpg" in read(root / "x.csv").files


def test_columns_can_be_named_for_the_tables_of_a_folder(data):
    root = data(["images/a.jpg"], {"x.csv": "id,breed\na,pug\n"})
    assert read(root, columns={"label": "breed"}).classes == ("pug",)
    with pytest.raises(RetinueError, match="no table here lists its images"):
        read(data(["images/a.jpg"], {"x.csv": "x,y\n1,2\n"}), columns={"label": "y"})


def test_boxes_and_labels_of_the_same_images_are_both_named(data):
    root = data(["a.jpg"], {"x.csv": box_lines("a.jpg"), "y.csv": "file,label\na.jpg,cat\n"})
    with pytest.raises(RetinueError, match="boxes csv in x.csv .*labels csv in y.csv"):
        read(root)
    assert read(root, task="detection").format == "boxes csv"
