"""A model of three lines, whose answers are looked up, and the loop in plain Python.

Example n answers at exit e with row [e, n] of a table. Its state counts the segments that it
has been through: whoever missed one, or went through one twice, answers NaN.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ee_jax.exits.output import ExitOutput

LAYERS = (1, 2, 4, 7)
E, N, C, D = len(LAYERS), 6, 3, 4


class Table(NamedTuple):
    logits_ENC: np.ndarray
    feature_END: np.ndarray
    score_EN: np.ndarray


def make_table(seed, exits=E, examples=N):
    random = np.random.default_rng(seed)
    arrays = (random.normal(size=(exits, examples, width), scale=1.5) for width in (C, D))
    score_EN = random.normal(size=(exits, examples), scale=2)
    return Table(*(array.astype(np.float32) for array in (*arrays, score_EN)))


def start(examples=N):
    """The state is a pytree; each example knows its number."""
    number_B = jnp.arange(examples)
    return {"number": number_B, "deep": (jnp.zeros(examples, int), jnp.ones((examples, 2)))}


def make_segment(exit):
    def segment(state):
        count_B, path_B2 = state["deep"]
        count_B = jnp.where(count_B == exit, exit + 1, -1)
        return {**state, "deep": (count_B, path_B2 * (exit + 2))}

    return segment


def make_head(exit, table):
    logits_NC, feature_ND, score_N = (jnp.asarray(part[exit]) for part in table)
    factor = np.prod(np.arange(exit + 1) + 2)  # what the segments make of `path_B2`

    def head(state):
        (count_B, path_B2), number_B = state["deep"], state["number"]
        right_B = (count_B == exit + 1) & (path_B2 == factor).all(1)
        logits_BC = jnp.where(right_B[:, None], logits_NC[number_B], jnp.nan)
        return ExitOutput(logits_BC, feature_ND[number_B], score_N[number_B])

    return head


def segments(exits=E):
    return [make_segment(exit) for exit in range(exits)]


def heads(table):
    return [make_head(exit, table) for exit in range(len(table.logits_ENC))]


def textbook_confidence(kind, table, exit, example):
    """One number, in double precision."""
    logits_C, feature_D = (table[part][exit, example].astype(float) for part in (0, 1))
    p = np.exp(logits_C - logits_C.max())
    p = np.sort(p / p.sum())
    if kind == "max_prob":
        return p[-1]
    if kind == "margin":
        return p[-1] - p[-2]
    if kind == "entropy":
        return 1 + (p * np.log(p)).sum() / np.log(len(p))
    if kind == "learned":
        return 1 / (1 + np.exp(-float(table.score_EN[exit, example])))
    answers = table.logits_ENC[: exit + 1, example].argmax(-1).tolist()
    if kind == "voting":
        return answers.count(answers[-1]) / len(table.logits_ENC)
    if kind == "patience":
        changes = [e for e in range(exit) if answers[e] != answers[-1]]
        start = changes[-1] + 1 if changes else 0
        return (exit - start) / len(table.logits_ENC)
    assert kind == "saturation"
    if exit == 0:
        return 0.0
    previous_D = table.feature_END[exit - 1, example].astype(float)
    lengths = np.linalg.norm(feature_D) * np.linalg.norm(previous_D)
    return max(0.0, feature_D @ previous_D / lengths)


def all_confidences(kind, table):
    exits, examples = table.score_EN.shape
    return np.array(
        [
            [textbook_confidence(kind, table, e, n) for n in range(examples)]
            for e in range(exits)
        ]
    )


def plain_exit(confidence_E, prediction_E, threshold_E, layers, min_depth=1, patience=0):
    """Where one example stops."""
    streak, last = 0, len(layers) - 1
    for exit, depth in enumerate(layers):
        same = exit > 0 and prediction_E[exit] == prediction_E[exit - 1]
        streak = streak + 1 if same else 0
        sure = confidence_E[exit] > threshold_E[exit]
        if exit == last or (sure and depth >= min_depth and streak >= patience):
            return exit
    raise AssertionError("no exits")
