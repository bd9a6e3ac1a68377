"""Depth as warmth: how far a token's depth lies between the first exit and the last."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from ee_jax.report import text

# From cool to hot; each can be read on a light terminal and on a dark one.
SCALE = ((63, 140, 214), (147, 112, 196), (214, 90, 60))


def heat(depth: int, layers: Sequence[int]) -> float:
    """0 at the first exit, 1 at the last one; with a single exit, 1."""
    first, last = layers[0], layers[-1]
    return 1.0 if first == last else (depth - first) / (last - first)


def colour(depth: int | None, layers: Sequence[int]) -> str:
    """A colour of `SCALE`, for `rich`; none where no depth is known."""
    if depth is None:
        return ""
    at = heat(depth, layers) * (len(SCALE) - 1)
    lower = min(int(at), len(SCALE) - 2)
    pairs = zip(SCALE[lower], SCALE[lower + 1], strict=True)
    mixed = [round(low + (at - lower) * (high - low)) for low, high in pairs]
    return f"rgb({','.join(map(str, mixed))})"


def write_heat(layers: Sequence[int]) -> Callable[[str, int | None], None]:
    """A function that writes a piece of text to the terminal in the colour of its depth."""
    console = Console(highlight=False, soft_wrap=True)

    def write(piece: str, depth: int | None) -> None:
        console.print(Text(piece, colour(depth, layers)), end="")
        console.file.flush()

    return write


def summary(record: Mapping[str, Any]) -> Group:
    """The colours and the numbers of a text, below it."""
    layers = record["exits"]
    legend = Text("\nblocks run: ")
    for depth in layers:
        legend.append(f"{depth} ", colour(depth, layers))
    known = record["draft"] is None
    return Group(*([legend] if known else [""]), Text(numbers(record)))


def numbers(record: Mapping[str, Any]) -> str:
    """Speed and depth of a text in one line."""
    speed, blocks = record["speed"], record["blocks"]
    fast = (
        f"{text.number(speed['tokens_per_second'], 1)} tokens/s; "
        f"all {blocks} blocks {text.number(speed['static_tokens_per_second'], 1)}"
    )
    gain = (
        f"speed-up {text.number(speed['measured_speedup'])} measured, "
        f"{text.number(speed['ideal_speedup'])} ideal"
    )
    if record["draft"] is not None:
        a_pass = f"{text.number(speed['tokens_a_pass'])} tokens a pass"
        return f"{fast}; {text.drafts(speed['acceptance'])}, {a_pass}; {gain}"
    flops = f"{text.number(speed['flops_speedup'])} FLOPs"
    return f"{fast}; mean depth {text.number(speed['mean_depth'])}; {gain}, {flops}"
