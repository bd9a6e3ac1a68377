"""placeholder"""

from ee_jax.studies.deebert import experiment
from ee_jax.studies.study import Study

STUDY = Study("fastbert", "FastBERT", ("rte", "sst2"), experiment, paper="fastbert")
