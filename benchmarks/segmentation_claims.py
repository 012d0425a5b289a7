"""The lecture's claims about segmentation, on the nuclei of the demo: skips, dilation, fine-tuning the whole model.

    python benchmarks/segmentation_claims.py [--epochs 30] [--seeds 2] [--out docs/segmentation]
writes claims.csv, a row a model and seed, and claims.png, the masks of one validation region, into the folder. Every
model learns as long from the same tiles, in twice the image's size; scores are those of the region that took no part.
The trunks are EfficientNet-Lite0 with ImageNet's weights, and HED's VGG-16, which is what the papers took.
"""

import argparse
import csv
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

import retinue
from retinue.data.decoding.mask_file import read_mask
from retinue.data.storage.atomic_files import atomic_path
from retinue.pipeline.demos.nuclei import nuclei
from retinue.pipeline.evaluation.evaluate import predict_batches
from retinue.pipeline.prediction.predictor import load_runtime
from retinue.pipeline.runs.run import open_model

# name: (backbone, head, fraction of the rate that the backbone learns at)
MODELS = {
    "FCN-32s": ("efficientnet_lite0", "fcn32s", 0.5),
    "FCN-16s": ("efficientnet_lite0", "fcn16s", 0.5),
    "FCN-8s": ("efficientnet_lite0", "fcn8s", 0.5),
    "FCN-8s, frozen trunk": ("efficientnet_lite0", "fcn8s", 0.0),
    "dilated, stride 8": ("efficientnet_lite0", "fcn", 0.5),
    "VGG-16, FCN-8s": ("vgg16_hed", "fcn8s", 0.05),
    "VGG-16, front end": ("vgg16_hed", "front_end", 0.05),
}
EDGE = 3  # pixels; what lies so near to a true edge is counted apart
NUMBERS = ("mean_iou", "boundary_f", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou")
SHOWN = 64  # tiles of the test region are squares of this side; the image shows the two columns of them


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--seeds", type=int, default=2)
    options.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "segmentation")
    options.add_argument(
        "--network", choices=list(MODELS), help="run this model alone; rows of others in claims.csv are kept"
    )
    given = options.parse_args()
    retinue.enable_logging()
    given.out.mkdir(parents=True, exist_ok=True)
    rows, masks = kept_rows(given.out / "claims.csv", given.network), {}
    networks = {given.network: MODELS[given.network]} if given.network else MODELS
    with tempfile.TemporaryDirectory() as scratch:
        tiles = nuclei(Path(scratch) / "tiles")
        for seed in range(given.seeds):
            for name, network in networks.items():
                began = time.perf_counter()
                run, scores = trained(tiles, Path(scratch) / f"{name}-{seed}", network, seed, given.epochs)
                row = {
                    "network": name,
                    "seed": seed,
                    "epochs": given.epochs,
                    "seconds": round(time.perf_counter() - began),
                }
                low, high = scores.interval
                row |= {"parameters": open_model(run.folder).build().count_params()}
                row |= {number: round(scores.metrics[number], 4) for number in NUMBERS}
                mask = region_masks(run, tiles)
                rows.append(row | {"low": round(low, 4), "high": round(high, 4)} | wrong_by_place(mask, tiles))
                print(rows[-1], flush=True)
                write(given.out / "claims.csv", rows)
                if not seed and not given.network:
                    masks[name] = mask
                    image(given.out / "claims.png", tiles, masks)


def kept_rows(path, network):
    """The rows of earlier calls that this one does not make anew."""
    if not network or not path.is_file():
        return []
    with open(path, newline="") as table:
        return [row for row in csv.DictReader(table) if row["network"] != network]


def trained(tiles, folder, network, seed, epochs):
    """(run, scores of the test region) of one model."""
    backbone, head, rate = network
    return retinue.train(
        str(tiles),
        str(folder),
        recipe="nuclei",
        seed=seed,
        model__backbone=backbone,
        model__input_size=128,
        segmentation__head=head,
        segmentation__convert_fc_layers=False,
        segmentation__scale_range=[1.5, 2.6],
        segmentation__tta_scales=[2.0],
        segmentation__tta_flip=False,
        train__stages={"all": {"epochs": epochs, "learning_rate": 2e-3, "backbone_lr_multiplier": rate}},
    )


def region_masks(run, tiles):
    """The masks of the test region, put together: uint8 `[512, 128]`."""
    model, files = open_model(run.folder), sorted((tiles / "test" / "images").iterdir())
    found = predict_batches(
        model.task,
        load_runtime(model, "tensorflow"),
        {"file": np.array([str(file) for file in files], dtype=object)},
    )
    return together([prediction["mask"] for batch in found for prediction in batch])


def region_truth(tiles):
    return together([read_mask(file, [0, 1], 2) for file in sorted((tiles / "test" / "masks").iterdir())])


def wrong_by_place(mask, tiles):
    """Shares of wrong pixels: of those within EDGE of a true edge, and of all others."""
    truth, window = region_truth(tiles), np.ones((2 * EDGE + 1,) * 2, np.uint8)
    near, wrong = cv2.dilate(truth, window) != cv2.erode(truth, window), mask != truth
    return {"wrong_at_edges": round(wrong[near].mean(), 4), "wrong_elsewhere": round(wrong[~near].mean(), 4)}


def together(parts):
    return np.concatenate([np.concatenate(parts[row : row + 2], axis=1) for row in range(0, len(parts), 2)])


def image(path, tiles, masks):
    """The upper half of the test region: image, truth, and each model's mask with its mistakes in red."""
    image_files = [np.asarray(Image.open(file)) for file in sorted((tiles / "test" / "images").iterdir())]
    image_file, truth = together(image_files), region_truth(tiles)
    bright = np.clip(image_file.astype(int) * 3, 0, 255).astype(np.uint8)
    parts = {"image_file": bright, "truth": np.repeat(truth[:, :, None] * 255, 3, axis=2)}
    for name, mask in masks.items():
        shown = np.repeat(mask[:, :, None] * 255, 3, axis=2)
        shown[(mask == 1) & (truth == 0)] = (230, 80, 60)
        shown[(mask == 0) & (truth == 1)] = (70, 120, 230)
        parts[name] = shown
    half, factor, gap, line = 256, 2, 8, 18
    height, width = half * factor + line, 128 * factor
    sheet = Image.new("RGB", (len(parts) * (width + gap) - gap, height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (name, pixels) in enumerate(parts.items()):
        left = index * (width + gap)
        sheet.paste(Image.fromarray(pixels[:half].astype(np.uint8)).resize((width, half * factor), 0), (left, line))
        draw.text((left + 2, 3), name, "black")
    with atomic_path(path) as temporary:
        sheet.save(temporary)


def write(path, rows):
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as table:
        writer = csv.DictWriter(table, list(rows[-1]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
