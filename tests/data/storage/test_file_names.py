"""What the names of files and folders say."""

from retinue.data.storage.file_names import splits_of_names


def test_names_side_by_side_that_only_differ_in_the_split_are_splits():
    assert splits_of_names(["fruits_train", "fruits_test", "docs"]) == {
        "fruits_train": "train",
        "fruits_test": "test",
        "docs": "",
    }
    assert splits_of_names(["train_v2", "val_v2"]) == {"train_v2": "train", "val_v2": "val"}
    sets = ["VisDrone2019-DET-train", "VisDrone2019-DET-val", "VisDrone2019-DET-test-dev"]
    assert list(splits_of_names(sets).values()) == ["train", "val", "test"]
    assert list(splits_of_names(["My Train Set", "My Test Set"]).values()) == ["train", "test"]
    parts = ["crowd_train01", "crowd_train02", "crowd_val"]
    assert list(splits_of_names(parts).values()) == ["train", "train", "val"]
    assert list(splits_of_names(["rps", "rps-test-set", "rps-validation"]).values()) == ["train", "test", "val"]
    assert not splits_of_names(["rps", "rps-train", "rps-test"])["rps"]
    assert list(splits_of_names(["train_sample_videos", "test_videos"]).values()) == ["train", "test"]
    # A name alone, or two that differ in more than the split, says nothing.
    assert not any(splits_of_names(["steam train", "crash test", "car", "train station"]).values())
    assert splits_of_names(["train", "val"]) == {"train": "train", "val": "val"}
