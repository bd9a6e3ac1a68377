"""The page of a text: a heat map of depths that needs nothing else.

Depth as warmth: how far a token's depth lies between the first exit and the last.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from ee_jax.display import plain
from ee_jax.report import text
from ee_jax.report.render import Column, Table
from ee_jax.report.report import template

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
        console.print(Text(plain(piece, "\n\t"), colour(depth, layers)), end="")
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


def page(record: Mapping[str, Any]) -> str:
    """The HTML text; what a token says of itself shows under the mouse."""
    layers = record["exits"]
    return template("generated").render(
        record=record,
        headline=headline(record),
        tokens=[shown(token, layers) for token in record["generated"]],
        legend=[(depth, heat(depth, layers)) for depth in layers],
        depths=depth_table(record),
        speed=list(_speed(record)),
        settings=list(_settings(record)),
    )


def headline(record: Mapping[str, Any]) -> str:
    """Depth, or what came of the drafts, and speed."""
    speed = record["speed"]
    fast = f"{text.number(speed['measured_speedup'])} times as fast as all {record['blocks']}"
    if record["draft"] is None:
        return f"{text.number(speed['mean_depth'])} blocks a token: {fast}."
    accepted, a_pass = text.drafts(speed["acceptance"]), text.number(speed["tokens_a_pass"])
    return f"{accepted[0].upper()}{accepted[1:]}, {a_pass} tokens a pass: {fast}."


def shown(token: Mapping[str, Any], layers: Sequence[int]) -> dict[str, Any]:
    """A token as a page has it: its text, its warmth, and what it says under the mouse."""
    depth = token["depth"]
    if depth is None:
        return {"text": token["text"], "title": token["name"], "heat": None}
    title = f"{token['name']}, depth {depth}"
    if token["confidence"] is not None:  # a static decoder asks none
        title += f", confidence {text.number(token['confidence'], 3)}"
    return {"text": token["text"], "title": title, "heat": heat(depth, layers)}


def depth_table(record: Mapping[str, Any]) -> Table:
    """How many tokens stopped where, and how sure they were."""
    tokens = record["generated"]
    rows = []
    for depth in record["exits"]:
        sure = [token["confidence"] for token in tokens if token["depth"] == depth]
        mean = sum(sure) / len(sure) if sure else None
        share = len(sure) / len(tokens)
        rows.append({"depth": depth, "tokens": len(sure), "share": share, "mean": mean})
    columns = (
        Column("depth", lambda row: str(row["depth"])),
        Column("tokens", lambda row: str(row["tokens"])),
        Column("%", lambda row: text.percent(row["share"])),
        Column("mean confidence", lambda row: text.number(row["mean"], 3)),
    )
    return Table("Where tokens stopped", columns, tuple(rows))


def _speed(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    speed = record["speed"]
    yield "tokens a second", text.number(speed["tokens_per_second"], 1)
    yield "with all blocks", text.number(speed["static_tokens_per_second"], 1)
    if record["draft"] is None:
        yield "mean depth", f"{text.number(speed['mean_depth'])} of {record['blocks']}"
    else:
        share = speed["acceptance"]
        yield "drafts accepted", "none made" if share is None else f"{text.percent(share)} %"
        yield "tokens a pass", text.number(speed["tokens_a_pass"])
    for drafter, passes in speed.get("passes", {}).items():
        yield f"passes, {drafter}", str(passes)
    yield "ideal speed-up", text.number(speed["ideal_speedup"])
    if record["draft"] is None:
        yield "FLOPs speed-up", text.number(speed["flops_speedup"])
    yield "measured speed-up", text.number(speed["measured_speedup"])


def _settings(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "model", record["model"]
    if record["threshold"] is not None:
        yield "confidence", record["confidence"]
        yield "threshold", f"{record['threshold']:g}"
    if record["draft"] is None:
        yield "skipped blocks", record["policy"]
    else:
        by_name = isinstance(record["draft"], str)
        yield "drafter" if by_name else "drafting blocks", record["draft"]
    sampling = record["sampling"]
    if sampling["temperature"] == 0:
        yield "sampling", "greedy"
    else:
        yield "sampling", ", ".join(f"{name} {value:g}" for name, value in sampling.items())
        yield "seed", record["seed"]
