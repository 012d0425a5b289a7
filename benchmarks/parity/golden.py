"""Write tests/backbones/golden/: what torchvision and timm answer with seeded random weights (see fill.py).

Run it in an environment of its own with torch, torchvision, timm, pretrainedmodels, six (no retinue, no downloads):
    python benchmarks/parity/golden.py [our name ...]
tests/backbones/test_golden.py compares our answers with these files, without torch.
"""

import importlib
import json
import sys
from pathlib import Path

import fill

FOLDER = Path(__file__).parents[2] / "tests" / "backbones" / "golden"
KEPT = 125  # every 125th of 1000 logits

# our name: (package, its name, an even and an odd input size)
MODELS = {
    "googlenet": ("torchvision", "googlenet", (96, 97)),
    # caffe's strided modules only fit together where maps are even: 12 and 6 here
    "bn_inception_caffe": ("pretrainedmodels", "bninception", (96, 95)),
    "inception_v3": ("torchvision", "inception_v3", (128, 139)),
    "inception_v4": ("timm", "inception_v4", (128, 139)),
    "inception_resnet_v2": ("timm", "inception_resnet_v2", (128, 139)),
    "xception": ("timm", "legacy_xception", (96, 97)),
    "densenet121": ("torchvision", "densenet121", (64, 95)),
    "densenet161": ("torchvision", "densenet161", (64, 95)),
    # at 224 and 225 pixels the adaptive pooling before the linear layers does nothing
    "alexnet_torchvision": ("torchvision", "alexnet", (224, 225)),
    "vgg11": ("torchvision", "vgg11", (224, 225)),
    "vgg16_bn": ("torchvision", "vgg16_bn", (224, 225)),
    "resnet18": ("torchvision", "resnet18", (64, 75)),
    "resnet50": ("torchvision", "resnet50", (64, 75)),
    "resnet152": ("torchvision", "resnet152", (64, 75)),
    "seresnet50": ("timm", "seresnet50", (64, 75)),
    "senet154": ("timm", "legacy_senet154", (64, 75)),
    "efficientnet_lite0": ("timm", "tf_efficientnet_lite0", (64, 75)),
    "efficientnet_lite0_timm": ("timm", "efficientnet_lite0", (64, 75)),
}
# what torchvision calls the auxiliary classifiers, and the input size at which they are asked
AUXILIARY = {"googlenet": (("aux1", "aux2"), 97), "inception_v3": (("AuxLogits",), 299)}


def main(names):
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or MODELS:
        package, theirs, sizes = MODELS[name]
        version = importlib.import_module(package).__version__
        model = made(package, theirs)
        record = {"peer": f"{package} {version} {theirs}", "tensors": filled(model), "logits": {}}
        for size in sizes:
            record["logits"][str(size)] = kept(answer(model, size))
        if name in AUXILIARY:
            parts, size = AUXILIARY[name]
            record["auxiliary"] = {"size": size} | {part: kept(auxiliary(model, part, size)) for part in parts}
        (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        print(name, record["logits"])


def made(package, name):
    if package == "timm":
        import timm

        return timm.create_model(name, pretrained=False).eval()
    if package == "pretrainedmodels":
        import pretrainedmodels

        model = pretrainedmodels.bninception(pretrained=None).eval()
        model.logits = lambda features: model.last_linear(
            features.mean((2, 3))
        )  # its own pools 7x7, for 224 pixels only
        return model
    import torchvision

    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, **extra).eval()


def filled(model):
    """Fill a torch model in double precision, and give how many tensors it has, auxiliary classifiers aside."""
    import torch

    model.double()
    state = {key: value for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    for key, value in state.items():
        value.copy_(torch.from_numpy(fill.tensor(key, tuple(value.shape))))
    return sum(not key.lower().startswith("aux") for key in state)


def answer(model, size):
    import torch

    with torch.no_grad():
        return model(torch.from_numpy(fill.image(size)).permute(0, 3, 1, 2).double())[0].numpy()


def auxiliary(model, part, size):
    """What an auxiliary classifier answers in inference: torchvision itself calls it in training only."""
    import torch

    before = {"AuxLogits": "Mixed_6e", "aux1": "inception4a", "aux2": "inception4d"}[part]
    maps = []
    hook = getattr(model, before).register_forward_hook(lambda module, given, made: maps.append(made))
    answer(model, size)
    hook.remove()
    with torch.no_grad():
        return getattr(model, part)(maps[0])[0].numpy()


def kept(logits):
    return [float(f"{logit:.7g}") for logit in logits[::KEPT]]


if __name__ == "__main__":
    main(sys.argv[1:])
