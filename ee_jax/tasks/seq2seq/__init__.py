"""Texts that are written of other texts: translations, summaries, answers."""
