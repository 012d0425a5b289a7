"""Video recognition: one class a clip, from its frames, its motion, or both."""

import logging
import os

import keras
import numpy as np
import tensorflow as tf

from retinue.configs.errors import UsageError
from retinue.data.split import split
from retinue.tasks.classification.task import Classification
from retinue.tasks.video import clip_image, flow, fusion, model, scores
from retinue.tasks.video.augment import augment_snippets, cut, decode_flow, encode_flow
from retinue.tasks.video.inference import stream_scores
from retinue.tasks.video.snippets import read_snippets, snippet_of, snippets_of_frames
from retinue.tasks.video.stored_flow import open_flow

logger = logging.getLogger(__name__)

MIDDLE = 0.5  # of each part of a clip
DIGITS = 6  # of a written score


class Video(Classification):
    """One class a clip. The net looks at snippets of it; see snippets.py and model.py."""

    name = "video"
    is_video = True

    def build(self, weights=None, class_counts=None):
        """The untrained `TaskModel`; see model.py."""
        self._check()
        return model.build(self.config, len(self.classes), weights, class_counts)

    @property
    def streams(self):
        """The streams that the net has: ("spatial", "temporal"), or one of them."""
        return model.streams_of(self.config.video.architecture)

    def prepare_dataset(self, dataset):
        """The stored flow of the clips. Raises UsageError where it was made in another way than the net takes."""
        settings = self.config.video
        if not settings.flow_folder or "temporal" not in self.streams:
            return
        if not os.path.isdir(settings.flow_folder):
            raise UsageError(
                f"video.flow_folder {settings.flow_folder}: there is no such folder; `retinue flow` makes it, and "
                "without it flow is computed as it is needed"
            )
        made_so = settings.flow_method, settings.flow_bound, settings.frame_size
        files = sorted(set(dataset.files))
        stored = sum(open_flow(settings.flow_folder, file, *made_so) is not None for file in files)
        rest = "" if stored == len(files) else "; the others' is computed as it is needed"
        logger.info(f"flow of {stored:,} of {len(files):,} clips is in {settings.flow_folder}{rest}")

    def split_calibration(self, dataset):
        """For fusion by an SVM, a share of the training clips, by group, which the streams never see."""
        settings = self.config.video
        if settings.fusion != "svm":
            return super().split_calibration(dataset)
        unsplit = dataset.with_splits(np.full(len(dataset), "", dtype=object))
        parted = split(unsplit, val_fraction=settings.svm_holdout_fraction, seed=self.config.seed)
        return tuple(dataset.take(parted.splits == name) for name in ("train", "val"))

    def calibrate(self, net, predictions, dataset):
        """Fit the SVM of fusion.py and put it into the net."""
        scores = [np.stack([prediction[name] for prediction in predictions]) for name in ("spatial", "temporal")]
        kernel, bias, penalty = fusion.fit(*scores, dataset.columns["label"])
        net.get_layer("fusion").set_weights([kernel, bias])
        return f"fusion: an SVM, fitted on {len(dataset):,} clips that the streams did not see (penalty {penalty:g})"

    def columns(self, dataset):
        """`file`, `start` and `end` in seconds, and `label` int64 `[n]`."""
        return self.input_columns(dataset) | {"label": dataset.columns["label"]}

    def input_columns(self, dataset):
        """`file`, `start` and `end` in seconds (an end of 0 is the clip's own)."""
        return {"file": dataset.files} | {name: dataset.columns[name] for name in ("start", "end")}

    def example(self, training, input_size=None):
        """(columns of one record, seed) -> ({"frames": float32 `[k, s, s, 3 t]`, "flow": float32 `[k, s, s, 2 L]`, in
        pixels}, float32 `[classes]` target)."""
        size, settings = input_size or self.config.model.input_size, self.config.video
        count = settings.train_segments if training else settings.test_segments

        def make(columns, seed):
            places = tf.fill([count], MIDDLE)
            if training:
                places = tf.random.stateless_uniform([count], seed)
            frames, levels = self._read(columns, places, count)
            fields = decode_flow(levels, settings.flow_bound, settings.flow_subtract_mean)
            if training:
                frames, fields = augment_snippets(frames, fields, self.config, size, seed)
            else:
                height, width = settings.frame_size
                top, left = (height - min(height, width)) // 2, (width - min(height, width)) // 2
                window = tf.constant([left, top, width - left, height - top])
                frames, fields = cut(frames, fields, window, size)
            return self._inputs(frames, fields), tf.one_hot(columns["label"], len(self.classes))

        return make

    def batch_mixing(self):
        """None: clips are not mixed."""
        return None

    def read(self, encoded):
        """Clips are read from files, by `read_record`; this takes the path of one, a string tensor."""
        return self.read_record({"file": encoded, "start": tf.constant(0.0), "end": tf.constant(0.0)})

    def read_record(self, columns):
        """`input_columns` of one record -> `{"frames": uint8 [K, H, W, 3 t], "flow": uint8 [K, H, W, 2 L]}`, the flow
        as `flow.to_bytes` keeps it."""
        count = self.config.video.test_segments
        return self._inputs(*self._read(columns, tf.fill([count], MIDDLE), count))

    def read_frames(self, frames):
        """The same, as arrays, from a clip in memory: a list of RGB uint8 `[H, W, 3]` of `video.frame_size`."""
        places = np.full(self.config.video.test_segments, MIDDLE)
        return self._inputs(*snippets_of_frames(frames, self.config.video, places))

    def prepare(self, image):
        """A clip is not made of one picture."""
        raise NotImplementedError("a clip has no single picture to prepare")

    def inference(self, net):
        """A batch of what `read_record` gives -> `{"scores", "spatial", "temporal"}`, float32 `[n, classes]` each:
        the mean probabilities over all snippets and crops, and fused. See inference.py."""
        settings, inputs = self.config.video, {}
        snippet = snippet_of(settings)
        height, width = settings.frame_size
        if "spatial" in self.streams:
            shape = (settings.test_segments, height, width, 3 * len(snippet.offsets))
            inputs["frames"] = keras.Input(shape, dtype="uint8", name="frames")
        if "temporal" in self.streams:
            shape = (settings.test_segments, height, width, 2 * snippet.fields)
            inputs["flow"] = keras.Input(shape, dtype="uint8", name="flow")
        streams = stream_scores(net, inputs, self.config)
        fused = model.fused(net, streams, settings)
        return keras.Model(inputs, {"scores": fused} | (streams if len(streams) > 1 else {}), name="inference")

    def feature_models(self, net, input_size=None):
        """None: a clip's frames and flow are in several inputs, and differ from epoch to epoch in time, too."""
        return

    def postprocess(self, outputs):
        """As in classification, and with two streams each one's labels in "streams" and its scores under its name."""
        predictions = super().postprocess(outputs)
        for name in self.streams if len(self.streams) > 1 else ():
            for prediction, alone in zip(predictions, super().postprocess({"scores": outputs[name]}), strict=True):
                labels = [entry | {"score": round(entry["score"], DIGITS)} for entry in alone["labels"]]
                prediction.setdefault("streams", {})[name] = labels
                prediction[name] = alone["scores"]
        return predictions

    def serve(self, outputs, names):
        """As in classification, and with two streams "spatial" and "temporal", float32 `[n, classes]`."""
        given = super().serve(outputs, names)
        return given | {name: outputs[name] for name in self.streams if name in outputs}

    def array_specs(self):
        """What an exported model is given: {"frames": uint8 `[n, K, H, W, 3 t]`, RGB, "flow": float32
        `[n, K, H, W, 2 L]`, in pixels}, as `tf.TensorSpec`s; K is `video.test_segments`, H and W `video.frame_size`."""
        settings, snippet = self.config.video, snippet_of(self.config.video)
        shape = [None, settings.test_segments, *settings.frame_size]
        frames = tf.TensorSpec([*shape, 3 * len(snippet.offsets)], tf.uint8, "frames")
        return self._inputs(frames, tf.TensorSpec([*shape, 2 * snippet.fields], tf.float32, "flow"))

    def from_arrays(self, arrays):
        """A batch of these -> a batch of what `read_record` gives, in TensorFlow operations."""
        given = dict(arrays)
        if "flow" in given:
            given["flow"] = encode_flow(given["flow"], self.config.video.flow_bound)
        return given

    def to_arrays(self, tensors):
        """The way back, of NumPy arrays."""
        given = dict(tensors)
        if "flow" in given:
            given["flow"] = flow.from_bytes(given["flow"], self.config.video.flow_bound)
        return given

    def visualize_batch(self, inputs, targets):
        """Each clip as a strip: its frames above its flow; and its class."""
        clips = zip(*(inputs.get(name, [None] * len(targets)) for name in ("frames", "flow")), strict=True)
        pictures = [clip_image.of_inputs(frames, fields, self.config.video.flow_bound) for frames, fields in clips]
        return pictures, [self.classes[int(np.argmax(target))] for target in targets]

    def image_of_record(self, record):
        """A strip of a record's clip: frames above flow, uint8 `[h, w, 3]`."""
        places = np.full(clip_image.SHOWN, MIDDLE)
        settings = self.config.video
        frames, levels = read_snippets(record["file"], settings, places, record["start"], record["end"])
        fields = flow.from_bytes(levels, settings.flow_bound)
        return clip_image.of_inputs(
            frames if frames.size else None, fields if fields.size else None, settings.flow_bound
        )

    def evaluator(self, interval=True):
        """A `VideoEvaluator`: the fused scores, and each stream's beside them."""
        resamples = self.config.evaluate.bootstrap_samples if interval else 0
        return scores.VideoEvaluator(self.classes, self.streams, resamples, self.config.seed)

    def _inputs(self, frames, fields):
        given = {"spatial": ("frames", frames), "temporal": ("flow", fields)}
        return dict(given[stream] for stream in self.streams)

    def _read(self, columns, places, count):
        """`read_snippets` in a graph."""
        settings, snippet = self.config.video, snippet_of(self.config.video)

        def read(file, start, end, places):
            path = (file if isinstance(file, bytes) else file.item()).decode("utf-8", "surrogateescape")
            return read_snippets(path, settings, places, float(start), float(end))

        given = (columns["file"], columns["start"], columns["end"], places)
        frames, levels = tf.numpy_function(read, given, (tf.uint8, tf.uint8))
        height, width = settings.frame_size
        frames.set_shape([count, height, width, 3 * len(snippet.offsets) if "spatial" in self.streams else 0])
        levels.set_shape([count, height, width, 2 * snippet.fields])
        return frames, levels

    def _check(self):
        """Raise UsageError for settings that a net for video can't follow."""
        config, settings = self.config, self.config.video
        for key in ("mixup", "cutmix", "randaugment_num_ops"):
            if getattr(config.augment, key):
                raise UsageError(f"augment.{key}: is not for video; set it to 0")
        for key in ("vertical_flip", "random_rot90"):
            if getattr(config.augment, key):
                raise UsageError(f"augment.{key}: is not for video, where only horizontal_flip is; set it to false")
        if config.evaluate.tta == "dihedral":
            raise UsageError("evaluate.tta: for video it is one, the centre, or ten_crop")
        for key, size in self.input_sizes().items():
            if size != config.model.input_size:
                raise UsageError(f"{key}: a net for video has one size for all stages, that of model.input_size")
            self.check_input_size(key, size)
            if size > min(settings.frame_size):
                raise UsageError(
                    f"{key}: {size} px can't be cut from frames of {settings.frame_size[0]} x "
                    f"{settings.frame_size[1]} (video.frame_size)"
                )
        if "temporal" in self.streams:
            flow.refuse_missing(settings.flow_method)
        if settings.fusion == "svm" and len(self.streams) < 2:
            raise UsageError("video.fusion: svm fuses two streams; this architecture has one")
