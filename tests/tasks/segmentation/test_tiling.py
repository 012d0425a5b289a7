import tracemalloc

import keras
import numpy as np
import pytest

from retinue.tasks.segmentation.tiling import tile_inference, tile_spans


def test_the_kept_parts_of_tiles_cover_an_axis_once():
    spans = tile_spans(300, 128, 96)
    assert spans[0][0] == 0 and spans[-1][1] == 300
    kept = [(first, last) for _, _, first, last in spans]
    assert kept[0][0] == 0 and kept[-1][1] == 300 and all(a[1] == b[0] for a, b in zip(kept, kept[1:], strict=False))
    assert all(start <= first and last <= end for start, end, first, last in spans)
    assert all(start % 32 == 0 for start, *_ in spans)
    assert tile_spans(100, 128, 96) == [(0, 100, 0, 100)] and tile_spans(128, 128, 96) == [(0, 128, 0, 128)]
    assert [end for _, end, *_ in tile_spans(129, 128, 96)] == [128, 129]


@pytest.mark.parametrize("size", [(64, 64), (150, 97), (97, 300), (200, 200)])
def test_tiles_give_the_mask_of_the_whole_image(size):
    """The model sees 7 pixels to each side and has a stride; the tiles share 32 pixels."""
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    x = keras.layers.MaxPooling2D(4)(x)
    scores = keras.layers.UpSampling2D(4)(keras.layers.Conv2D(3, 3, padding="same")(x))
    model = keras.Model(image, scores)

    def run(inputs):
        pixels = np.asarray(inputs["image"])
        height, width = pixels.shape[1:3]
        padded = np.pad(pixels, ((0, 0), (0, -height % 4), (0, -width % 4), (0, 0)), mode="edge")
        scores = np.asarray(model(padded.astype(np.float32)))[:, :height, :width]
        return {"mask": scores.argmax(-1).astype(np.uint8), "confidence": scores.max(-1)}

    pixels = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    inputs = {"image": pixels, "original_size": np.array([size, size])}
    expected = run(inputs)["mask"]
    outputs = tile_inference(run, 96, 32)(inputs)
    assert outputs["mask"].shape == expected.shape and (outputs["mask"] == expected).mean() == 1.0
    assert len(outputs["confidence"]) == 2


def test_each_pixel_is_predicted_at_its_own_position():
    image = np.arange(130 * 170, dtype=np.uint32).reshape(130, 170)
    pixels = np.stack([image & 255, image >> 8 & 255, image >> 16], axis=-1).astype(np.uint8)

    def run(inputs):
        assert inputs["image"].shape[1:3] == tuple(inputs["original_size"][0])
        assert max(inputs["image"].shape[1:3]) <= 64
        return {
            "mask": inputs["image"][..., 0] ^ inputs["image"][..., 1],
            "confidence": np.ones((len(inputs["image"]), 2, 2)),
        }

    outputs = tile_inference(run, 64, 16)({"image": pixels[None], "original_size": np.array([[130, 170]])})
    np.testing.assert_array_equal(outputs["mask"][0], pixels[..., 0] ^ pixels[..., 1])


def test_memory_is_bounded_by_the_tiles():
    pixels = np.zeros((1, 4000, 4000, 3), np.uint8)

    def run(inputs):
        scores = np.zeros((*inputs["image"].shape[:3], 8), np.float32)
        return {"mask": scores.argmax(-1).astype(np.uint8), "confidence": scores.max(-1)}

    tracemalloc.start()
    outputs = tile_inference(run, 512, 64)({"image": pixels, "original_size": np.array([[4000, 4000]])})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outputs["mask"].shape == (1, 4000, 4000)
    assert peak < 2 * 16e6 + 4 * 512 * 512 * 60  # the mask twice, and four tiles; the whole image would take 512 MB
