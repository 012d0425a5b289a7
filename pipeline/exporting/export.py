"""A trained model as files that need no retinue, each proven to say what the Keras model says.

The folder of an export:
  saved_model.pb, variables/, assets/classes.txt   with `to=("savedmodel",)`: the SavedModel is the folder itself
  model.xml, model.bin                             with `to=("openvino",)`
  model.onnx                                       with `to=("onnx",)`
  model.tflite                                     with `to=("litert",)`
  bf16.npz                                         with OpenVINO at hand: see bf16_bias_correction.py
  config.yaml, classes.json                        so that `predict` and `evaluate` take the folder
  request.json, response.json                      with `versioned`: see serving.py
  export.json                                      where it came from, and the proof that it equals the Keras model
"""

import contextlib
import functools
import itertools
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path

from retinue.configs.choices import EXPORT_FORMATS, EXPORT_PRECISIONS
from retinue.configs.errors import RetinueError, UsageError
from retinue.data.storage.atomic_files import atomic_write
from retinue.data.storage.scratch import scratch_beside
from retinue.pipeline.exporting import export_savedmodel, quantize, serving
from retinue.pipeline.runs import run_records
from retinue.pipeline.runs.model_files import fingerprint
from retinue.pipeline.runs.run import now, open_model, versions
from retinue.pipeline.runs.split_file import SPLIT_FILE, anonymous_split_csv, read_split_file, split_path
from retinue.pipeline.runtimes import (
    bf16_bias_correction,
    litert_runtime,
    onnx_runtime,
    openvino_runtime,
    runtimes,
    tensorflow_runtime,
)
from retinue.pipeline.runtimes.batching import stack_inputs

logger = logging.getLogger(__name__)

NEEDS = {"openvino": "openvino", "onnx": "onnxruntime", "litert": "litert"}  # the runtime that a format's proof runs in
TOLERANCE = 1e-4  # largest difference of a score between the export and the Keras model
PROOF_IMAGES = 8
PROOF_SPLITS = ("val", "test", "train")  # where they come from, the later ones filling up


def export(model_path, out, *, to=("savedmodel",), precision="f32", accept_loss=0.5, images=None, versioned=False):
    """Export a run into the folder `out` and prove it on photos. Gives the content of `export.json`.

    The SavedModel's signatures, all with the batch size open:
      serving_default   bytes: string `[n]`, encoded files
      image             image: uint8 `[n, height, width, 3]`, RGB of any size, upright
      model             what `task.read` gives; the net alone
    The first two give what the task's `serve` says. Of a net for clips there is no image, and serving_default takes
      frames            uint8 `[n, K, H, W, 3 t]`, RGB, of K places in the clip; see tasks/video/snippets.py
      flow              float32 `[n, K, H, W, 2 L]`, pixels from frame to frame, x and y of L fields in turn
    images: paths of photos for the proof; by default 8 of the files in the run's split.csv that are still there, from
    the val split, then test, then train.
    precision: "f32", or for OpenVINO alone "int8", calibrated on the run's training files, scored on those held out,
    and refused where it costs more than `accept_loss` points of a hundred; see quantize.py.
    versioned: make it the next version in `out`, a folder to serve; see serving.py.
    Raises UsageError for a format or precision that is not there, a folder that is not empty, or no photos, and
    RetinueError, leaving nothing behind, when a score differs by more than 1e-4, or an answer without such a near
    tie.
    """
    _refuse_unknown(to, precision)
    model = open_model(model_path) if isinstance(model_path, (str, os.PathLike)) else model_path
    if model.kind != "run":
        raise UsageError(f"{model.folder}: is an export already; give the run folder it came from")
    out = serving.next_version(Path(out)) if versioned else Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: exists already; give another --out")
    files = proof_records(model, images)
    if model.warning:
        logger.warning(model.warning)
    inference = model.task.inference(model.build())
    try:
        with scratch_beside(out) as scratch:
            unproven = scratch / out.name
            unproven.mkdir()
            described = _write(model, inference, unproven, to, files)
            if precision == "int8":
                described |= {"precision": "int8", "int8": _make_int8(model, unproven, accept_loss)}
            described["fingerprint"] = fingerprint(unproven)
            atomic_write(unproven / "export.json", json.dumps(described, indent=1, ensure_ascii=False))
            if versioned and "savedmodel" in to and not model.task.is_video:
                serving.write_example(unproven, [record["file"] for record in files])
            os.replace(unproven, out)
    except BaseException as error:
        if versioned:
            with contextlib.suppress(OSError):
                out.parent.rmdir()  # which only an empty folder lets happen
        if isinstance(error, BlockingIOError):
            raise UsageError(f"{out}: another process is exporting to it; give another --out") from None
        if not isinstance(error, OSError):
            raise
        raise RetinueError(f"{out}: can't be written ({error.strerror}); make room, or give another --out") from error
    logger.info(f"Exported to {out}")
    return described


