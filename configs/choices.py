"""What the commands let a user choose from: words that are known before TensorFlow is loaded."""

RUNTIMES = ("auto", "tensorflow", "openvino", "onnxruntime", "litert")
PRECISIONS = ("auto", "f32", "bf16", "int8")
ENGINES = ("local", "ray")
EXPORT_FORMATS = ("savedmodel", "openvino", "onnx", "litert")
EXPORT_PRECISIONS = ("f32", "int8")
