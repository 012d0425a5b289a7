"""How `retinue explain` calls each method of the package `explain`, and the captions of the results."""

import functools
from collections.abc import Callable
from typing import Any, Protocol

import cv2
import keras
import numpy as np

from retinue.explain import activations as activations_
from retinue.explain import (
    deep_dream,
    feature_visualization,
    grad_cam,
    integrated_gradients,
    neuron_gradient,
    occlusion,
    saliency,
    visualization,
)
from retinue.explain import filters as filters_
from retinue.explain.gradients import Gradient
from retinue.explain.layers import feature_map_output, layer_output
from retinue.tasks.classification.explainer import ClassifierExplainer
from retinue.tasks.explainer import ExplanationRequest

RULES = {"neuron-gradient": "plain", "deconvnet": "deconvnet", "guided-backprop": "guided"}
DEEP_DREAM_SIDE = 1024  # pixels of the longer side: a dream of a larger image would take many minutes


def _identity(array: np.ndarray) -> np.ndarray:
    return array


def _largest_channel(array: np.ndarray) -> np.ndarray:
    return np.abs(array).max(axis=-1)


# The methods that give a map of importance, and how its array becomes one number for each pixel.
TO_IMPORTANCE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "occlusion": _identity,
    "saliency": _identity,
    "smoothgrad": _identity,
    "grad-cam": _identity,
    "integrated-gradients": lambda array: array.sum(axis=-1),
    "neuron-gradient": _largest_channel,
    "deconvnet": _largest_channel,
    "guided-backprop": _largest_channel,
}
DRAW: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "activations": activations_.draw,
    "occlusion": occlusion.draw,
    "saliency": saliency.draw,
    "smoothgrad": saliency.draw,
    "grad-cam": grad_cam.draw,
    "integrated-gradients": integrated_gradients.draw,
    "neuron-gradient": neuron_gradient.draw,
    "deconvnet": neuron_gradient.draw,
    "guided-backprop": neuron_gradient.draw,
}

Cell = tuple[np.ndarray, list[str]]  # an image of a contact sheet with its caption


class HasModel(Protocol):
    """Something with a Keras model from images to logits; None where there is none."""

    @property
    def model(self) -> keras.Model | None:
        """The model."""


class Methods:
    """The methods for one model. What is traced once serves all images.

    Attributes:
        explainer: the explainer, or one stream of it.
        layer: name of the layer for the methods that look at one; None for the request's own.
        channel: channel of the layer for neuron-gradient, deconvnet, guided-backprop and deep-dream; None for the
            strongest, or for all.
    """

    def __init__(self, explainer: HasModel, layer: str | None = None, channel: int | None = None) -> None:
        """Keep the attributes; see the class."""
        self.explainer, self.layer, self.channel = explainer, layer, channel
        self._neuron_gradients: dict[tuple[str, str], Any] = {}
        self._grad_cams: dict[str | None, grad_cam.GradCam] = {}

    def __call__(
        self, method: str, image: np.ndarray, original: np.ndarray | None, request: ExplanationRequest
    ) -> tuple[np.ndarray, str]:
        """Apply a method to one image.

        Args:
            method: its name.
            image: float32 `[h, w, c]`, as the model takes it.
            original: uint8 `[h', w', 3]`. Only deep-dream uses it.
            request: what is explained.

        Returns:
            The result, float32 `[h, w]` or `[h, w, c]` (deep-dream: `[h', w', 3]`), and a caption.

        Raises:
            UsageError: the method is not possible for this model.
        """
        model, images, target = self.explainer.model, image[None], request.target
        layer = self.layer or request.layer
        if method == "occlusion":
            result = occlusion.occlusion(request.predict, images, request.column, **request.occlusion)
            return result[0], "how far the score falls when this is covered"
        if method == "saliency":
            return saliency.saliency(self._gradient, images, target)[0], "the pixels that the score follows"
        if method == "smoothgrad":
            return saliency.smoothgrad(self._gradient, images, target)[0], "saliency averaged over noisy copies"
        if method == "integrated-gradients":
            result = integrated_gradients.integrated_gradients(self._gradient, images, target)
            return result[0], "red for it, blue against it"
        if method == "grad-cam":
            cam = self._grad_cam(request)
            return cam(images, target)[0], f"layer {cam.layer}"
        if method == "activations":
            result, channels = activations_.activations(model, images, layer)
            return result[0], f"{feature_map_output(model, layer)[0]}: channels {', '.join(map(str, channels[0]))}"
        if method in RULES:
            gradient = self._neuron_gradient(method, layer)
            channel = self.channel
            assert gradient.layer is not None, "_neuron_gradient names the layer"
            if channel is None:
                _, channel, _ = neuron_gradient.strongest_units(model, images, gradient.layer)[0]
            return gradient(images, self.channel)[0], f"back from {gradient.layer}, channel {channel}"
        assert original is not None, "deep-dream needs the original image"
        layer_name = layer or deep_dream.default_feature_map(model)[0]
        source = layer_name if self.channel is None else f"channel {self.channel} of {layer_name}"
        return _deep_dream(model, original, layer_name, self.channel), f"more of what {source} responds to"

    def randomizable(
        self, method: str, image: np.ndarray, request: ExplanationRequest
    ) -> tuple[keras.Model, Callable[[], np.ndarray]] | None:
        """Prepare the randomization check of a method.

        SmoothGrad and integrated gradients are means of the gradients that saliency shows, and would give the same
        result for fifty times the work. Occlusion runs in the fast runtime, whose weights can't be changed.

        Args:
            method: its name.
            image: float32 `[h, w, c]`, as the model takes it.
            request: what is explained.

        Returns:
            The arguments of `sanity_checks.randomization`: the model, and a function that returns the map with its
            current weights. None where the method is not checked.
        """
        images, layer = image[None], self.layer or request.layer
        if method == "saliency":
            return self.explainer.model, lambda: saliency.saliency(self._gradient, images, request.target)
        if method == "grad-cam":
            return self.explainer.model, lambda: self._grad_cam(request)(images, request.target)
        if method in RULES:
            gradient = self._neuron_gradient(method, layer)
            return gradient.model, lambda: TO_IMPORTANCE[method](gradient(images, self.channel)[0])[None]
        return None

    @functools.cached_property
    def _gradient(self) -> Gradient:
        return Gradient(self.explainer.model)

    def _grad_cam(self, request: ExplanationRequest) -> grad_cam.GradCam:
        layer, local = self.layer or request.layer, request.region is not None
        if layer not in self._grad_cams:
            self._grad_cams[layer] = grad_cam.GradCam(self.explainer.model, layer, local)
        return self._grad_cams[layer]

    def _neuron_gradient(self, method: str, layer: str | None) -> neuron_gradient.NeuronGradient:
        name, _ = layer_output(self.explainer.model, layer)
        key = method, name
        if key not in self._neuron_gradients:
            self._neuron_gradients[key] = neuron_gradient.NeuronGradient(self.explainer.model, name, RULES[method])
        return self._neuron_gradients[key]


