"""Values of command-line options that must be known before TensorFlow is imported."""

# The precisions in which each runtime can compute; some exported models are int8.
RUNTIME_PRECISIONS = {
    "tensorflow": ("f32",),
    "openvino": ("f32", "bf16"),
    "onnxruntime": ("f32",),
    "litert": ("f32",),
}
RUNTIMES = ("auto", *RUNTIME_PRECISIONS)
PRECISIONS = ("auto", "f32", "bf16", "int8")
ENGINES = ("local", "ray")
EXPORT_FORMATS = ("savedmodel", "openvino", "onnx", "litert")
EXPORT_PRECISIONS = ("f32", "int8")
RESULT_FORMATS = ("jsonl", "csv", "coco")
