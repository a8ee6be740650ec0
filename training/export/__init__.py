"""From a torch module to an encoder's folder: encoder.onnx, held against torch, and its card."""
