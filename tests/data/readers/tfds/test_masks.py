"""`tfds:NAME` with masks: small datasets built from local files."""

import os

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from retinue.configs.errors import UsageError
from retinue.data.decoding.mask_file import read_mask
from retinue.data.readers.read import read


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Caches of their own; and no network."""
    monkeypatch.setenv("RETINUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "tfds"))


class RetinueLand(tfds.core.GeneratorBasedBuilder):
    """Images with a mask of the values 1 and 2, as oxford_iiit_pet has them, and a label."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        mask = tfds.features.Image(shape=(None, None, 1))
        image = tfds.features.Image(shape=(None, None, 3))
        label = tfds.features.ClassLabel(names=["a", "b"])
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"image": image, "segmentation_mask": mask, "label": label}),
        )

    def _split_generators(self, manager):
        return {
            "train": self._generate_examples(3),
            "test": self._generate_examples(1),
            "extra": self._generate_examples(1),
        }

    def _generate_examples(self, count):
        folder = f"{self._data_dir_root}/source"
        os.makedirs(folder, exist_ok=True)
        for number in range(count):
            Image.new("RGB", (6, 4), (number, 0, 0)).save(f"{folder}/{number}.png")
            ids = np.full((4, 6, 1), 1, np.uint8)
            ids[:, 3:] = 2
            yield number, {"image": f"{folder}/{number}.png", "segmentation_mask": ids, "label": "a"}


def test_images_and_masks_become_files(logged):
    tfds.builder("retinue_land").download_and_prepare()
    logged.clear()
    dataset = read("tfds:retinue_land", "segmentation")
    assert (dataset.task, len(dataset), dataset.classes) == ("segmentation", 4, ("class 1", "class 2"))
    assert sorted(dataset.splits) == ["test", "train", "train", "train"]
    ids = read_mask(dataset.columns["mask"][0], dataset.columns["values"][0], 2)
    assert ids.tolist() == [[0, 0, 0, 1, 1, 1]] * 4
    assert any("extra" in finding.reason for finding in dataset.findings) and len(logged.messages) == 1
    read("tfds:retinue_land", "segmentation")
    assert len(logged.messages) == 1  # written once


def test_a_dataset_without_masks_is_refused():
    with tfds.testing.mock_data(num_examples=1), pytest.raises(UsageError, match="needs an image and a mask"):
        read("tfds:mnist", "segmentation")
