"""retinue: pretrained Keras backbones in task heads, from a folder of photos to a model that works.

Everything here is imported when it is first used, so that `import retinue` is quick and needs no TensorFlow.
"""

import logging
from importlib import import_module

logging.getLogger(__name__).addHandler(logging.NullHandler())  # it prints nothing unless it is asked to

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
    "enable_logging": ("retinue.configs.logs", "enable_console"),
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
