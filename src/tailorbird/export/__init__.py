"""Networks as files: weights, plain Python, ONNX and a card."""

from tailorbird.export.network import load

__all__ = ["load"]
