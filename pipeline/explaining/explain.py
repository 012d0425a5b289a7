"""`retinue explain`: what a model looks at, as images, arrays and a page."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import keras

from retinue.configs.errors import UsageError
from retinue.configs.suggestions import did_you_mean
from retinue.explain import METHODS
from retinue.explain.layers import feature_map_output, layer_output
from retinue.pipeline.explaining.explanation_job import ExplanationJob
from retinue.pipeline.explaining.open_explainer import open_explainer
from retinue.pipeline.explaining.options import DEFAULT_METHODS, ExplainOptions
from retinue.pipeline.inputs.sources import find_files
from retinue.pipeline.runs.run import Model, refuse_existing
from retinue.tasks.explainer import Explainer

logger = logging.getLogger(__name__)

FEATURE_VISUALIZATION = "feature-visualization"
METHODS_WITH_CHANNEL = ("neuron-gradient", "deconvnet", "guided-backprop", "deep-dream", FEATURE_VISUALIZATION)


def explain(
    model: str | os.PathLike[str] | Model,
    images: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    options: ExplainOptions = ExplainOptions(),  # noqa: B008 (it is frozen)
) -> int:
    """Explain what a model predicts for images or clips, and write images and arrays into a new folder.

    The folder gets for each image `NAME.png`, a contact sheet of all methods, and `NAME/METHOD.npy`, float32 in the
    size of the original image, `[h, w]` or `[h, w, c]`; and for all of them `index.html` and `explanations.json`. For a
    clip it gets `NAME/STREAM-METHOD.npy`, float32 `[k, H, W]` or `[k, H, W, c]`, for k snippets in `video.frame_size`:
    each stream of a video model is explained. With sanity checks it gets `NAME/deletion_insertion.csv`,
    `NAME/randomization.csv` and a plot (see explain/sanity_checks.py).

    Args:
        model: a run folder, an export folder of a classifier (occlusion only), or the name of a backbone.
        images: files and folders, see `sources.find_files`. May be empty if no method needs an image.
        out: the folder to write. It must not exist, or be empty.
        options: what is explained, and how.

    Returns:
        The number of files that can't be read or have no such box or region.

    Raises:
        UsageError: there is no such method, class, layer or model, or it can't be explained.
        RetinueError: no image could be explained.
    """
    methods = _choose_methods(options.methods, bool(images))
    refuse_existing(out)
    needing = [name for name in methods if METHODS[name].needs_image]
    if needing and not images:
        raise UsageError(f"{', '.join(needing)}: needs an image; give one after MODEL")
    if options.box is not None and options.box < 1:
        raise UsageError(f"--box {options.box}: boxes are numbered from 1, the best first; give a number from 1 on")
    explainer = open_explainer(model, options.weights)
    explainer.check(options.selection)
    files = list(find_files(images, clips=explainer.is_video)) if images else []
    if explainer.methods is not None:
        methods = _supported_methods(explainer, methods, options)
    _check_methods(explainer, methods, options)
    if options.sanity_checks and explainer.classes is None:
        raise UsageError(
            f"--sanity-checks: they test the score of a class, and the weights of {explainer.name} have no classifier"
        )
    if explainer.model is not None and not explainer.is_video:  # wrong names are reported before anything is computed
        _check_layer(explainer.model, methods, options)
    if FEATURE_VISUALIZATION in methods and options.class_name is None and options.channel is None and not files:
        raise UsageError(f"{FEATURE_VISUALIZATION} without an image needs a class; give one with --class NAME")
    return ExplanationJob(explainer, methods, options, Path(out)).run(files)


def _choose_methods(methods: str | Sequence[str], with_images: bool) -> tuple[str, ...]:
    """Return the names of the methods, each once, with "all" spelled out. Raises UsageError for an unknown name."""
    chosen: list[str] = []
    for name in (methods,) if isinstance(methods, str) else methods:
        if name == "all":
            chosen += [known for known, method in METHODS.items() if with_images or not method.needs_image]
        elif name in METHODS:
            chosen.append(name)
        else:
            hint = did_you_mean(name, METHODS, limit=2) or f"; use all, {', '.join(METHODS)}"
            raise UsageError(f"--method {name}: there is no such method{hint}")
    return tuple(dict.fromkeys(chosen))


def _supported_methods(explainer: Explainer, methods: Sequence[str], options: ExplainOptions) -> tuple[str, ...]:
    """Return the methods that an explainer with few methods supports, and warn about the others."""
    supported = explainer.methods or ()
    others = [name for name in methods if name not in supported]
    about = f"{explainer.name} is a {explainer.task_name} model"
    if len(others) == len(methods):
        raise UsageError(f"{', '.join(others)}: not possible, since {about}; use {', '.join(supported)}")
    for option, is_given in (("--channel", options.channel is not None), ("--sanity-checks", options.sanity_checks)):
        if is_given:
            raise UsageError(f"{option}: not possible, since {about}; remove the option")
    if others:
        logger.warning(f"skipped {', '.join(others)}: not possible, since {about}")
    if options.layer is not None and explainer.model is not None:
        layer_output(explainer.model, options.layer)
    return tuple(name for name in methods if name in supported)


def _check_methods(explainer: Explainer, methods: Sequence[str], options: ExplainOptions) -> None:
    """Raise UsageError for methods that this model does not allow."""
    others = [name for name in methods if name != "occlusion"]
    if explainer.model is None and others:
        raise UsageError(
            f"{explainer.name}: is an export, which holds no Keras model, so {', '.join(others)} is not possible; give "
            "the run folder that it came from, or --method occlusion"
        )
    needing_class = [
        name
        for name in methods
        if METHODS[name].needs_class and not (name == FEATURE_VISUALIZATION and options.channel is not None)
    ]
    if explainer.classes is None and (needing_class or options.class_name):
        possible = ", ".join(name for name in METHODS if not METHODS[name].needs_class)
        raise UsageError(
            f"{explainer.name}: its weights have no classifier, so {', '.join(needing_class) or '--class'} is not "
            f"possible; use {possible}, or {FEATURE_VISUALIZATION} with --layer and --channel"
        )
    if tuple(methods) == (FEATURE_VISUALIZATION,) and not explainer.supports_feature_visualization:
        raise UsageError(
            f"{FEATURE_VISUALIZATION}: is for classifiers, and {explainer.name} is a {explainer.task_name} model; use "
            f"{DEFAULT_METHODS[0]}"
        )


def _check_layer(model: keras.Model, methods: Sequence[str], options: ExplainOptions) -> None:
    """Raise UsageError for a layer or a channel that the model does not have."""
    layer, channel = options.layer, options.channel
    if layer is not None:
        layer_output(model, layer)
    if channel is None:
        return
    if not set(methods) & set(METHODS_WITH_CHANNEL):
        raise UsageError(
            f"--channel {channel}: is for {', '.join(METHODS_WITH_CHANNEL)}; give one of them with --method"
        )
    name, output = feature_map_output(model, layer)
    num_channels = output.shape[-1]
    if not 0 <= channel < num_channels:
        raise UsageError(f"--channel {channel}: {name} has {num_channels} channels, 0 to {num_channels - 1}")
