"""How `retinue explain` calls each method, with the words that go under its picture."""

import functools

import cv2
import numpy as np

from retinue.explain import activations as activations_
from retinue.explain import class_image as class_image_
from retinue.explain import dream as dream_
from retinue.explain import filters as filters_
from retinue.explain import grad_cam, hidden, integrated_gradients, occlusion, pictures, saliency
from retinue.explain.gradients import Gradient
from retinue.explain.layers import layer_output, map_output

RULES = {"hidden": "plain", "deconvnet": "deconvnet", "guided": "guided"}
DREAMED = 1024  # pixels of the longer side: a dream of a larger photo would take many minutes
# What gives a map of importance, and how its array becomes one number a pixel.
GIVES_MAP = {
    "occlusion": lambda found: found,
    "saliency": lambda found: found,
    "smoothgrad": lambda found: found,
    "grad-cam": lambda found: found,
    "integrated-gradients": lambda found: found.sum(axis=-1),
    "hidden": lambda found: np.abs(found).max(axis=-1),
    "deconvnet": lambda found: np.abs(found).max(axis=-1),
    "guided": lambda found: np.abs(found).max(axis=-1),
}
DRAWN = {
    "activations": activations_.draw,
    "occlusion": occlusion.draw,
    "saliency": saliency.draw,
    "smoothgrad": saliency.draw,
    "grad-cam": grad_cam.draw,
    "integrated-gradients": integrated_gradients.draw,
    "hidden": hidden.draw,
    "deconvnet": hidden.draw,
    "guided": hidden.draw,
}


class Methods:
    """The methods for one model: what can be traced once is, and serves all photos.

    subject: `Subject`; layer: name of the layer for those that look at one, or None for the last feature map.
    """

    def __init__(self, subject, layer=None):
        self.subject, self.layer, self._hidden = subject, layer, {}

    def __call__(self, method, image, photo, target):
        """(what a method found, words about it) for one picture.

        image: float32 `[s, s, 3]`, as the model takes it; photo: uint8 `[h, w, 3]`, of which only "dream" makes use.
        What is found is float32 `[s, s]` or `[s, s, c]`, a dream `[h, w, 3]`.
        """
        model, images = self.subject.model, image[None]
        if method == "occlusion":
            found = occlusion.occlusion(self.subject.predict, images, target)
            return found[0], "how far it falls when this is covered"
        if method == "saliency":
            return saliency.saliency(self._gradient, images, target)[0], "the pixels that the score follows"
        if method == "smoothgrad":
            return saliency.smoothgrad(self._gradient, images, target)[0], "the same over noisy copies"
        if method == "integrated-gradients":
            found = integrated_gradients.integrated_gradients(self._gradient, images, target)
            return found[0], "red for it, blue against it"
        if method == "grad-cam":
            return self._grad_cam(images, target)[0], f"layer {self._grad_cam.layer}"
        if method == "activations":
            found, channels = activations_.activations(model, images, self.layer)
            return found[0], f"{map_output(model, self.layer)[0]}: channels {', '.join(map(str, channels[0]))}"
        if method in RULES:
            units = self._units(method)
            _, channel, _ = hidden.strongest(model, images, units.layer)[0]
            return units(images)[0], f"back from {units.layer}, channel {channel}"
        name = dream_.default_map(model)[0] if self.layer is None else self.layer
        return _dreamed(self.subject, photo, self.layer), f"more of what {name} sees"

    def forgetful(self, method, image, target):
        """What `checks.randomisation` takes for a method, or None.

        Smoothgrad and integrated gradients are means of the gradients that saliency shows, and would tell the same for
        fifty times the work; occlusion asks the fast runtime, whose weights can't be changed.
        """
        images = image[None]
        if method == "saliency":
            return self.subject.model, lambda: saliency.saliency(self._gradient, images, target)
        if method == "grad-cam":
            return self.subject.model, lambda: self._grad_cam(images, target)
        if method in RULES:
            units = self._units(method)
            return units.model, lambda: GIVES_MAP[method](units(images)[0])[None]
        return None

    @functools.cached_property
    def _gradient(self):
        return Gradient(self.subject.model)

    @functools.cached_property
    def _grad_cam(self):
        return grad_cam.GradCam(self.subject.model, self.layer)

    def _units(self, method):
        if method not in self._hidden:
            name, _ = layer_output(self.subject.model, self.layer)
            self._hidden[method] = hidden.Hidden(self.subject.model, name, RULES[method])
        return self._hidden[method]


def _dreamed(subject, photo, layer):
    """The dream of a photo, in its own size. A model of one size gets the photo at least so large."""
    side = min(DREAMED, max(photo.shape[:2]))
    fixed = subject.model.inputs[0].shape[1]
    if fixed:
        side = max(side, int(np.ceil(fixed * max(photo.shape[:2]) / min(photo.shape[:2]))))
    found = dream_.dream(subject.model, pictures.fitted(photo, side)[None], None, layer)[0]
    return cv2.resize(found, (photo.shape[1], photo.shape[0]), interpolation=cv2.INTER_CUBIC)


def drawn(method, shown, placed):
    """The picture of what a method found. shown: the photo, made smaller; placed: the array in the photo's size."""
    height, width = shown.shape[:2]
    kind = cv2.INTER_AREA if placed.shape[0] > height and placed.ndim == 2 else cv2.INTER_LINEAR
    small = cv2.resize(placed, (width, height), interpolation=kind)
    if method == "dream":
        return dream_.draw(np.clip(small, 0, 255))
    return DRAWN[method](shown, small)


def of_model(method, subject, target, layer):
    """(cells, arrays) of a method that needs no photo: its pictures with captions, and {name: float32 array}."""
    if method == "filters":
        name, kernels = filters_.filters(subject.model, layer)
        shape = " x ".join(map(str, kernels.shape))
        cells = [
            (filters_.draw(kernels), [f"filters of {name}: {shape}", "each on its own scale"]),
            (filters_.draw(kernels, each=False), [f"filters of {name}: {shape}", "all on one scale"]),
        ]
        return cells, {"filters": kernels}
    cells, arrays = [], {}
    for regulariser in class_image_.REGULARISERS:
        picture, probability = class_image_.class_image(subject.model, target, subject.size, regulariser)
        name = subject.classes[target]
        cells.append((class_image_.draw(picture), [f"{name}: {regulariser}", f"probability {probability:.1%}"]))
        arrays[f"class-image-{regulariser}"] = picture
    return cells, arrays
