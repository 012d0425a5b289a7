"""Tables of images and masks: lines without a mask."""

from retinue.data.readers.read import read
from retinue.tests.helpers.mask_images import halves, make_image, make_mask


def test_images_without_a_mask_are_not_read_with_a_warning(tmp_path):
    for name in ("a", "b", "t"):
        make_image(tmp_path / f"{name}_sat.jpg")
    for name in ("a", "b"):
        make_mask(tmp_path / f"{name}_mask.png", halves())
    (tmp_path / "metadata.csv").write_text(
        "split,sat_image_path,mask_path\ntrain,a_sat.jpg,a_mask.png\ntest,t_sat.jpg,\ntrain,b_sat.jpg,b_mask.png\n"
    )
    dataset = read(tmp_path, "segmentation")
    assert dataset.format == "masks csv"
    assert [file.rpartition("/")[2] for file in dataset.files] == ["a_sat.jpg", "b_sat.jpg"]
    finding = next(finding for finding in dataset.findings if finding.kind == "no mask")
    assert (finding.severity, finding.reason) == ("warning", "1 line has no mask, the first is line 3")
