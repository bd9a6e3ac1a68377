"""The page of a conversation: every answer as a heat map of depths, and what it took."""

from collections.abc import Mapping
from typing import Any

from ee_jax.report import text
from ee_jax.report.generated import heat, shown
from ee_jax.report.report import template


def page(record: Mapping[str, Any]) -> str:
    """The HTML text of what a chat has recorded."""
    layers = record["exits"]
    turns = [
        {
            "user": turn["user"],
            "tokens": [shown(token, layers) for token in turn["generated"]],
            "note": note(turn, layers[-1]),
        }
        for turn in record["turns"]
    ]
    return template("conversation").render(
        record=record,
        headline=headline(record),
        legend=[(depth, heat(depth, layers)) for depth in layers],
        turns=turns,
    )


def headline(record: Mapping[str, Any]) -> str:
    """How many turns there were, and the mean depth of all tokens whose depths are known."""
    tokens = [token for turn in record["turns"] for token in turn["generated"]]
    depths = [token["depth"] for token in tokens if token["depth"] is not None]
    count = len(record["turns"])
    said = f"{count} answer{'s' if count != 1 else ''} of {len(tokens)} tokens"
    if not depths:
        return f"{said}."
    mean = text.number(sum(depths) / len(depths))
    return f"{said}, {mean} of {record['exits'][-1]} blocks a token."


def note(turn: Mapping[str, Any], blocks: int) -> str:
    """Speed, depth, work and promise of an answer in one line."""
    speed, depth, flops = (
        turn[name] for name in ("tokens_per_second", "mean_depth", "share_of_flops")
    )
    said = [f"{len(turn['generated'])} tokens"]
    said += [] if speed is None else [f"{text.number(speed, 1)} tokens/s"]
    said += [f"first after {text.number(turn['first_token_seconds'])} s"]
    said += [] if depth is None else [f"mean depth {text.number(depth)} of {blocks}"]
    said += [] if flops is None else [f"{text.percent(flops)} % of the full model's FLOPs"]
    if turn["threshold"] is not None:
        said.append(f"{turn['confidence']} above {turn['threshold']:g}")
    if turn["draft"] is not None:
        said += [f"drafts by {turn['draft']} blocks, {text.drafts(turn['acceptance'])}"]
    ends = {"length": "cut at the most tokens", "stopped": "stopped"}
    said += [ends[turn["finish"]]] if turn["finish"] in ends else []
    return "; ".join([*said, turn["promise"]])
