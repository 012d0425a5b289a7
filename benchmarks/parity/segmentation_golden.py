"""Write tests/tasks/segmentation/golden/: what torchvision's segmentation models answer with seeded random weights.

Run it in an environment of its own with torch and torchvision (no retinue, no downloads):
    python benchmarks/parity/segmentation_golden.py [fcn_resnet50 ...]
tests/tasks/segmentation/test_torchvision.py fills our models with the same numbers and compares, without torch.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import fill

FOLDER = Path(__file__).parents[2] / "tests" / "tasks" / "segmentation" / "golden"
NAMES = ("fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101")
CLASSES = 21
SIZES = ((64, 96), (75, 53))  # an even one, and one that no stride divides
KEPT = 610  # every 610th logit, in the order of height, width, class


def tensor(name, shape):
    """The float32 array for the tensor that torchvision calls `name`."""
    return fill.tensor(name.removeprefix("backbone."), shape)


def image(height, width):
    """A float32 image `[1, h, w, 3]` that counts as preprocessed."""
    return np.random.default_rng(1000 * height + width).standard_normal((1, height, width, 3), dtype=np.float32)


def main(names):
    import torch
    import torchvision

    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or NAMES:
        model = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=CLASSES)
        model = model.double().eval()
        for key, value in model.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                value.copy_(torch.from_numpy(tensor(key, tuple(value.shape))))
        record = {"peer": f"torchvision {torchvision.__version__} {name}", "logits": {}, "tensors": 0}
        record["tensors"] = sum(not key.endswith("num_batches_tracked") for key in model.state_dict())
        for height, width in SIZES:
            with torch.no_grad():
                out = model(torch.from_numpy(image(height, width)).permute(0, 3, 1, 2).double())["out"]
            out = out[0].permute(1, 2, 0).numpy()
            values = [float(f"{value:.7g}") for value in out.ravel()[::KEPT]]
            record["logits"][f"{height}x{width}"] = {"largest": float(np.abs(out).max()), "values": values}
            print(name, height, width, out.shape, np.abs(out).max())
        (FOLDER / f"{name}.json").write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
