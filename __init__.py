"""retinue: pretrained Keras backbones in task heads, from a folder of photos to a model that works.

Everything here is imported when it is first used, so that `import retinue` is quick and needs no TensorFlow.
"""

import os
from importlib import import_module

# TensorFlow asks this when it is imported. By itself it takes oneDNN's layers on some processors only, those with
# VNNI or AMX; a training step of a ResNet-50 is a fifth shorter with them on one that has AVX2 alone.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

_PUBLIC = {
    "check": ("retinue.pipeline.api", "check"),
    "train": ("retinue.pipeline.api", "train"),
    "evaluate": ("retinue.pipeline.api", "evaluate"),
    "predict": ("retinue.pipeline.api", "predict"),
    "export": ("retinue.pipeline.api", "export"),
    "flow": ("retinue.pipeline.api", "flow"),
    "explain_photos": ("retinue.pipeline.api", "explain_photos"),  # `retinue.explain` is the room of the methods
    "backbone": ("retinue.backbones", "build"),
    "build": ("retinue.pipeline.api", "build"),
    "load": ("retinue.pipeline.api", "load"),
    "RetinueError": ("retinue.configs.errors", "RetinueError"),
    "UsageError": ("retinue.configs.errors", "UsageError"),
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'retinue' has no attribute '{name}'")
    module, attribute = _PUBLIC[name]
    return getattr(import_module(module), attribute)


def __dir__():
    return __all__
