"""The networks that are trained: image towers give a map and its pooled vector, text towers a vector."""
