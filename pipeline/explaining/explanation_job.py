"""One call of `retinue explain`: the methods are applied to one file after the other."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import tensorflow as tf

from retinue.configs.errors import RetinueError, UsageError
from retinue.configs.schema import DataConfig
from retinue.data.decoding.decode import decode_image, read_encoded_bytes
from retinue.data.decoding.pixel_range import PixelRange
from retinue.explain import METHODS, sanity_checks, visualization
from retinue.explain.layers import layer_output
from retinue.pipeline.explaining.explanation_folder import Checks, ExplanationFolder
from retinue.pipeline.explaining.methods import (
    TO_IMPORTANCE,
    Cell,
    Methods,
    draw_outline,
    draw_result,
    visualize_features,
    visualize_filters,
)
from retinue.pipeline.explaining.options import ExplainOptions
from retinue.pipeline.prediction.reader import ClipReader, failure_reason
from retinue.tasks.classification.explainer import ClassifierExplainer
from retinue.tasks.explainer import Explainer, ExplanationRequest, ImageExplainer, NothingToExplain
from retinue.tasks.fonts import printable

if TYPE_CHECKING:
    from retinue.tasks.video.explainer import VideoExplainer

logger = logging.getLogger(__name__)

MAX_PIXELS = DataConfig().max_pixels  # larger images are refused, as in training
SHOWN_SIDE = 720  # pixels of the longer side of the images that results are drawn on


class ExplanationJob:
    """Applies methods to files, and writes the results.

    Attributes:
        explainer: the model to explain.
        methods: the names of the methods.
        options: what is explained.
        folder: where the results are written.
    """

    def __init__(self, explainer: Explainer, methods: Sequence[str], options: ExplainOptions, out: Path) -> None:
        """Prepare the methods.

        Args:
            explainer: the model to explain.
            methods: the names of the methods, which the explainer supports.
            options: what is explained.
            out: the folder to write.
        """
        self.explainer, self.methods, self.options = explainer, methods, options
        self.folder = ExplanationFolder(out, explainer.name, {name: METHODS[name].description for name in methods})
        self._skipped: set[str] = set()
        self._model_results: dict[tuple[str, int | None], tuple[list[Cell], dict[str, np.ndarray]]] = {}
        self._runners: dict[str, Methods] = {}
        if explainer.is_video:
            video = cast("VideoExplainer", explainer)
            self._read_clip = ClipReader(video.task)
            for stream, stream_model in video.streams.items():
                self._runners[stream] = Methods(stream_model, _layer_of_stream(stream_model.model, options.layer))
        else:
            self._runners[""] = Methods(explainer, options.layer, options.channel)

    def run(self, files: Sequence[str | os.PathLike[str]]) -> int:
        """Explain the files; without files, the model itself.

        Args:
            files: paths of images or clips.

        Returns:
            The number of files that could not be explained.

        Raises:
            RetinueError: none of the files could be explained.
        """
        reasons = []
        if not files:
            self._explain_model()
        for file in files:
            try:
                if self.explainer.is_video:
                    self._explain_clip(os.fspath(file))
                else:
                    self._explain_image(os.fspath(file))
            except NothingToExplain as error:
                reasons.append(f"{file}: {error}")
                if len(files) > 1:  # the command ends with the error of a single file
                    logger.warning(reasons[-1])
        if files and len(reasons) == len(files):
            more = f" (and {len(files) - 1:,} more like it)" if len(files) > 1 else ""
            raise RetinueError(f"{reasons[0]}{more}; there is nothing to explain")
        page = self.folder.write_page()
        logger.info(f"written  {page}, with a PNG and the arrays of each image beside it")
        return len(reasons)

    def _explain_model(self) -> None:
        label, name = None, self.explainer.name
        if self.options.class_name is not None and self.explainer.classes is not None:
            label = self.explainer.class_index(self.options.class_name)
            name = self.explainer.classes[label]
        cells, arrays = self._model_cells(label)
        self.folder.write(name, cells, arrays, {"file": None, "class": None if label is None else name})

    def _explain_image(self, file: str) -> None:
        explainer = cast(ImageExplainer, self.explainer)
        original = _read_image(file, explainer.pixel_range)
        image, shown = explainer.prepare(original), visualization.resize_longer_side(original, SHOWN_SIDE)
        request = explainer.request(original, image, self.options.selection)
        entry: dict[str, Any] = {"file": file}
        caption = [printable(Path(file).name)]
        if request.label is not None:
            entry |= {"class": request.label, "score": request.score} | request.facts
            caption.append(f"{request.label} {request.score:.1%}")
            logger.info(f"{file}: explaining {request.description}")
        cells: list[Cell] = [(draw_outline(shown, request.region), caption)]
        arrays, maps = {}, {}
        for method in self.methods:
            if not METHODS[method].needs_image:
                continue
            try:
                result, text = self._runners[""](method, image, original, request)
            except UsageError as error:
                self._skip(method, error)
                continue
            array = result if method == "deep-dream" else explainer.to_original(result, original.shape)
            arrays[method] = array
            drawn = draw_result(method, shown, array)
            if METHODS[method].needs_class:
                drawn = draw_outline(drawn, request.region)
            cells.append((drawn, [method, text]))
            if method in TO_IMPORTANCE:
                maps[method] = result
        checks = None
        if self.options.sanity_checks and maps:
            checks = self._check(image, request, maps)
            plot = sanity_checks.draw(checks.curves, checks.correlations)
            cells.append((plot, ["sanity checks", "deletion, insertion, and randomized layers"]))
        more_cells, more_arrays = self._model_cells(request.column)
        self.folder.write(Path(file).stem, cells + more_cells, arrays | more_arrays, entry, checks=checks)

    def _explain_clip(self, file: str) -> None:
        explainer = cast("VideoExplainer", self.explainer)
        record, _, reason = self._read_clip(file)
        if record is None:
            raise NothingToExplain(str(reason))
        clip = explainer.request(record, self.options.selection)
        logger.info(f"{file}: explaining {clip.description}")
        cells: list[Cell] = []
        arrays = {}
        for stream in clip.streams:
            name = f"{stream.input_label} of {printable(Path(file).name)}"
            for number, shown, score in zip(clip.snippets, stream.shown, stream.scores, strict=True):
                cells.append((shown, [f"{name}, {number} of {clip.num_snippets}", f"{clip.label} {score:.1%}"]))
            for method in self.methods:
                maps = []
                for image, shown in zip(stream.images, stream.shown, strict=True):
                    try:
                        result, text = self._runners[stream.stream](method, image, None, stream.request)
                    except UsageError as error:
                        self._skip(method, error)
                        break
                    maps.append(explainer.to_original(result))
                    cells.append((draw_result(method, shown, maps[-1]), [f"{method}, {stream.input_label}", text]))
                if maps:
                    arrays[f"{stream.stream}-{method}"] = np.stack(maps)
        entry = {"file": file, "class": clip.label, "score": clip.score, "streams": clip.stream_scores}
        entry |= {"snippets": clip.snippets, "num_snippets": clip.num_snippets}
        self.folder.write(Path(file).stem, cells, arrays, entry, columns=len(clip.snippets))

    def _model_cells(self, label: int | None) -> tuple[list[Cell], dict[str, np.ndarray]]:
        """Return cells and arrays of the methods that need no image: the same for all images, or for all of a class."""
        cells: list[Cell] = []
        arrays: dict[str, np.ndarray] = {}
        for method in self.methods:
            if METHODS[method].needs_image:
                continue
            if method == "feature-visualization" and not self.explainer.supports_feature_visualization:
                self._skip(method, UsageError(f"it is for classifiers, and {self.explainer.name} is none"))
                continue
            key = (method, label if METHODS[method].needs_class else None)
            try:
                if key not in self._model_results:
                    self._model_results[key] = self._visualize_model(method, label)
            except UsageError as error:
                self._skip(method, error)
                continue
            cells += self._model_results[key][0]
            arrays |= self._model_results[key][1]
        return cells, arrays

    def _visualize_model(self, method: str, label: int | None) -> tuple[list[Cell], dict[str, np.ndarray]]:
        layer, channel = self.options.layer, self.options.channel
        if method == "filters":
            return visualize_filters(self.explainer.model, layer)
        return visualize_features(cast(ClassifierExplainer, self.explainer), label, layer, channel)

    def _skip(self, method: str, error: UsageError) -> None:
        """Skip a method that is not possible for this model, and warn once. Raises the error of a single method."""
        if len(self.methods) == 1:
            raise error
        if method not in self._skipped:
            logger.warning(f"skipped {method}: {error}")
            self._skipped.add(method)

    def _check(self, image: np.ndarray, request: ExplanationRequest, maps: dict[str, np.ndarray]) -> Checks:
        """Test the maps, and a map in random order, by deletion, insertion and randomized layers."""
        assert request.predict is not None, "sanity checks need a classifier"
        height, width = image.shape[:2]
        shuffled = np.random.default_rng(0).permutation(height * width).reshape(height, width)
        curves, correlations = {}, {}
        for method, result in [*maps.items(), ("random order", shuffled)]:
            importance = TO_IMPORTANCE[method](result) if method in maps else result
            curves[method] = sanity_checks.curves(request.predict, image, request.column, importance)
            randomizable = self._runners[""].randomizable(method, image, request)
            if randomizable:
                correlations[method] = sanity_checks.randomization(*randomizable)
        checks = Checks(curves, correlations)
        for method, numbers in checks.summary().items():
            text = f"  {method:<22} deletion {numbers['deletion']:.3f}, insertion {numbers['insertion']:.3f}"
            if "randomization" in numbers:
                text += f", correlation with all layers randomized {numbers['randomization']:.2f}"
            logger.info(text)
        return checks


def _layer_of_stream(model: Any, layer: str | None) -> str | None:
    """Return the layer for the stream that has it; None for the others, and where no layer is given."""
    if layer is None or layer not in [one.name for one in model.layers]:
        return None
    return layer_output(model, layer)[0]


def _read_image(file: str, pixel_range: PixelRange | None) -> np.ndarray:
    """Read an image, uint8 `[h, w, 3]`. Raises NothingToExplain where it can't be read."""
    try:
        return decode_image(tf.constant(read_encoded_bytes(file, pixel_range)), pixel_range).numpy()
    except (OSError, RetinueError, tf.errors.OpError) as error:
        reason = failure_reason(file, MAX_PIXELS, pixel_range, str(error))
        raise NothingToExplain(f"it can't be read ({reason})") from None
