"""A model of ours in torch, by Hugging Face transformers: the peer of benchmarks."""

import tempfile
from pathlib import Path
from typing import Any

from ee_jax.errors import UserError
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.export import export_model
from ee_jax.models.language import LanguageModel


def in_torch(model: ExitModel | LanguageModel, kind: str, **options: Any) -> Any:
    """The same weights as transformers' class `kind`, ready to be called without gradients.

    Raises:
      UserError: torch or transformers is not installed.
    """
    try:
        import torch  # noqa: F401, without it transformers has no models
        import transformers
    except ImportError:
        raise UserError("torch is not installed: pip install 'ee_jax[bench]'") from None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        export_model(model, Path(folder))
        return getattr(transformers, kind).from_pretrained(folder, **options).eval()
