"""Backbones from small parts, exit heads, and Hugging Face weights in and out."""
