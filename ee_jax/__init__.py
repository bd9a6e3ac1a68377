"""Early exit in transformers, compiled: train exits, choose thresholds, measure."""

__version__ = "0.1.0"
