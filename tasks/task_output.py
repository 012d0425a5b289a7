"""What a task shows and writes: results on disk, drawings, sections of the report, explanations.

Every method has a default, so that a new task works without any of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from retinue.configs.schema import Config
    from retinue.data.dataset import Dataset
    from retinue.tasks.explainer import CompileModel, Explainer
    from retinue.tasks.model import TaskModel
    from retinue.tasks.plots import Plot
    from retinue.tasks.report_section import Section
    from retinue.tasks.result_writer import ResultWriter
    from retinue.tasks.scores import Scores
    from retinue.tasks.worst_images import WorstImage

Record = Mapping[str, Any]
Prediction = dict[str, Any]


class TaskOutput:
    """The part of `Task` that shows and writes predictions.

    Attributes:
        record_noun: what one record is called in messages: "image" or "clip".
        class_count_unit: what `Dataset.class_counts` counts, in the plural.
        draws_on_image: whether `draw` marks where in the image things are. The report then shows the drawing instead
            of the plain image.
        has_boxes: whether a prediction has `detections`, dicts with `label`, `score` and `box`, which
            `retinue predict --crops` cuts out.
        has_class_maps: whether Grad-CAM of a predicted class shows where the model looked. The report and TensorBoard
            then show such maps. It needs an `ImageExplainer`.
    """

    name: str
    config: "Config"
    classes: tuple[str, ...]
    record_noun: str = "image"
    class_count_unit: str = "files"
    draws_on_image: bool = False
    has_boxes: bool = False
    has_class_maps: bool = False

    # Results of `retinue predict`.

    def result_writer(
        self, class_ids: Sequence[int | str] = (), image_ids: Mapping[str, int | str] | None = None
    ) -> "ResultWriter":
        """Make the object that writes predictions to files.

        By default a line of `predictions.jsonl` holds all entries of a prediction except NumPy arrays, and the CSV file
        has only the columns `file`, `width` and `height`. Return `ResultWriter(columns)` to add some of the entries.

        Args:
            class_ids: the ids that the training data gave the classes, or ().
            image_ids: the ids that the training data gave its images, by absolute path.
        """
        from retinue.tasks.result_writer import ResultWriter

        return ResultWriter()

    # Images for people.

    def image_of_record(self, record: Record) -> "np.ndarray":
        """Load the image that represents a record, uint8 `[h, w, 3]`. By default the decoded file."""
        from retinue.data.decoding import decode

        pixel_range = self.config.data.pixel_range
        return decode.decode_image(decode.read_encoded(record["file"], pixel_range), pixel_range).numpy()

    def draw(self, image: "np.ndarray", prediction: Prediction, truth: Any = None) -> "np.ndarray":
        """Draw a prediction. By default its entries are written below the image.

        Args:
            image: uint8 `[h, w, 3]`, RGB, in its original size.
            prediction: what `postprocess` returned for it.
            truth: what `ground_truth` returned for it. With it the drawing shows what is right and what is wrong.

        Returns:
            uint8 `[h', w', 3]`, RGB.
        """
        from retinue.tasks import drawing
        from retinue.tasks.result_writer import describe

        rows = [drawing.Row(describe(prediction))]
        if truth is not None:
            rows.append(drawing.Row(f"truth: {truth}"))
        return drawing.with_panel(image, rows)

    def visualize_batch(self, inputs: Any, targets: Any) -> "tuple[list[np.ndarray], list[str]]":
        """Draw a training batch, to check augmentation and labels by eye.

        Args:
            inputs: a batch of `example`'s inputs, as NumPy arrays.
            targets: a batch of `example`'s targets, as NumPy arrays.

        Returns:
            An image, uint8 `[h, w, 3]`, and a caption for each example. By default the inputs are the images, and the
            targets the captions.
        """
        return list(inputs), [str(target) for target in targets]

    # The report.

    def summarize_errors(self, prediction: Prediction, truth: Any) -> tuple[list[str], list[dict[str, Any]]]:
        """Describe a wrong prediction beside the ground truth, for the report.

        Args:
            prediction: what `postprocess` returned for a record.
            truth: what `ground_truth` returned for it.

        Returns:
            The ground truth in words, and one dict for each part of the prediction: label, a str; score, a float or
            None; right, a bool. By default the entries of the prediction are one wrong part.
        """
        from retinue.tasks.result_writer import describe

        return [str(truth)], [{"label": describe(prediction), "score": None, "right": False}]

    def report_sections(self, scores: "Scores", worst_images: "Sequence[WorstImage]") -> "list[Section]":
        """Make the sections of the report that show the scores.

        Args:
            scores: the scores.
            worst_images: images with wrong predictions, the worst first.

        Returns:
            The sections in their order. By default the images with the worst predictions alone. All metrics are in
            another section, which every report has.
        """
        from retinue.tasks.worst_images import worst_images_section

        return [worst_images_section(worst_images, scores)] if scores.worst else []

    def metric_descriptions(self) -> Mapping[str, str]:
        """Explain the metrics, by name, to readers who don't know them. By default nothing is explained."""
        return {}

    def data_plots(self, dataset: "Dataset") -> "list[Plot]":
        """Plot the dataset for the report. By default the class counts, where the dataset has classes."""
        from retinue.tasks.per_class import plot_class_counts

        return [plot_class_counts(dataset, self.class_count_unit)] if dataset.classes else []

    # Explanations.

    def explainer(self, name: str, model: "TaskModel", compile_model: "CompileModel") -> "Explainer | None":
        """Make the object that `retinue explain` explains a model with.

        Args:
            name: what the model is called in messages.
            model: the trained model.
            compile_model: function that makes a Keras model run in the fastest runtime.

        Returns:
            The explainer, or None, the default, where predictions can't be explained.
        """
        return None

    def black_box_explainer(
        self, name: str, run: "Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]"
    ) -> "Explainer | None":
        """Make an explainer for an export, which holds no Keras model.

        Args:
            name: what the model is called in messages.
            run: function from a batch of what `read` returns to a dict of outputs.

        Returns:
            The explainer, or None, the default, where an export can't be explained.
        """
        return None
