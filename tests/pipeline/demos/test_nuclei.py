import numpy as np
from PIL import Image

from retinue.data.readers.read import read
from retinue.pipeline.demos.nuclei import BORDER, write_tiles


def test_regions_do_not_meet(tmp_path):
    """Each pixel of the photo says where it is, so a pixel in two splits would be seen."""
    rows, columns = np.mgrid[:512, :512]
    parts = {}
    for part, photo in (("row", rows // 2), ("column", columns // 2)):
        folder = write_tiles(photo.astype(np.uint8), (rows % 2).astype(np.uint8), tmp_path / part)
        parts[part] = {
            split: [np.asarray(Image.open(file))[:, :, 0] for file in sorted((folder / split / "images").iterdir())]
            for split in ("train", "val", "test")
        }
    seen = {
        split: {
            place
            for one, two in zip(parts["row"][split], parts["column"][split], strict=True)
            for place in zip(one.ravel().tolist(), two.ravel().tolist(), strict=True)
        }
        for split in ("train", "val", "test")
    }
    assert not seen["train"] & seen["test"] and not seen["train"] & seen["val"] and not seen["val"] & seen["test"]
    assert len(seen["test"]) == 256 * (512 - BORDER) // 2 and len(seen["train"]) == (BORDER // 2) ** 2
    dataset = read(tmp_path / "row")
    assert dataset.classes == ("background", "nucleus") and set(dataset.splits) == {"train", "val", "test"}
