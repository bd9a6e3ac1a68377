"""Text from a language model: where the model lies, what is asked of it, what came out."""
