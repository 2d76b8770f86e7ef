"""Networks as files: safetensors and ONNX."""
