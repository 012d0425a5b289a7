"""Where the model looked: Grad-CAM for the report's most wrong pictures, and for TensorBoard as training goes on."""

import numpy as np

WATCHED = 6  # held-out pictures whose maps go to TensorBoard


def with_places(task, model, items):
    """The pictures of `evaluate.worst_pictures`, each with `looked`: the photo with heat where the model looked for the
    first label that it gave, uint8 `[h, w, 3]`. Only for classification; a picture that got no label stays as it is.
    """
    shown = [item for item in items if item["said"]]
    if task.name != "classification" or not shown:
        return items
    from retinue.explain import grad_cam
    from retinue.pipeline.explaining.explainers import explainer_of_model

    explainer = explainer_of_model(task, model)
    labels = np.array([task.classes.index(item["said"][0]["label"]) for item in shown])
    maps = grad_cam.grad_cam(model, np.stack([explainer.prepare(item["image"]) for item in shown]), labels)
    looked = {
        id(item): grad_cam.draw(item["image"], explainer.place(found, item["image"].shape))
        for item, found in zip(shown, maps, strict=True)
    }
    return [item | ({"looked": looked[id(item)]} if id(item) in looked else {}) for item in items]


def maps_callback(task, held_out, folder):
    """A list with the Keras callback that writes maps of a few pictures of `held_out`, a `Dataset`, to TensorBoard's
    `folder` after every epoch, each for its true class; an empty list for tasks other than classification."""
    if task.name != "classification":
        return []
    import tensorflow as tf

    from retinue.data.decoding import decode
    from retinue.explain.callback import GradCamCallback
    from retinue.pipeline.explaining.explainers import explainer_of_model

    rows = np.unique(np.linspace(0, len(held_out) - 1, WATCHED).round().astype(int))
    explainer, images, labels, names = explainer_of_model(task, None), [], [], []
    for row, record in zip(rows, held_out.take(rows), strict=True):
        true = np.atleast_1d(record["labels"] if held_out.multi_label else record["label"])
        try:
            photo = decode.decode_image(decode.read_encoded(record["file"])).numpy()
        except (OSError, tf.errors.OpError):  # evaluation will name it
            continue
        if len(true):
            images.append(np.uint8(explainer.prepare(photo)))
            labels.append(int(true[0]))
            names.append(f"{row} {task.classes[int(true[0])]}")
    return [GradCamCallback(folder, np.stack(images), labels, names)] if images else []
