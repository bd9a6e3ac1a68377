"""Copies of the golden folders, to be changed and broken."""

import json
import shutil

from safetensors.numpy import load_file, save_file

from ee_jax.models.files import INDEX, WEIGHTS
from ee_jax.models.huggingface import read_architecture
from tests.models.golden_models import FOLDER

# Of a long Llama: its rotary positions.
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def copy_golden(name, path):
    return shutil.copytree(FOLDER / name, path / name)


def change_config(folder, **change):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def change_tensors(folder, change):
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)


def shard(folder, shards=3):
    """The weights as several files and their index; the shards' names."""
    tensors = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    names = [f"model-{n + 1:05}-of-{shards:05}.safetensors" for n in range(shards)]
    where = {tensor: names[n % shards] for n, tensor in enumerate(sorted(tensors))}
    for name in names:
        own = {tensor: tensors[tensor] for tensor in tensors if where[tensor] == name}
        save_file(own, folder / name)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return names


def copy_golden_with(name, path, **change):
    """A golden folder whose config has been changed."""
    folder = copy_golden(name, path)
    change_config(folder, **change)
    return folder


def changed(name, path, **change):
    """The architecture that it describes then."""
    return read_architecture(copy_golden_with(name, path, **change))
