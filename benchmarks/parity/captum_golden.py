"""Write tests/explain/golden/: what captum answers for ResNet-18 and VGG-16 with seeded random weights (see fill.py).

Run it in an environment of its own with torch, torchvision and captum (no retinue, no downloads):
    python benchmarks/parity/captum_golden.py
tests/explain/test_golden.py compares our maps with these files, without torch.
"""

import json
from pathlib import Path

import captum
import fill
import numpy as np
import torch
import torchvision
from captum import attr
from torch import nn

FOLDER = Path(__file__).parents[2] / "tests" / "explain" / "golden"
SIZE = 64
KEPT = 37  # every 37th value of a map, in the order of height, width, channel


class VggWithAverage(nn.Module):
    """VGG-16's trunk, global average, one linear layer: its own linear layers want at least 224 pixels."""

    def __init__(self):
        super().__init__()
        self.features = torchvision.models.vgg16(weights=None).features
        self.logits = nn.Linear(512, 10)

    def forward(self, x):
        return self.logits(self.features(x).mean((2, 3)))


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    resnet = torchvision.models.resnet18(weights=None)
    for name, model, layer in (("resnet18", resnet, "layer4"), ("vgg16", VggWithAverage(), "features")):
        model = filled(model)
        target, found_by = maps(model, getattr(model, layer))
        record = {
            "target": target,
            "peer": f"captum {captum.__version__}, torchvision {torchvision.__version__}",
            "maps": {},
        }
        for method, found in found_by.items():
            found = found.detach().numpy()[0].transpose(1, 2, 0)
            kept = [float(f"{value:.6g}") for value in found.ravel()[::KEPT]]
            record["maps"][method] = {"shape": found.shape, "largest": float(np.abs(found).max()), "values": kept}
            print(name, method, found.shape, np.abs(found).max())
        (FOLDER / f"{name}.json").write_text(json.dumps(record) + "\n")


def filled(model):
    """The model in double precision with seeded weights; captum's hooks can't see ReLUs that work in place."""
    model.double().eval()
    for key, value in model.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            value.copy_(torch.from_numpy(fill.tensor(key, tuple(value.shape))))
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model


def maps(model, layer):
    """(the class of the largest score, {method: attributions `[1, channels, 64, 64]` for it})."""
    x = torch.from_numpy(fill.image(SIZE)).permute(0, 3, 1, 2).double().requires_grad_()
    target = int(model(x).argmax())
    cam = attr.LayerGradCam(model, layer).attribute(x, target, relu_attributions=True)
    window = {"sliding_window_shapes": (3, 16, 16), "strides": (3, 8, 8), "perturbations_per_eval": 16}
    return target, {
        "saliency": attr.Saliency(model).attribute(x, target, abs=True),
        "occlusion": attr.Occlusion(model).attribute(x, target=target, baselines=0, **window),
        "guided": attr.GuidedBackprop(model).attribute(x, target),
        "deconvnet": attr.Deconvolution(model).attribute(x, target),
        "integrated-gradients": attr.IntegratedGradients(model).attribute(x, 0, target, n_steps=64),
        "grad-cam": attr.LayerAttribution.interpolate(cam, (SIZE, SIZE), "bilinear"),
    }


if __name__ == "__main__":
    main()
