"""Write tests/tasks/detection/golden/: outputs and losses of torchvision's Faster R-CNN with seeded random weights.

Run it in an environment of its own with torch and torchvision (no retinue, no downloads):
    python benchmarks/parity/detection_golden.py [resnet18 | resnet50 ...]
The tests give our detector the same weights and compare, without torch. All anchors and proposals are sampled, so that
the samples are not random.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import fill

FOLDER = Path(__file__).parents[2] / "tests" / "tasks" / "detection" / "golden"
CLASSES = 4
SIZES = {"resnet18": ((96, 128), (128, 96), (159, 130)), "resnet50": ((96, 128), (230, 160), (159, 130))}
MAX_SIZE = 400
EVERYTHING = 10**6
PROPOSALS = {"resnet18": 150, "resnet50": 1000}  # few for the fast test, torchvision's own number for the slow one
# Factors of the last layers, relative to He's rule: with logits of tens, all scores would be 0 or 1.
SCALES = {"cls_logits.weight": 0.3, "bbox_pred.weight": 0.05, "cls_score.weight": 0.25}
ALL_SCALED = {"resnet18": 0.03, "resnet50": 1.0}  # the branches of the shallow model add up to larger values


def tensor(backbone, name, shape):
    """Make the float32 array of the tensor that torchvision calls `name`, for the backbone resnet18 or resnet50."""
    last = ".".join(name.split(".")[-2:])
    scale = SCALES[last] * ALL_SCALED[backbone] if last in SCALES else 1.0
    return fill.tensor(name.removeprefix("backbone.body."), shape) * np.float32(scale)


def make_image(height, width):
    """Make an image, uint8 `[h, w, 3]`, of soft blobs, which have more structure than noise."""
    random = np.random.default_rng(1000 * height + width)
    coarse = random.uniform(0, 255, (height // 16 + 2, width // 16 + 2, 3))
    fine = np.kron(coarse, np.ones((16, 16, 1)))[:height, :width]
    return np.clip(fine + random.normal(0, 12, fine.shape), 0, 255).astype(np.uint8)


def objects(height, width):
    """Return annotated boxes, float32 `[3, 4]`, inside an image, and their labels from 0."""
    fractions = np.array([[0.1, 0.15, 0.45, 0.6], [0.5, 0.3, 0.95, 0.9], [0.3, 0.55, 0.5, 0.8]])
    return (fractions * [width, height, width, height]).astype(np.float32), np.array([0, 2, 3])


def main(names):
    for name in names or SIZES:
        model, record = build_model(name), {"detections": {}, "losses": {}}
        for height, width in SIZES[name]:
            key = f"{height}x{width}"
            record["detections"][key] = detections(model, height, width)
            record["losses"][key] = losses(model, height, width)
            print(name, key, len(record["detections"][key]["scores"]), record["losses"][key])
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{name}_fpn.json").write_text(json.dumps(record) + "\n")


def build_model(name):
    import torch
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    backbone = resnet_fpn_backbone(backbone_name=name, weights=None, trainable_layers=5)
    counts = {"rpn_post_nms_top_n_train": PROPOSALS[name], "rpn_post_nms_top_n_test": PROPOSALS[name]}
    model = FasterRCNN(backbone, num_classes=CLASSES + 1, min_size=8, max_size=MAX_SIZE, **counts)
    for key, value in model.state_dict().items():
        value.copy_(torch.from_numpy(tensor(name, key, tuple(value.shape))))
    return model


def as_torch(height, width):
    import torch

    return torch.from_numpy(make_image(height, width).astype(np.float32) / 255).permute(2, 0, 1)


def detections(model, height, width):
    import torch

    model.eval()
    model.transform.min_size = (min(height, width),)  # so that nothing is resized
    with torch.no_grad():
        found = model([as_torch(height, width)])[0]
    return {
        "boxes": [[float(f"{value:.7g}") for value in box] for box in found["boxes"].tolist()],
        "scores": [float(f"{value:.7g}") for value in found["scores"].tolist()],
        "labels": [label - 1 for label in found["labels"].tolist()],
    }


def losses(model, height, width):
    import torch

    model.train()
    model.backbone.eval()
    model.transform.min_size = (min(height, width),)
    for sampler in (model.rpn.fg_bg_sampler, model.roi_heads.fg_bg_sampler):
        sampler.batch_size_per_image = EVERYTHING
    boxes, labels = objects(height, width)
    target = {"boxes": torch.from_numpy(boxes), "labels": torch.from_numpy(labels + 1)}
    with torch.no_grad():
        found = model([as_torch(height, width)], [target])
    names = {"loss_objectness": "rpn_objectness", "loss_rpn_box_reg": "rpn_box"}
    names |= {"loss_classifier": "class", "loss_box_reg": "box"}
    return {names[key]: float(f"{value.item():.7g}") for key, value in found.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
