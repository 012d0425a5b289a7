"""What the commands let a user choose from: words that are known before TensorFlow is loaded."""

# What each runtime can compute in; "int8" is what some exports are.
RUN_IN = {"tensorflow": ("f32",), "openvino": ("f32", "bf16"), "onnxruntime": ("f32",), "litert": ("f32",)}
RUNTIMES = ("auto", *RUN_IN)
PRECISIONS = ("auto", "f32", "bf16", "int8")
ENGINES = ("local", "ray")
EXPORT_FORMATS = ("savedmodel", "openvino", "onnx", "litert")
EXPORT_PRECISIONS = ("f32", "int8")
RESULT_FORMATS = ("jsonl", "csv", "coco")
