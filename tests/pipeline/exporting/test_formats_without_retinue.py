"""Every format of a model of every task, run with the format's own runtime alone and without retinue."""

import json
import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest

from retinue import tasks
from retinue.configs.load import load_config, to_yaml
from retinue.pipeline.exporting.export import TOLERANCE, export
from retinue.pipeline.exporting.options import ExportOptions
from retinue.pipeline.runs import run_records
from retinue.pipeline.runs.run import Model
from retinue.pipeline.runtimes import tensorflow_runtime
from retinue.pipeline.runtimes.batching import stack_inputs

pytestmark = pytest.mark.slow

CLASSES = ("apple", "bean", "cherry")
SETTINGS = {
    "classification": ["model.backbone=resnet18", "model.input_size=64"],
    "detection": [
        "model.backbone=resnet18",
        "model.input_size=64",
        "detection.max_size=128",
        "detection.anchor_sizes=[16,32,64,64,64]",
        "detection.fpn_channels=16",
        "detection.box_head_dim=32",
        "detection.rpn_pre_nms_top_n_test=50",
        "detection.rpn_post_nms_top_n_test=50",
    ],
    "segmentation": ["model.backbone=resnet18", "segmentation.head=deeplabv3", "model.input_size=64"],
    "video": [
        "model.backbone=lenet5",
        "model.input_size=32",
        "video.frame_size=[36,48]",
        "video.flow_length=3",
        "video.test_segments=2",
    ],
}
# Each reads `inputs` from a file and leaves `outputs` for another, both {name: array}.
BEFORE = "import sys; sys.modules['retinue'] = None; import numpy as np; inputs = dict(np.load(sys.argv[2])); "
AFTER = "; np.savez(sys.argv[3], **outputs)"
ELSEWHERE = {
    "savedmodel": (
        "import tensorflow as tf; model = tf.saved_model.load(sys.argv[1]); outputs = model.signatures['model']"
        "(**{name: tf.constant(value) for name, value in inputs.items()}); "
        "outputs = {name: value.numpy() for name, value in outputs.items()}"
    ),
    "openvino": (
        "import openvino; model = openvino.Core().compile_model(sys.argv[1] + '/model.xml', 'CPU', "
        "{'INFERENCE_PRECISION_HINT': 'f32'}); results = model(inputs); "
        "outputs = {out.get_any_name(): results[out] for out in model.outputs}"
    ),
    "onnx": (
        "import onnxruntime; model = onnxruntime.InferenceSession(sys.argv[1] + '/model.onnx'); "
        "names = [out.name for out in model.get_outputs()]; outputs = dict(zip(names, model.run(names, inputs)))"
    ),
    "litert": (
        "from ai_edge_litert.interpreter import Interpreter; "
        "outputs = Interpreter(sys.argv[1] + '/model.tflite').get_signature_runner()(**inputs)"
    ),
}


SERVED = (
    "import sys; sys.modules['retinue'] = None; import base64, json, tensorflow as tf; "
    "serve = tf.saved_model.load(sys.argv[1]).signatures['serving_default']; "
    "rows = json.load(open(sys.argv[1] + '/request.json'))['instances']; "
    "given = serve(bytes=tf.constant([base64.b64decode(row['bytes']['b64']) for row in rows])); "
    "print(json.dumps({name: value.numpy()[0].tolist() for name, value in given.items() if value.dtype != tf.string}))"
)


def make_model(folder, task):
    """A `Model` with random weights."""
    folder.mkdir()
    config = load_config(settings=[f"task={task}", "model.weights=none", *SETTINGS[task]])
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    (folder / "classes.json").write_text(json.dumps({"classes": CLASSES, "multi_label": False}), encoding="utf-8")
    keras.utils.set_random_seed(0)
    tasks.create(config, CLASSES, False).build().save_weights(folder / "best.weights.h5")
    return Model(folder, "run")


def make_file(folder, task, seed):
    """Make an image, or a clip, with coarse shapes."""
    random = np.random.default_rng(seed)
    frames = [cv2.resize(random.integers(0, 256, (4, 5, 3), np.uint8), (90, 70)) for _ in range(8)]
    if task != "video":
        path = folder / f"{seed}.png"
        cv2.imwrite(str(path), frames[0])
        return path
    path = folder / f"{seed}.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (90, 70))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


@pytest.mark.parametrize("task", SETTINGS)
def test_each_format_agrees_with_keras_without_retinue(task, tmp_path):
    model = make_model(tmp_path / "run", task)
    files = [make_file(tmp_path, task, seed) for seed in range(3)]
    out = tmp_path / "exported" / "1"
    described = export(model, out.parent, ExportOptions(formats=tuple(ELSEWHERE), verify_images=files, versioned=True))
    assert list(described["formats"]) == list(ELSEWHERE)
    for proof in described["formats"].values():
        assert proof["largest_difference"] <= TOLERANCE and proof["same"] + proof["near_ties"] == 3
    tensors = [run_records.read_record(model.task, run_records.whole_file(file)) for file in files]
    batch = stack_inputs(tensors, model.task.padding(training=False))
    inference = model.task.inference(model.build())
    truth = tensorflow_runtime.TensorFlowRuntime(tensorflow_runtime.trace(inference), inference)(batch)
    np.savez(tmp_path / "inputs.npz", **batch)
    for form, program in ELSEWHERE.items():
        command = [sys.executable, "-c", BEFORE + program + AFTER, out, tmp_path / "inputs.npz", tmp_path / form]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, f"{form}: {done.stderr[-2000:]}"
        given = dict(np.load(tmp_path / f"{form}.npz"))
        assert set(given) == set(truth), form
        reported = model.task.compare_outputs(given, truth, TOLERANCE)
        assert reported["largest_difference"] <= TOLERANCE and reported["same"] + reported["near_ties"] == 3, (
            form,
            reported,
        )
    if task == "video":  # whose request would be too large to be an example
        assert not (out / "request.json").exists()
        return
    done = subprocess.run([sys.executable, "-c", SERVED, out], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr[-2000:]
    (row,) = json.loads((out / "response.json").read_text("utf-8"))["predictions"]
    for name, value in json.loads(done.stdout).items():
        np.testing.assert_allclose(row[name], value, rtol=1e-4, atol=1e-4, err_msg=name)
