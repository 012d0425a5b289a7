"""The options of `retinue explain`."""

import dataclasses
from collections.abc import Sequence

from retinue.tasks.explainer import TargetSelection

DEFAULT_METHODS = ("grad-cam", "occlusion", "saliency")


@dataclasses.dataclass(frozen=True)
class ExplainOptions:
    """What `explain` explains, and how.

    Attributes:
        methods: one or several names of `explain.METHODS`, or "all". feature-visualization and filters need no image.
        class_name: the class to explain. By default the predicted class of each image; of a detector the class of the
            best box; of a segmentation model the largest class that is not called background.
        box: for detectors, the number of the box, from 1, the best first; with `class_name` among the boxes of that
            class.
        point: for segmentation models, (x, y) in pixels of the image: the region around it is explained instead of all
            pixels of the class.
        layer: the layer for activations, grad-cam, neuron-gradient, deconvnet, guided-backprop, deep-dream and filters.
        channel: the channel of the layer for neuron-gradient, deconvnet, guided-backprop and deep-dream, and instead of
            a class for feature-visualization.
        weights: for the name of a backbone, its weights (see `backbones.load_weights`). By default those of ImageNet.
        sanity_checks: whether the maps are also tested by deletion, insertion and the randomization of layers.
    """

    methods: str | Sequence[str] = DEFAULT_METHODS
    class_name: str | None = None
    box: int | None = None
    point: tuple[float, float] | None = None
    layer: str | None = None
    channel: int | None = None
    weights: str | None = None
    sanity_checks: bool = False

    @property
    def selection(self) -> TargetSelection:
        """What of a prediction is explained."""
        return TargetSelection(self.class_name, self.box, self.point)
