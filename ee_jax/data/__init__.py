"""Data: builders, prepared data sets, tokenisation, batches.

Import what you need from its module; nothing heavy is imported here.

- `registry`: the data sets by name
- `prepared`: `prepare` builds a data set once, `open_split` reads it and checks it
- `stdlib_docstrings`, `glue`, `text_files`: the builders
- `glue_files`, `glue_stock`: GLUE's rows, from its own files and from TFDS
- `held_out`: rows to hold out of a training set
- `text`: texts to token ids, lengths to buckets
- `batches`: `training_batches`, `evaluation_batches`, all of static shape
"""
