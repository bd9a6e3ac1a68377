"""The tasks: the only rooms that know what is classified, predicted or written."""
