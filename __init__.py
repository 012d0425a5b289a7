"""retinue: pretrained Keras backbones with heads for several tasks, from a folder of images to a deployed model.

Every name is imported at its first use, so that `import retinue` is fast and needs no TensorFlow.
"""

import logging
from importlib import import_module
from typing import Any

logging.getLogger(__name__).addHandler(logging.NullHandler())  # a library prints nothing by itself

_PUBLIC = {
    "check": ("retinue.pipeline.api", "check"),
    "train": ("retinue.pipeline.api", "train"),
    "evaluate": ("retinue.pipeline.api", "evaluate"),
    "predict": ("retinue.pipeline.api", "predict"),
    "export": ("retinue.pipeline.api", "export"),
    "flow": ("retinue.pipeline.api", "flow"),
    "explain_images": ("retinue.pipeline.api", "explain_images"),  # `retinue.explain` is the package of the methods
    "backbone": ("retinue.backbones", "build"),
    "build": ("retinue.pipeline.api", "build"),
    "load": ("retinue.pipeline.api", "load"),
    "enable_logging": ("retinue.configs.logs", "enable_console"),
    "RetinueError": ("retinue.configs.errors", "RetinueError"),
    "UsageError": ("retinue.configs.errors", "UsageError"),
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'retinue' has no attribute '{name}'")
    module, attribute = _PUBLIC[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
