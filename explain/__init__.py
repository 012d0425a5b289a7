"""Reasons for answers: the lecture's third part. One file a method; all take (model, images, target).

model: a functional `keras.Model` whose output is unnormalised scores (logits), as all of ours are. images: float32
`[n, h, w, c]` as the model takes them, of any size it takes. target: a class index, an array with one an image, or a
function from the model's outputs to float `[n]` (see targets.py). What comes back are numpy arrays in the images' own
size. Beside each method is a `draw` that makes a picture of what it gave.

Importing this module imports no TensorFlow.
"""

# name: (what it shows, whether it needs a picture, whether it needs a class)
METHODS = {
    "filters": ("the first layer's filters as pictures", False, False),
    "activations": ("where the strongest channels of a layer fire", True, False),
    "occlusion": ("how much the probability falls when a grey square covers a place", True, True),
    "saliency": ("which pixels the class score follows", True, True),
    "smoothgrad": ("the same, averaged over noisy copies", True, True),
    "grad-cam": ("which places of the last map speak for the class", True, True),
    "integrated-gradients": ("each pixel's share of the score, from black to the picture", True, True),
    "hidden": ("the strongest unit of a layer, back to the pixels by plain gradients", True, False),
    "deconvnet": ("the same, by the deconvnet's rule", True, False),
    "guided": ("the same, by guided backpropagation", True, False),
    "class-image": ("a picture made from nothing that the class fits best", False, True),
    "dream": ("the picture with more of what a layer sees in it", True, False),
}
