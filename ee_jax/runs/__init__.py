"""A whole experiment: the story from config to report, and the folder that holds it."""