def _write(model, inference, folder, to, files):
    """Everything that goes into `folder`, and the proof. Gives what `export.json` says."""
    for name in ("config.yaml", "classes.json"):
        shutil.copyfile(model.folder / name, folder / name)
    _write_split(model, folder)
    function = tensorflow_runtime.trace(inference)
    # for OpenVINO's own format and for bf16.npz
    converted = functools.cache(lambda: openvino_runtime.convert(function))
    tensors = [run_records.read_record(model.task, record) for record in files]
    parts = [[place] for place in range(len(files))] if model.task.variable_size else [list(range(len(files)))]
    batches = [stack_inputs([tensors[place] for place in part], model.task.padding(training=False)) for part in parts]
    keras_model = tensorflow_runtime.TensorFlowRuntime(function, inference)
    truths = [keras_model(batch) for batch in batches]
    paths = [[files[place]["file"] for place in part] for part in parts]
    proofs = {}
    for form in (form for form in EXPORT_FORMATS if form in to):
        given = _write_and_ask(form, model, inference, function, converted, folder, paths, batches)
        proofs[form] = _agreement(model.task, given, truths)
    if runtimes.has_openvino():
        layers = bf16_bias_correction.load_or_measure(model, converted())
        if layers:
            bf16_bias_correction.write(folder / bf16_bias_correction.FILE, layers)
    noun = "clips" if model.task.is_video else "photos"
    for form, proof in proofs.items():
        ties = f" ({proof['near_ties']} others are as good as tied)" if proof["near_ties"] else ""
        logger.info(
            f"{form}: {len(files)} {noun}, largest difference {proof['largest_difference']:.1e}, "
            f"same answer {proof['same']} of {len(files)}{ties}"
            + (f", mean IoU {proof['iou']:.4f}" if "iou" in proof else "")
        )
        agreed = proof["same"] + proof["near_ties"]
        if not proof["largest_difference"] <= TOLERANCE or agreed < len(files):
            raise RetinueError(
                f"{form}: differs from the Keras model by {proof['largest_difference']:.1e} (at most {TOLERANCE:g} is "
                f"allowed) and agrees on {agreed} of {len(files)} answers; nothing was exported"
            )
    return {
        "run": str(model.folder.resolve()),
        "task": model.task.name,
        "precision": "f32",
        "tolerance": TOLERANCE,
        "formats": proofs,
        noun: [record["file"] for record in files],
        "proven": model.proven,
        "created": now(),
        "versions": versions(),
    }


def _make_int8(model, folder, accept_loss):
    """Put an int8 model in the place of the proven one in `folder`. Gives what it costs, see `quantize.cost`."""
    openvino, path = openvino_runtime.import_openvino(), folder / runtimes.OPENVINO_FILE
    converted = openvino.Core().read_model(path)
    learned, held_out = quantize.known_files(model)
    small = quantize.quantized(model, converted, learned)
    found = quantize.cost(model.task, converted, small, held_out)
    words = "{score} {f32:.2%} in f32, {int8:.2%} in int8, on {files:,} held-out files".format(**found)
    if found["int8"] < found["f32"] - accept_loss / 100:
        points = 100 * (found["f32"] - found["int8"])
        raise RetinueError(
            f"int8 costs too much: {words}; nothing was exported. --max-score-drop {points + 0.1:.1f} takes it; bf16 "
            "is another way"
        )
    logger.info(f"int8: {words}")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        openvino.save_model(small, Path(scratch) / path.name, compress_to_fp16=False)
        del converted, small  # which hold the files that are replaced
        for written in Path(scratch).iterdir():
            os.replace(written, folder / written.name)
    return found


