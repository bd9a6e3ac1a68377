"""Decoding with exits, what blocks see of tokens that skipped them, self-speculation."""
