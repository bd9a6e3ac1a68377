"""Data: builders, prepared data sets, tokenisation, batches.

Import what you need from its module; nothing heavy is imported here.

- `registry`: the data sets by name
- `prepared`: `prepare` builds a data set once, `open_split` reads it and checks it
- `stdlib_docstrings`, `glue`: the builders; `held_out`: rows to hold out of a training set
- `text`: texts to token ids, lengths to buckets
- `batches`: `training_batches`, `evaluation_batches`, all of static shape
"""
