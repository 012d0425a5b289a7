"""Several images of the names of one mask: two images of one place, other kinds of images, and copies."""

import numpy as np
import pytest
from PIL import Image

from retinue.configs.errors import RetinueError
from retinue.data.readers.read import read
from retinue.tests.helpers.mask_images import halves, make_image, make_mask

NAMES = ("1", "2", "3")


def findings_by_kind(dataset):
    return {finding.kind: finding for finding in dataset.findings}


@pytest.mark.parametrize(
    ("folders", "masks"),
    [(("A", "B"), "label"), (("left", "right"), "labels"), (("images", "images_small"), "masks")],
)
def test_two_images_of_one_mask_are_refused(tmp_path, folders, masks):
    for split in ("train", "test"):
        for seed, name in enumerate(NAMES):
            for number, folder in enumerate(folders):
                make_image(tmp_path / split / folder / f"{name}.png", seed=seed + 10 * number)
            make_mask(tmp_path / split / masks / f"{name}.png", halves())
    with pytest.raises(RetinueError) as error:
        read(tmp_path)
    assert all(f"test/{folder}/*.png" in str(error.value) for folder in folders)
    assert "move the other folder out of this folder" in str(error.value)


def test_images_are_read_and_other_kinds_of_them_are_reported(tmp_path):
    rng = np.random.default_rng(0)
    for seed, name in enumerate(NAMES):
        make_image(tmp_path / "rgb" / f"{name}_Clipped.jpg", (40, 60), seed=seed)
        make_mask(tmp_path / "GT_color" / f"{name}_mask.png", halves((40, 60)))
        (tmp_path / "nir_gray").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 60), np.uint8)).save(tmp_path / "nir_gray" / f"{name}.png")
    dataset = read(tmp_path)
    assert dataset.task == "segmentation" and [file[-14:] for file in dataset.files] == [
        f"/{name}_Clipped.jpg" for name in NAMES
    ]
    finding = findings_by_kind(dataset)["other images of the same masks"]
    assert finding.severity == "warning" and "nir_gray/*.png" in finding.reason


def test_other_kinds_of_images_may_have_endings_of_their_own(tmp_path):
    for seed, name in enumerate(NAMES):  # as in ISPRS Potsdam
        make_image(tmp_path / "2_Ortho_RGB" / f"top_{name}_RGB.tif", seed=seed)
        make_image(tmp_path / "3_Ortho_IRRG" / f"top_{name}_IRRG.tif", seed=seed + 10)
        make_mask(tmp_path / "5_Labels" / f"top_{name}_label.tif", halves(), palette=False)
    dataset = read(tmp_path)
    assert dataset.task == "segmentation" and all(file.endswith("_RGB.tif") for file in dataset.files)
    assert "3_Ortho_IRRG" in findings_by_kind(dataset)["other images of the same masks"].reason


def test_copies_in_another_format_are_read_once(tmp_path):
    for seed, name in enumerate(NAMES):
        image = make_image(tmp_path / "PNG" / "Original" / f"{name}.png", seed=seed)
        mask = make_mask(tmp_path / "PNG" / "Ground Truth" / f"{name}.png", halves())
        for path in (image, mask):
            copy = tmp_path / "TIF" / path.parent.name / f"{name}.tif"
            copy.parent.mkdir(parents=True, exist_ok=True)
            Image.open(path).save(copy)
    dataset = read(tmp_path)
    assert len(dataset) == 3 and all(file.endswith(".png") for file in dataset.files)
    assert "TIF/Original/*.tif are copies of PNG/Original/*.png" in findings_by_kind(dataset)["copies"].reason


def test_other_images_of_equal_names_in_another_format_are_refused(tmp_path):
    for seed, name in enumerate(NAMES):
        for folder, suffix in (("lungs", ".png"), ("hearts", ".tif")):
            make_image(tmp_path / folder / "images" / f"{name}{suffix}", seed=seed + 10 * len(folder))
            make_mask(tmp_path / folder / "masks" / f"{name}.png", halves())
    with pytest.raises(RetinueError, match="lungs/images/.*png and hearts/images/.*tif have the same names and masks"):
        read(tmp_path)


def test_figures_of_the_names_of_some_images_are_no_masks_of_class_folders(tmp_path):
    for seed, name in enumerate(NAMES):
        make_image(tmp_path / "images" / "cat" / f"{name}.jpg", seed=seed)
        make_image(tmp_path / "images" / "dog" / f"{name}.jpg", seed=seed + 10)
    for name in NAMES[:2]:
        make_mask(tmp_path / "figures" / f"{name}.png", halves())
    dataset = read(tmp_path)
    assert dataset.classes == ("cat", "dog") and len(dataset) == 6


def test_images_in_a_folder_of_another_name_belong_to_no_mask(tmp_path):
    for seed, name in enumerate(NAMES):  # as in MVTec AD
        make_image(tmp_path / "test" / "broken" / f"{name}.png", seed=seed)
        make_image(tmp_path / "test" / "good" / f"{name}.png", seed=seed + 10)
        make_mask(tmp_path / "ground_truth" / "broken" / f"{name}_mask.png", halves())
    assert [file[-13:] for file in read(tmp_path, "segmentation").files] == [f"/broken/{name}.png" for name in NAMES]


def test_images_of_the_test_set_may_have_the_names_of_training_images(tmp_path):
    for seed, name in enumerate(NAMES):
        make_image(tmp_path / "train" / "images" / f"{name}.png", seed=seed)
        make_mask(tmp_path / "train" / "masks" / f"{name}.png", halves())
        make_image(tmp_path / "test" / "images" / f"{name}.png", seed=10 + seed)
    assert len(read(tmp_path)) == 3
