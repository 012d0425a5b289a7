"""A trained model as files that need no retinue, each verified to give the predictions of the Keras model.

The folder of an export:
  saved_model.pb, variables/, assets/classes.txt   with the format savedmodel: the SavedModel is the folder itself
  model.xml, model.bin                             with the format openvino
  model.onnx                                       with the format onnx
  model.tflite                                     with the format litert
  bf16.npz                                         where OpenVINO is installed: see bf16_bias_correction.py
  config.yaml, classes.json                        so that `predict` and `evaluate` take the folder
  request.json, response.json                      with `versioned`: see serving.py
  export.json                                      where it came from, and how far it is from the Keras model
"""

import contextlib
import functools
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retinue.configs.choices import EXPORT_FORMATS, EXPORT_PRECISIONS
from retinue.configs.errors import RetinueError, UsageError
from retinue.data.storage.atomic_files import atomic_write
from retinue.data.storage.scratch import scratch_beside
from retinue.pipeline.exporting import export_savedmodel, quantize, serving
from retinue.pipeline.exporting.options import ExportOptions
from retinue.pipeline.exporting.verification_files import verification_records
from retinue.pipeline.runs import run_records
from retinue.pipeline.runs.model_files import fingerprint
from retinue.pipeline.runs.run import Model, now, open_model, versions
from retinue.pipeline.runs.split_file import anonymous_split_csv, read_split_file, split_path
from retinue.pipeline.runtimes import (
    bf16_bias_correction,
    litert_runtime,
    onnx_runtime,
    openvino_runtime,
    runtimes,
    tensorflow_runtime,
)
from retinue.pipeline.runtimes.batching import stack_inputs

if TYPE_CHECKING:
    import keras

    from retinue.tasks.task import Task

logger = logging.getLogger(__name__)

# The runtime in which a format is verified.
RUNTIME_OF_FORMAT = {"openvino": "openvino", "onnx": "onnxruntime", "litert": "litert"}
TOLERANCE = 1e-4  # largest difference of a score between the export and the Keras model

Batch = dict[str, np.ndarray]


def export(
    model: str | os.PathLike[str] | Model,
    out: str | os.PathLike[str],
    options: ExportOptions = ExportOptions(),  # noqa: B008 (it is frozen)
) -> dict[str, Any]:
    """Export a run into a folder, and verify the export on a few files.

    A SavedModel has these signatures, all with the batch size open:
      serving_default   bytes: string `[n]`, encoded files
      image             image: uint8 `[n, height, width, 3]`, RGB of any size, upright
      model             what `Task.read` returns; the model alone
    The first two return what the task's `serve` returns. A task whose records are no single images has no signature
    image, and its serving_default takes the arrays that `Task.array_specs` names, for a video model:
      frames            uint8 `[n, K, H, W, 3 t]`, RGB, of K snippets of the clip; see tasks/video/snippets.py
      flow              float32 `[n, K, H, W, 2 L]`, pixels from frame to frame, x and y of L fields in turn

    Args:
        model: a run folder, or an opened run.
        out: the folder to write; with `versioned`, the folder of all versions.
        options: what is written.

    Returns:
        The content of `export.json`.

    Raises:
        UsageError: a format or a precision is not available, the folder is not empty, or there are no files to verify
            the export with.
        RetinueError: a score differs from the Keras model's by more than 1e-4, or a prediction differs without such a
            near tie. Nothing is left behind.
    """
    _check_options(options)
    run = model if isinstance(model, Model) else open_model(model)
    if run.kind != "run":
        raise UsageError(f"{run.folder}: is an export already; give the run folder that it came from")
    out = serving.next_version(Path(out)) if options.versioned else Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: exists already; give another --out")
    records = verification_records(run, options.verify_images)
    if run.warning:
        logger.warning(run.warning)
    inference = run.task.inference(run.build())
    try:
        with scratch_beside(out) as scratch:
            folder = scratch / out.name
            folder.mkdir()
            description = _write_formats(run, inference, folder, options.formats, records)
            if options.precision == "int8":
                description |= {"precision": "int8", "int8": _quantize(run, folder, options.max_score_drop)}
            description["fingerprint"] = fingerprint(folder)
            atomic_write(folder / "export.json", json.dumps(description, indent=1, ensure_ascii=False))
            if options.versioned and "savedmodel" in options.formats and run.task.array_specs() is None:
                serving.write_example(folder, [record["file"] for record in records], run.config.data.pixel_range)
            os.replace(folder, out)
    except BaseException as error:
        if options.versioned:
            with contextlib.suppress(OSError):
                out.parent.rmdir()  # this succeeds for an empty folder only
        if isinstance(error, BlockingIOError):
            raise UsageError(f"{out}: another process is exporting to it; give another --out") from None
        if not isinstance(error, OSError):
            raise
        raise RetinueError(
            f"{out}: can't be written ({error.strerror}); free disk space, or give another --out"
        ) from error
    logger.info(f"Exported to {out}")
    return description