def _write_and_ask(form, model, inference, function, converted, folder, paths, batches):
    """Write one format into `folder`, and give what is read from there says of each batch, a list of dicts of arrays.

    function: `inference`, traced; converted: function () -> its `openvino.Model`; paths: the files of each batch.
    """
    if form == "savedmodel":
        export_savedmodel.write(model, inference, folder)
        return export_savedmodel.answers(folder, model.task, paths, batches)
    if form == "openvino":
        openvino, path = openvino_runtime.import_openvino(), folder / runtimes.OPENVINO_FILE
        openvino.save_model(converted(), path, compress_to_fp16=False)
        run = openvino_runtime.OpenVINORuntime(openvino.Core().read_model(path))
    elif form == "onnx":
        path = folder / runtimes.ONNX_FILE
        path.write_bytes(onnx_runtime.convert(function))
        run = onnx_runtime.OnnxRuntime(str(path))
    else:
        path = folder / runtimes.LITERT_FILE
        path.write_bytes(litert_runtime.convert(function, inference))
        run = litert_runtime.LiteRTRuntime(path)
    return [run(batch) for batch in batches]


def _agreement(task, given, truths):
    """`task.compare_outputs` over several batches; iou, where a task has it, is the mean over the files."""
    found = [task.compare_outputs(*pair, TOLERANCE) for pair in zip(given, truths, strict=True)]
    largest = max(one["largest_difference"] for one in found)
    told = {"largest_difference": largest} | {name: sum(one[name] for one in found) for name in ("same", "near_ties")}
    if "iou" in found[0]:
        sizes = [len(next(iter(batch.values()))) for batch in truths]
        told["iou"] = sum(size * one["iou"] for size, one in zip(sizes, found, strict=True)) / sum(sizes)
    return told


def _write_split(model, folder):
    """Which contents it learned from and which were held out, without names, so that `evaluate` can tell them apart."""
    if split_path(model.folder).is_file():
        atomic_write(folder / SPLIT_FILE, anonymous_split_csv(read_split_file(model.folder)))


def proof_records(model, images):
    """Of the photos or clips that were given, else of at most 8 that the run was made with: a dict each, with file, and
    of clips start and end in seconds."""
    if images is not None:
        records = [run_records.whole_file(file) for file in images]
        for record in records:
            if bad := run_records.find_problem(model, record):
                raise UsageError(f"--verify-images {record['file']}: is no proof, {bad[1]}; {bad[2]}")
    else:
        known = (record for split in PROOF_SPLITS for record in run_records.listed_records(model, split))
        usable = (record for record in known if not run_records.find_problem(model, record))
        records = list(itertools.islice(usable, PROOF_IMAGES))
        if not records and split_path(model.folder).is_file():
            noun = "clips" if model.task.is_video else "photos"
            raise UsageError(
                f"{split_path(model.folder)}: none of its {noun} is left to prove the export with; name some with "
                "--verify-images"
            )
    if not records:
        raise UsageError(f"{model.folder}: nothing to prove the export with; name some with --verify-images")
    return records


def _refuse_unknown(to, precision):
    for form in to:
        if form not in EXPORT_FORMATS:
            raise UsageError(f"--to {form}: is unknown; use one or more of {', '.join(EXPORT_FORMATS)}")
    if not to:
        raise UsageError(f"--to: name at least one of {', '.join(EXPORT_FORMATS)}")
    if precision not in EXPORT_PRECISIONS:
        raise UsageError(f"--precision {precision}: exports are f32 or int8; bf16 is chosen when an f32 one is run")
    if precision == "int8":
        if tuple(to) != ("openvino",):
            raise UsageError("--precision int8: is for OpenVINO alone; give --to openvino")
        quantize.refuse_missing()
    for form, runtime in NEEDS.items():
        if form in to and not runtimes.is_installed(runtime):
            raise UsageError(f"--to {form}: {runtime} is not installed; `pip install {runtimes.INSTALLED_BY[runtime]}`")
