"""Explanations of predictions, one method per file; every method takes (model, images, target).

model: a functional `keras.Model` whose output is logits (scores before the softmax), as all models of this package
have. images: float32 `[n, h, w, c]` as the model takes them, of any size that it takes. target: a class index, an array
with one class index per image, or a function from the model's outputs to float `[n]` (see `targets.py`). The results
are numpy arrays in the size of the images. Each method has a function `draw` beside it, which renders its result as an
image.

Importing this module does not import TensorFlow.
"""

from typing import NamedTuple


class Method(NamedTuple):
    """One explanation method of `retinue explain`.

    Attributes:
        description: What the method shows, as a phrase.
        needs_image: Whether the method explains an image; otherwise it shows something about the model itself.
        needs_class: Whether the method explains the score of a class.
    """

    description: str
    needs_image: bool
    needs_class: bool


METHODS: dict[str, Method] = {
    "filters": Method("the filters of the first convolution as images", False, False),
    "activations": Method("the activations of the strongest channels of a layer", True, False),
    "occlusion": Method("how much the probability falls when a patch of the image is covered", True, True),
    "saliency": Method("the pixels that change the class score most", True, True),
    "smoothgrad": Method("saliency averaged over noisy copies of the image", True, True),
    "grad-cam": Method("the positions of the last feature map that support the class", True, True),
    "integrated-gradients": Method(
        "the contribution of each pixel to the score, relative to a black image", True, True
    ),
    "neuron-gradient": Method("the plain gradient of the strongest unit of a layer", True, False),
    "deconvnet": Method("the gradient of the same unit by the rule of the deconvnet", True, False),
    "guided-backprop": Method("the gradient of the same unit by guided backpropagation", True, False),
    "feature-visualization": Method("a synthetic image that maximizes the class score", False, True),
    "deep-dream": Method("the image with more of what a layer responds to", True, False),
}
