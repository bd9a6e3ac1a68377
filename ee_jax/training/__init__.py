"""Strategies, losses, the training step and loop, and checkpoints."""
