"""How `retinue explain` calls each method, with the words that go under its picture."""

import functools

import cv2
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

RULES = {"neuron-gradient": "plain", "deconvnet": "deconvnet", "guided-backprop": "guided"}
DREAMED = 1024  # pixels of the longer side: a dream of a larger photo would take many minutes
# What gives a map of importance, and how its array becomes one number a pixel.
GIVES_MAP = {
    "occlusion": lambda found: found,
    "saliency": lambda found: found,
    "smoothgrad": lambda found: found,
    "grad-cam": lambda found: found,
    "integrated-gradients": lambda found: found.sum(axis=-1),
    "neuron-gradient": lambda found: np.abs(found).max(axis=-1),
    "deconvnet": lambda found: np.abs(found).max(axis=-1),
    "guided-backprop": lambda found: np.abs(found).max(axis=-1),
}
DRAWN = {
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


class Methods:
    """The methods for one model: what can be traced once is, and serves all photos.

    explainer: see explainers.py; layer: name of the layer for those that look at one, or None for the question's own;
    channel: the layer's channel for neuron-gradient, deconvnet, guided-backprop and deep-dream, or None for the
    strongest, or all.
    """

    def __init__(self, explainer, layer=None, channel=None):
        self.explainer, self.layer, self.channel = explainer, layer, channel
        self._hidden, self._grad_cams = {}, {}

    def __call__(self, method, image, photo, question):
        """(what a method found, words about it) for one picture.

        image: float32 `[h, w, 3]`, as the model takes it; photo: uint8 `[h', w', 3]`, which only "deep-dream"
        uses;
        question: `ExplanationRequest`. What is found is float32 `[h, w]` or `[h, w, c]`, a dream `[h', w', 3]`.
        """
        model, images, target = self.explainer.model, image[None], question.target
        layer = self.layer or question.layer
        if method == "occlusion":
            found = occlusion.occlusion(question.predict, images, question.column, **question.cover)
            return found[0], "how far it falls when this is covered"
        if method == "saliency":
            return saliency.saliency(self._gradient, images, target)[0], "the pixels that the score follows"
        if method == "smoothgrad":
            return saliency.smoothgrad(self._gradient, images, target)[0], "the same over noisy copies"
        if method == "integrated-gradients":
            found = integrated_gradients.integrated_gradients(self._gradient, images, target)
            return found[0], "red for it, blue against it"
        if method == "grad-cam":
            cam = self._grad_cam(question)
            return cam(images, target)[0], f"layer {cam.layer}"
        if method == "activations":
            found, channels = activations_.activations(model, images, layer)
            return found[0], f"{feature_map_output(model, layer)[0]}: channels {', '.join(map(str, channels[0]))}"
        if method in RULES:
            units = self._units(method, layer)
            channel = self.channel
            if channel is None:
                _, channel, _ = neuron_gradient.strongest_units(model, images, units.layer)[0]
            return units(images, self.channel)[0], f"back from {units.layer}, channel {channel}"
        name = layer or deep_dream.default_feature_map(model)[0]
        seen = name if self.channel is None else f"channel {self.channel} of {name}"
        return _dreamed(self.explainer, photo, name, self.channel), f"more of what {seen} sees"

    def forgetful(self, method, image, question):
        """What `sanity_checks.randomization` takes for a method, or None.

        Smoothgrad and integrated gradients are means of the gradients that saliency shows, and would tell the same for
        fifty times the work; occlusion asks the fast runtime, whose weights can't be changed.
        """
        images, layer = image[None], self.layer or question.layer
        if method == "saliency":
            return self.explainer.model, lambda: saliency.saliency(self._gradient, images, question.target)
        if method == "grad-cam":
            return self.explainer.model, lambda: self._grad_cam(question)(images, question.target)
        if method in RULES:
            units = self._units(method, layer)
            return units.model, lambda: GIVES_MAP[method](units(images, self.channel)[0])[None]
        return None

    @functools.cached_property
    def _gradient(self):
        return Gradient(self.explainer.model)

    def _grad_cam(self, question):
        layer, local = self.layer or question.layer, question.region is not None
        if layer not in self._grad_cams:
            self._grad_cams[layer] = grad_cam.GradCam(self.explainer.model, layer, local)
        return self._grad_cams[layer]

    def _units(self, method, layer):
        name, _ = layer_output(self.explainer.model, layer)
        if (method, name) not in self._hidden:
            self._hidden[method, name] = neuron_gradient.NeuronGradient(self.explainer.model, name, RULES[method])
        return self._hidden[method, name]


def _dreamed(explainer, photo, layer, channel):
    """The dream of a photo, in its own size. A model of one size gets the photo at least so large."""
    side = min(DREAMED, max(photo.shape[:2]))
    fixed = explainer.model.inputs[0].shape[1]
    if fixed:
        side = max(side, int(np.ceil(fixed * max(photo.shape[:2]) / min(photo.shape[:2]))))
    found = deep_dream.deep_dream(explainer.model, visualization.resize_longer_side(photo, side)[None], channel, layer)[
        0
    ]
    return cv2.resize(found, (photo.shape[1], photo.shape[0]), interpolation=cv2.INTER_CUBIC)


def drawn(method, shown, placed):
    """The picture of what a method found. shown: the photo, made smaller; placed: the array in the photo's size."""
    height, width = shown.shape[:2]
    kind = cv2.INTER_AREA if placed.shape[0] > height and placed.ndim == 2 else cv2.INTER_LINEAR
    small = cv2.resize(placed, (width, height), interpolation=kind)
    if method == "deep-dream":
        return deep_dream.draw(np.clip(small, 0, 255))
    return DRAWN[method](shown, small)


def outlined(picture, region):
    """A picture with a line around the box or region that is explained, bool `[h, w]` of any size, or None."""
    if region is None:
        return picture
    size = picture.shape[1::-1]
    mask = cv2.resize(region.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    lines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    picture, width = picture.copy(), max(1, max(size) // 360)
    cv2.drawContours(picture, lines, -1, (0, 0, 0), 3 * width)
    cv2.drawContours(picture, lines, -1, (255, 255, 255), width)
    return picture


def of_model(method, explainer, label, layer, channel):
    """(cells, arrays) of a method that needs no photo: its pictures with captions, and {name: float32 array}.

    label: the class of feature-visualization; with a channel, the image maximizes this channel of the layer instead.
    """
    if method == "filters":
        name, kernels = filters_.filters(explainer.model, layer)
        shape = " x ".join(map(str, kernels.shape))
        cells = [
            (filters_.draw(kernels), [f"filters of {name}: {shape}", "each on its own scale"]),
            (filters_.draw(kernels, scale_each=False), [f"filters of {name}: {shape}", "all on one scale"]),
        ]
        return cells, {"filters": kernels}
    cells, arrays, model, target = [], {}, explainer.model, label
    if channel is not None:
        model, target = feature_visualization.channel_target(explainer.model, layer, channel)
    for regularizer in feature_visualization.REGULARIZERS:
        picture, reached = feature_visualization.feature_visualization(model, target, explainer.size, regularizer)
        if channel is None:  # of a model with several labels the probability is no softmax
            name, words = explainer.classes[label], f"probability {explainer.predict(picture[None])[0, label]:.1%}"
        else:
            name, words = (
                f"channel {channel} of {feature_map_output(explainer.model, layer)[0]}",
                f"its mean is {reached:.2f}",
            )
        cells.append((feature_visualization.draw(picture), [f"{name}: {regularizer}", words]))
        arrays[f"feature-visualization-{regularizer}"] = picture
    return cells, arrays