def _deep_dream(model: keras.Model, original: np.ndarray, layer: str, channel: int | None) -> np.ndarray:
    """Make a dream of an image in its own size. A model of one size gets an image that is at least so large."""
    longer, shorter = max(original.shape[:2]), min(original.shape[:2])
    side = min(DEEP_DREAM_SIDE, longer)
    fixed_size = model.inputs[0].shape[1]
    if fixed_size:
        side = max(side, int(np.ceil(fixed_size * longer / shorter)))
    resized = visualization.resize_longer_side(original, side)
    dream = deep_dream.deep_dream(model, resized[None], channel, layer)[0]
    return cv2.resize(dream, (original.shape[1], original.shape[0]), interpolation=cv2.INTER_CUBIC)


def draw_result(method: str, shown: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Draw the result of a method.

    Args:
        method: its name.
        shown: uint8 `[h', w', 3]`, the original image, made smaller.
        array: the result in the size of the original image.

    Returns:
        uint8 `[h', w', 3]`.
    """
    height, width = shown.shape[:2]
    interpolation = cv2.INTER_AREA if array.shape[0] > height and array.ndim == 2 else cv2.INTER_LINEAR
    small = cv2.resize(array, (width, height), interpolation=interpolation)
    if method == "deep-dream":
        return deep_dream.draw(np.clip(small, 0, 255))
    return DRAW[method](shown, small)


def draw_outline(image: np.ndarray, region: np.ndarray | None) -> np.ndarray:
    """Draw a line around the explained box or region.

    Args:
        image: uint8 `[h, w, 3]`.
        region: bool `[h', w']` of any size, or None for the whole image.

    Returns:
        The image, or a copy with the line.
    """
    if region is None:
        return image
    size = image.shape[1::-1]
    mask = cv2.resize(region.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    image, width = image.copy(), max(1, max(size) // 360)
    cv2.drawContours(image, contours, -1, (0, 0, 0), 3 * width)
    cv2.drawContours(image, contours, -1, (255, 255, 255), width)
    return image


def visualize_filters(model: keras.Model, layer: str | None) -> tuple[list[Cell], dict[str, np.ndarray]]:
    """Draw the filters of a convolution.

    Args:
        model: the model.
        layer: name of the layer; None for the first convolution.

    Returns:
        Cells of a contact sheet, and the filters by name.
    """
    name, kernels = filters_.filters(model, layer)
    shape = " x ".join(map(str, kernels.shape))
    cells = [
        (filters_.draw(kernels), [f"filters of {name}: {shape}", "each on its own scale"]),
        (filters_.draw(kernels, scale_each=False), [f"filters of {name}: {shape}", "all on one scale"]),
    ]
    return cells, {"filters": kernels}


def visualize_features(
    explainer: ClassifierExplainer, label: int | None, layer: str | None, channel: int | None
) -> tuple[list[Cell], dict[str, np.ndarray]]:
    """Generate images that maximize the score of a class, or the mean of a channel, with each regularizer.

    Args:
        explainer: the classifier.
        label: index of the class. It is not used with a channel.
        layer: name of the layer of the channel.
        channel: the channel, or None for the class.

    Returns:
        Cells of a contact sheet, and the images by name, float32 `[h, w, 3]`.
    """
    cells, arrays = [], {}
    model: keras.Model | None = explainer.model
    target: Any = label
    if channel is not None:
        model, target = feature_visualization.channel_target(explainer.model, layer, channel)
    for regularizer in feature_visualization.REGULARIZERS:
        image, reached = feature_visualization.feature_visualization(model, target, explainer.size, regularizer)
        if channel is None:  # with several labels per file the probability is no softmax
            assert explainer.classes is not None and explainer.predict is not None and label is not None
            probability = explainer.predict(image[None])[0, label]
            name, caption = explainer.classes[label], f"probability {probability:.1%}"
        else:
            name = f"channel {channel} of {feature_map_output(explainer.model, layer)[0]}"
            caption = f"its mean is {reached:.2f}"
        cells.append((feature_visualization.draw(image), [f"{name}: {regularizer}", caption]))
        arrays[f"feature-visualization-{regularizer}"] = image
    return cells, arrays
