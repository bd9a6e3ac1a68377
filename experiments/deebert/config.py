"""DeeBERT's recipe on BERT-base and SST-2, as a run by itself: to see first what it takes.

Memory:    ee-jax compile experiments/deebert/config.py --data.manual-dir DIR
Command:   ee-jax run experiments/deebert/config.py --data.manual-dir DIR
           DIR holds the official files of GLUE. The whole study, with the paper's cells, is
           `ee-jax reproduce deebert --backbone google-bert/bert-base-uncased`.
"""

from pathlib import Path

from ee_jax.config import Experiment
from ee_jax.reproduce.study import find_study


def get_config() -> Experiment:
    """The study's experiment of SST-2; the first use of the weights fetches them."""
    study = find_study(str(Path(__file__).parent))
    return study.experiment("sst2", "google-bert/bert-base-uncased")