def _check_options(options: ExportOptions) -> None:
    """Raise UsageError for an unknown format or precision, and for one whose package is not installed."""
    for name in options.formats:
        if name not in EXPORT_FORMATS:
            raise UsageError(f"--to {name}: there is no such format; use one or more of {', '.join(EXPORT_FORMATS)}")
    if not options.formats:
        raise UsageError(f"--to: name at least one of {', '.join(EXPORT_FORMATS)}")
    precision = options.precision
    if precision not in EXPORT_PRECISIONS:
        raise UsageError(f"--precision {precision}: exports are f32 or int8; bf16 is chosen when an f32 export is run")
    if precision == "int8":
        if tuple(options.formats) != ("openvino",):
            raise UsageError("--precision int8: is for OpenVINO alone; give --to openvino")
        quantize.check_installed()
    for name, runtime in RUNTIME_OF_FORMAT.items():
        if name in options.formats and not runtimes.is_installed(runtime):
            raise UsageError(f"--to {name}: {runtime} is not installed; `pip install {runtimes.INSTALLED_BY[runtime]}`")


def _write_formats(
    run: Model, inference: "keras.Model", folder: Path, formats: Sequence[str], records: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Write everything into `folder`, and verify each format. Returns the content of `export.json`."""
    for name in ("config.yaml", "classes.json"):
        shutil.copyfile(run.folder / name, folder / name)
    rows = read_split_file(run.folder)
    if rows:
        atomic_write(split_path(folder), anonymous_split_csv(rows))
    task = run.task
    function = tensorflow_runtime.trace(inference)
    convert = functools.cache(lambda: openvino_runtime.convert(function))  # for the format openvino and for bf16.npz
    batches, paths = _make_batches(task, records)
    keras_runtime = tensorflow_runtime.TensorFlowRuntime(function, inference)
    expected = [keras_runtime(batch) for batch in batches]
    results = {}
    for name in (name for name in EXPORT_FORMATS if name in formats):
        outputs = _write_and_run(name, run, inference, function, convert, folder, paths, batches)
        results[name] = _compare(task, outputs, expected)
    if runtimes.has_openvino():
        layers = bf16_bias_correction.load_or_measure(run, convert())
        if layers:
            bf16_bias_correction.write(folder / bf16_bias_correction.FILE, layers)
    for name, result in results.items():
        _report_result(name, result, len(records), task.record_noun)
    return {
        "run": str(run.folder.resolve()),
        "task": task.name,
        "precision": "f32",
        "tolerance": TOLERANCE,
        "formats": results,
        "verified_on": [record["file"] for record in records],
        "proven": run.proven,
        "created": now(),
        "versions": versions(),
    }


def _make_batches(task: "Task", records: Sequence[dict[str, Any]]) -> tuple[list[Batch], list[list[str]]]:
    """Read the records into batches. Returns them, and the paths of their files."""
    tensors = [run_records.read_record(task, record) for record in records]
    rows = [[row] for row in range(len(records))] if task.variable_size else [list(range(len(records)))]
    batches = [stack_inputs([tensors[row] for row in some], task.padding(training=False)) for some in rows]
    return batches, [[records[row]["file"] for row in some] for some in rows]


def _write_and_run(
    name: str,
    run: Model,
    inference: "keras.Model",
    function: Any,
    convert: Callable[[], Any],
    folder: Path,
    paths: Sequence[Sequence[str]],
    batches: Sequence[Batch],
) -> list[dict[str, np.ndarray]]:
    """Write one format into `folder`, read it from there, and run the batches.

    Args:
        name: the format.
        run: the run.
        inference: what `Task.inference` returned.
        function: `inference`, traced.
        convert: function that converts it to an `openvino.Model`.
        folder: where the format is written.
        paths: the files of each batch.
        batches: what `Task.read_record` returned, batched.

    Returns:
        The outputs of each batch.
    """
    if name == "savedmodel":
        export_savedmodel.write(run, inference, function, folder)
        return export_savedmodel.serve_batches(folder, run.task, paths, batches)
    if name == "openvino":
        openvino, path = openvino_runtime.import_openvino(), folder / runtimes.OPENVINO_FILE
        openvino.save_model(convert(), path, compress_to_fp16=False)
        runtime: Callable[[Batch], dict[str, np.ndarray]] = openvino_runtime.OpenVINORuntime(
            openvino.Core().read_model(path)
        )
    elif name == "onnx":
        path = folder / runtimes.ONNX_FILE
        path.write_bytes(onnx_runtime.convert(function))
        runtime = onnx_runtime.OnnxRuntime(str(path))
    else:
        path = folder / runtimes.LITERT_FILE
        path.write_bytes(litert_runtime.convert(function, inference))
        runtime = litert_runtime.LiteRTRuntime(path)
    return [runtime(batch) for batch in batches]


def _compare(
    task: "Task", outputs: Sequence[dict[str, np.ndarray]], expected: Sequence[dict[str, np.ndarray]]
) -> dict[str, Any]:
    """Join `Task.compare_outputs` over several batches. `iou`, where a task has it, is the mean over the files."""
    results = [task.compare_outputs(*pair, TOLERANCE) for pair in zip(outputs, expected, strict=True)]
    joined: dict[str, Any] = {"largest_difference": max(result["largest_difference"] for result in results)}
    joined |= {name: sum(result[name] for result in results) for name in ("same", "near_ties")}
    if "iou" in results[0]:
        sizes = [len(next(iter(batch.values()))) for batch in expected]
        total = sum(size * result["iou"] for size, result in zip(sizes, results, strict=True))
        joined["iou"] = total / sum(sizes)
    return joined


def _report_result(name: str, result: Mapping[str, Any], count: int, noun: str) -> None:
    """Log how far a format is from the Keras model. Raises RetinueError where it is too far."""
    ties = f" ({result['near_ties']} others are near ties)" if result["near_ties"] else ""
    iou = f", mean IoU {result['iou']:.4f}" if "iou" in result else ""
    logger.info(
        f"{name}: {count} {noun}s, largest difference {result['largest_difference']:.1e}, "
        f"same prediction {result['same']} of {count}{ties}{iou}"
    )
    agreed = result["same"] + result["near_ties"]
    if not result["largest_difference"] <= TOLERANCE or agreed < count:
        raise RetinueError(
            f"{name}: its scores differ from the Keras model's by {result['largest_difference']:.1e} (at most "
            f"{TOLERANCE:g} is allowed), and {agreed} of {count} predictions agree; nothing was exported"
        )


def _quantize(run: Model, folder: Path, max_score_drop: float) -> dict[str, Any]:
    """Replace the verified OpenVINO model in `folder` by an int8 model.

    Returns:
        The scores, see `quantize.compare_scores`.

    Raises:
        RetinueError: the score drops too much.
    """
    openvino, path = openvino_runtime.import_openvino(), folder / runtimes.OPENVINO_FILE
    converted = openvino.Core().read_model(path)
    training_set, validation_set = quantize.datasets_of_run(run)
    quantized = quantize.quantize(run, converted, training_set)
    scores = quantize.compare_scores(run.task, converted, quantized, validation_set)
    text = "{score} {f32:.2%} in f32, {int8:.2%} in int8, on {files:,} files that were not trained on".format(**scores)
    if scores["int8"] < scores["f32"] - max_score_drop / 100:
        points = 100 * (scores["f32"] - scores["int8"])
        raise RetinueError(
            f"int8 loses too much: {text}; nothing was exported. Accept the loss with --max-score-drop "
            f"{points + 0.1:.1f}, or use bf16, which needs no export of its own"
        )
    logger.info(f"int8: {text}")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        openvino.save_model(quantized, Path(scratch) / path.name, compress_to_fp16=False)
        del converted, quantized  # they hold the files that are replaced
        for written in Path(scratch).iterdir():
            os.replace(written, folder / written.name)
    return scores
