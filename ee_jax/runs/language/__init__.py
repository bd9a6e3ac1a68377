"""An experiment on a language model, end to end."""
