"""The configuration of small video models that the tests build without data."""

from typing import Any

from retinue.configs.load import load_config
from retinue.configs.schema import Config

CLASSES = ("a", "b", "c")
SIZE = 32  # model.input_size


def video_config(architecture: str = "two_stream", backbone: str = "lenet5", **overrides: Any) -> Config:
    """Configure a video model.

    Args:
        architecture: video.architecture.
        backbone: model.backbone.
        **overrides: other keys, with "__" for each dot.

    Returns:
        The configuration.
    """
    options = {
        "task": "video",
        "model.backbone": backbone,
        "model.weights": "none",
        "model.input_size": SIZE,
        "video.architecture": architecture,
        "video.frame_size": [36, 40],
        "video.flow_length": 3,
        "augment.horizontal_flip": False,
    }
    return load_config(options=options | {key.replace("__", "."): value for key, value in overrides.items()})
