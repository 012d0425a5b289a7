"""How `retinue explain` calls each method, with the words that go under its picture."""

import cv2
import numpy as np

from retinue.explain import activations as activations_
from retinue.explain import class_image as class_image_
from retinue.explain import dream as dream_
from retinue.explain import filters as filters_
from retinue.explain import grad_cam, hidden, integrated_gradients, occlusion, pictures, saliency
from retinue.explain.gradients import Gradient
from retinue.explain.layers import layer_output, map_output


def _by_saliency(model, images, target, layer):
    gradient = Gradient(model)
    return model, lambda: saliency.saliency(gradient, images, target)


def _by_grad_cam(model, images, target, layer):
    found = grad_cam.GradCam(model, layer)
    return model, lambda: found(images, target)


def _by_rule(rule):
    def prepare(model, images, target, layer):
        units = hidden.Hidden(model, layer_output(model, layer)[0], rule)
        return units.model, lambda: np.abs(units(images)).max(axis=-1)

    return prepare


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
# For the check by randomised layers: function (model, images, target, layer) -> the arguments of `randomisation`.
# Smoothgrad and integrated gradients are means of the gradients that saliency shows; occlusion has no way back at all.
FORGETFUL = {
    "saliency": _by_saliency,
    "grad-cam": _by_grad_cam,
    **{method: _by_rule(rule) for method, rule in RULES.items()},
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


def found_by(method, subject, image, photo, target, layer):
    """(what a method found, words about it) for one picture.

    image: float32 `[s, s, 3]`, as the model takes it; photo: uint8 `[h, w, 3]`, of which only "dream" makes use. What
    is found is float32 `[s, s]` or `[s, s, c]`, a dream `[h, w, 3]`.
    """
    model, images = subject.model, image[None]
    if method == "occlusion":
        return occlusion.occlusion(subject.predict, images, target)[0], "how far it falls when this is covered"
    if method == "saliency":
        return saliency.saliency(model, images, target)[0], "the pixels that the score follows"
    if method == "smoothgrad":
        return saliency.smoothgrad(model, images, target)[0], "the same over noisy copies"
    if method == "integrated-gradients":
        found = integrated_gradients.integrated_gradients(model, images, target)[0]
        return found, "red for it, blue against it"
    if method == "grad-cam":
        return grad_cam.grad_cam(model, images, target, layer)[0], f"layer {map_output(model, layer)[0]}"
    if method == "activations":
        found, channels = activations_.activations(model, images, layer)
        return found[0], f"{map_output(model, layer)[0]}: channels {', '.join(map(str, channels[0]))}"
    if method in RULES:
        name = layer_output(model, layer)[0]
        found = hidden.hidden(model, images, None, name, RULES[method])[0]
        _, channel, _ = hidden.strongest(model, images, name)[0]
        return found, f"back from {name}, channel {channel}"
    name = dream_.default_map(model)[0] if layer is None else layer
    return _dreamed(subject, photo, layer), f"more of what {name} sees"


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
