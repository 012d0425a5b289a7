"""Video classification: one class per clip, from its frames, its motion, or both."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.data.dataset import Dataset
from retinue.data.decoding.encoded_image import EncodedImage
from retinue.data.split import split
from retinue.tasks.classification.task import Classification
from retinue.tasks.explainer import Explainer
from retinue.tasks.feature_models import FeatureModels
from retinue.tasks.model import TaskModel
from retinue.tasks.scores import Evaluator
from retinue.tasks.synthetic_images import colored_images, random_labels_and_noise
from retinue.tasks.task import Prediction, Record
from retinue.tasks.video import draw, flow, fusion, model, scores
from retinue.tasks.video.augment import augment_snippets, crop_snippets, dequantize_flow, quantize_flow
from retinue.tasks.video.explainer import VideoExplainer
from retinue.tasks.video.inference import stream_scores
from retinue.tasks.video.model import fuse_streams
from retinue.tasks.video.snippets import SEGMENT_CENTER, read_snippets, snippet_for, snippets_from_frames
from retinue.tasks.video.stored_flow import open_flow

if TYPE_CHECKING:
    from retinue.tasks.explainer import CompileModel
    from retinue.tasks.report_section import Section
    from retinue.tasks.scores import Scores
    from retinue.tasks.worst_images import WorstImage

logger = logging.getLogger(__name__)

SCORE_DIGITS = 6  # decimal places of the scores of single streams in predictions.jsonl


class Video(Classification):
    """One class per clip. The model sees a few snippets of the clip; see snippets.py and model.py."""

    name = "video"
    is_video = True
    record_noun = "clip"
    has_class_maps = False
    device_check_settings = ("model.input_size=64", "video.temporal_dropout=0")

    def build(self, weights: str | None = None, class_counts: np.ndarray | None = None) -> TaskModel:
        """Build the untrained `TaskModel`; see model.py.

        Raises:
            UsageError: the configuration does not fit video, or the backbone does not fit the architecture.
        """
        self._check_settings()
        return model.build(self.config, len(self.classes), weights, class_counts)

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams of the model: ("spatial", "temporal"), or one of them."""
        return model.stream_names(self.config.video.architecture)

    def prepare_dataset(self, dataset: Dataset) -> None:
        """Log how many clips have stored flow.

        Raises:
            UsageError: the flow folder is missing, or its flow was made with other settings.
        """
        settings = self.config.video
        if not settings.flow_folder or "temporal" not in self.streams:
            return
        if not os.path.isdir(settings.flow_folder):
            raise UsageError(
                f"video.flow_folder {settings.flow_folder}: there is no such folder. Create it with `retinue flow`, or "
                "remove video.flow_folder; then flow is computed when it is needed"
            )
        files = sorted(set(dataset.files))
        stored = sum(
            open_flow(settings.flow_folder, file, settings.flow_method, settings.flow_bound, settings.frame_size)
            is not None
            for file in files
        )
        rest = "" if stored == len(files) else "; the flow of the others is computed when it is needed"
        logger.info(f"flow of {stored:,} of {len(files):,} clips is in {settings.flow_folder}{rest}")

    def split_calibration(self, dataset: Dataset) -> tuple[Dataset, Dataset]:
        """For fusion by an SVM, reserve a fraction of the training clips, by group, on which no stream is trained."""
        settings = self.config.video
        if settings.fusion != "svm":
            return super().split_calibration(dataset)
        unsplit = dataset.with_splits(np.full(len(dataset), "", dtype=object))
        divided = split(unsplit, val_fraction=settings.svm_holdout_fraction, seed=self.config.seed)
        return divided.take(divided.splits == "train"), divided.take(divided.splits == "val")

    def calibrate(self, model: TaskModel, predictions: Sequence[Prediction], dataset: Dataset) -> str:
        """Fit the SVM of fusion.py and store it in the model's fusion layer."""
        spatial, temporal = (
            np.stack([prediction[name] for prediction in predictions]) for name in ("spatial", "temporal")
        )
        kernel, bias, penalty = fusion.fit(spatial, temporal, dataset.columns["label"])
        model.get_layer("fusion").set_weights([kernel, bias])
        return (
            f"fusion: an SVM, fitted on {len(dataset):,} clips on which the streams were not trained "
            f"(penalty {penalty:g})"
        )

    def columns(self, dataset: Dataset) -> dict[str, Any]:
        """Select `file`, `start` and `end` in seconds, and `label` int64 [n]."""
        return self.input_columns(dataset) | {"label": dataset.columns["label"]}

    def input_columns(self, dataset: Dataset) -> dict[str, Any]:
        """Select `file`, and `start` and `end` in seconds; an end of 0 is the end of the clip."""
        return {"file": dataset.files} | {name: dataset.columns[name] for name in ("start", "end")}

    def example(self, training: bool, input_size: int | None = None) -> Callable[..., tuple[Any, Any]]:
        """Make the function from (columns of one record, seed) to (inputs, target).

        Returns:
            A function that returns ({"frames": float32 [k, s, s, 3 t], "flow": float32 [k, s, s, 2 L] in pixels},
            target float32 [classes]).
        """
        size, settings = input_size or self.config.model.input_size, self.config.video
        count = settings.train_segments if training else settings.test_segments

        def make_example(columns: Mapping[str, tf.Tensor], seed: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            positions = tf.fill([count], SEGMENT_CENTER)
            if training:
                positions = tf.random.stateless_uniform([count], seed)
            frames, levels = self._read_snippets(columns, positions, count)
            fields = dequantize_flow(levels, settings.flow_bound, settings.flow_subtract_mean)
            if training:
                frames, fields = augment_snippets(frames, fields, self.config, size, seed)
            else:
                height, width = settings.frame_size
                top, left = (height - min(height, width)) // 2, (width - min(height, width)) // 2
                center = tf.constant([left, top, width - left, height - top])
                frames, fields = crop_snippets(frames, fields, center, size)
            return self._inputs(frames, fields), tf.one_hot(columns["label"], len(self.classes))

        return make_example

    def batch_mixing(self) -> None:
        """Return None: clips are not mixed."""
        return None

    def read(self, encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        """Read a whole clip. Unlike other tasks, this takes the path of the file (a string tensor), not its bytes."""
        return self.read_record({"file": encoded, "start": tf.constant(0.0), "end": tf.constant(0.0)})

    def read_record(self, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Read the snippets of one record.

        Args:
            columns: `input_columns` of the record.

        Returns:
            {"frames": uint8 [K, H, W, 3 t], "flow": uint8 [K, H, W, 2 L], as `flow.quantize` stores it}.
        """
        count = self.config.video.test_segments
        return self._inputs(*self._read_snippets(columns, tf.fill([count], SEGMENT_CENTER), count))

    def read_frames(self, frames: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Make the same from a clip in memory: a list of RGB frames, uint8 [H, W, 3], of `video.frame_size`."""
        positions = np.full(self.config.video.test_segments, SEGMENT_CENTER)
        return self._inputs(*snippets_from_frames(frames, self.config.video, positions))

    def prepare(self, image: tf.Tensor | np.ndarray | EncodedImage) -> dict[str, tf.Tensor]:
        """Raise NotImplementedError: a clip is not made from one image."""
        raise NotImplementedError("a clip is read from a video file, not prepared from one image")

    def inference(self, model: TaskModel) -> keras.Model:
        """Build the model that predicts: the mean probabilities over all snippets and crops; see inference.py.

        Returns:
            A model from a batch of what `read_record` returns to scores float32 [n, classes], fused; with two streams
            also spatial and temporal, float32 [n, classes], those of each stream alone.
        """
        settings, inputs = self.config.video, {}
        snippet = snippet_for(settings)
        height, width = settings.frame_size
        if "spatial" in self.streams:
            shape = (settings.test_segments, height, width, 3 * len(snippet.frame_offsets))
            inputs["frames"] = keras.Input(shape, dtype="uint8", name="frames")
        if "temporal" in self.streams:
            shape = (settings.test_segments, height, width, 2 * snippet.flow_length)
            inputs["flow"] = keras.Input(shape, dtype="uint8", name="flow")
        streams = stream_scores(model, inputs, self.config)
        fused = fuse_streams(model, streams, settings)
        return keras.Model(inputs, {"scores": fused} | (streams if len(streams) > 1 else {}), name="inference")

    def feature_models(self, model: TaskModel, input_size: int | None = None) -> FeatureModels | None:
        """Return None: features are not cached, since a clip has several inputs, which also vary in time."""
        return None

    def postprocess(self, outputs: Mapping[str, np.ndarray]) -> list[Prediction]:
        """Convert outputs as in classification.

        With two streams, "streams" holds the labels of each stream, and "spatial" and "temporal" hold their scores.
        """
        predictions = super().postprocess(outputs)
        for name in self.streams if len(self.streams) > 1 else ():
            of_stream = super().postprocess({"scores": outputs[name]})
            for prediction, alone in zip(predictions, of_stream, strict=True):
                labels = [label | {"score": round(label["score"], SCORE_DIGITS)} for label in alone["labels"]]
                prediction.setdefault("streams", {})[name] = labels
                prediction[name] = alone["scores"]
        return predictions

    def serve(self, outputs: Mapping[str, tf.Tensor], names: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return what a classifier returns, and with two streams also spatial and temporal, float32 [n, classes]."""
        served = super().serve(outputs, names)
        return served | {name: outputs[name] for name in self.streams if name in outputs}

    def array_specs(self) -> dict[str, tf.TensorSpec]:
        """Return the inputs of an exported model.

        Returns:
            "frames" uint8 [n, K, H, W, 3 t], RGB, and "flow" float32 [n, K, H, W, 2 L], in pixels; K is
            `video.test_segments`, H and W are `video.frame_size`.
        """
        settings, snippet = self.config.video, snippet_for(self.config.video)
        shape = [None, settings.test_segments, *settings.frame_size]
        frames = tf.TensorSpec([*shape, 3 * len(snippet.frame_offsets)], tf.uint8, "frames")
        return self._inputs(frames, tf.TensorSpec([*shape, 2 * snippet.flow_length], tf.float32, "flow"))

    def from_arrays(self, arrays: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Convert a batch of `array_specs` to a batch of what `read_record` returns, in TensorFlow operations."""
        tensors = dict(arrays)
        if "flow" in tensors:
            tensors["flow"] = quantize_flow(tensors["flow"], self.config.video.flow_bound)
        return tensors

    def to_arrays(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Convert a batch of what `read_record` returns to a batch of `array_specs`, as NumPy arrays."""
        arrays = dict(tensors)
        if "flow" in arrays:
            arrays["flow"] = flow.dequantize(arrays["flow"], self.config.video.flow_bound)
        return arrays

    def visualize_batch(self, inputs: Any, targets: Any) -> tuple[list[np.ndarray], list[str]]:
        """Draw each clip as a grid, its frames above its flow; the captions are the classes."""
        clips = zip(*(inputs.get(name, [None] * len(targets)) for name in ("frames", "flow")), strict=True)
        images = [draw.draw_snippets(frames, fields, self.config.video.flow_bound) for frames, fields in clips]
        return images, [self.classes[int(np.argmax(target))] for target in targets]

    def image_of_record(self, record: Record) -> np.ndarray:
        """Draw the clip of a record as a grid, its frames above its flow: uint8 [h, w, 3]."""
        positions = np.full(draw.NUM_SNIPPETS, SEGMENT_CENTER)
        settings = self.config.video
        frames, levels = read_snippets(record["file"], settings, positions, record["start"], record["end"])
        fields = flow.dequantize(levels, settings.flow_bound)
        return draw.draw_snippets(frames if frames.size else None, fields if fields.size else None, settings.flow_bound)

    def evaluator(self, interval: bool = True) -> Evaluator:
        """Make a `VideoEvaluator` of the fused scores, with those of each stream beside them."""
        resamples = self.config.evaluate.bootstrap_samples if interval else 0
        return scores.VideoEvaluator(self.classes, self.streams, resamples, self.config.seed)

    def report_sections(self, scores: "Scores", worst_images: "Sequence[WorstImage]") -> "list[Section]":
        """Make the sections of the report; see report.py."""
        from retinue.tasks.video import report  # imports matplotlib

        return report.report_sections(scores, worst_images, self.config.video.fusion)

    def metric_descriptions(self) -> Mapping[str, str]:
        """Explain the metrics; see report.py."""
        from retinue.tasks.video import report

        return report.METRICS

    def explainer(self, name: str, model: TaskModel, compile_model: "CompileModel") -> Explainer | None:
        """Make a `VideoExplainer`."""
        return VideoExplainer(name, self, model, compile_model)

    def black_box_explainer(
        self, name: str, run: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
    ) -> Explainer | None:
        """Return None: an export can't be explained."""
        return None

    def synthetic_batch(self, batch_size: int) -> tuple[Any, Any] | None:
        """Make frames in the color of their class, and motion that differs by class."""
        side = self.config.model.input_size
        random, labels, noise = random_labels_and_noise(batch_size, side)
        shape = (batch_size, 1, side, side, 2 * self.config.video.flow_length)
        fields = random.normal(0, 1, shape) + 4 * labels[:, *[None] * 4]
        frames = colored_images(labels, noise)[:, None]
        return {"frames": frames, "flow": fields.astype(np.float32)}, np.eye(2, dtype=np.float32)[labels]

    def _inputs(self, frames: Any, fields: Any) -> dict[str, Any]:
        """Return {"frames", "flow"}, whichever of them the streams of the model take."""
        by_stream = {"spatial": ("frames", frames), "temporal": ("flow", fields)}
        return dict(by_stream[stream] for stream in self.streams)

    def _read_snippets(
        self, columns: Mapping[str, tf.Tensor], positions: tf.Tensor, count: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Call `read_snippets` from a graph; count is the number of `positions`."""
        settings, snippet = self.config.video, snippet_for(self.config.video)

        def read(
            file: bytes | np.ndarray, start: np.ndarray, end: np.ndarray, positions: np.ndarray
        ) -> tuple[np.ndarray, np.ndarray]:
            path = (file if isinstance(file, bytes) else file.item()).decode("utf-8", "surrogateescape")
            return read_snippets(path, settings, positions, float(start), float(end))

        arguments = (columns["file"], columns["start"], columns["end"], positions)
        frames, levels = tf.numpy_function(read, arguments, (tf.uint8, tf.uint8))
        height, width = settings.frame_size
        frames.set_shape([count, height, width, 3 * len(snippet.frame_offsets) if "spatial" in self.streams else 0])
        levels.set_shape([count, height, width, 2 * snippet.flow_length])
        return frames, levels

    def _check_settings(self) -> None:
        """Raise UsageError for settings that a video model does not support."""
        config, settings = self.config, self.config.video
        for key in ("mixup", "cutmix", "randaugment_num_ops"):
            if getattr(config.augment, key):
                raise UsageError(f"augment.{key}: video does not support it; set it to 0")
        for key in ("vertical_flip", "random_rot90"):
            if getattr(config.augment, key):
                raise UsageError(f"augment.{key}: video supports only horizontal_flip; set augment.{key} to false")
        if config.evaluate.tta == "dihedral":
            raise UsageError("evaluate.tta: video does not support dihedral; set it to none (the center) or ten_crop")
        for key, size in self.input_sizes().items():
            if size != config.model.input_size:
                raise UsageError(
                    f"{key}: a video model has one input size for all stages; remove {key}, so that model.input_size "
                    "holds for every stage"
                )
            self.check_input_size(key, size)
            if size > min(settings.frame_size):
                raise UsageError(
                    f"{key}: {size} px can't be cropped from frames of {settings.frame_size[0]} x "
                    f"{settings.frame_size[1]} px; lower it, or increase video.frame_size"
                )
        if "temporal" in self.streams:
            flow.check_method(settings.flow_method)
        if settings.fusion == "svm" and len(self.streams) < 2:
            raise UsageError(
                f"video.fusion: svm fuses two streams, but video.architecture={settings.architecture} has one; set "
                "video.fusion=average or video.architecture=two_stream"
            )
