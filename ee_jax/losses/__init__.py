"""Losses of exits, as pure functions over the outputs of all exits."""
