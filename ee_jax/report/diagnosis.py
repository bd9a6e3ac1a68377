"""A diagnosis as its readers see it: a table, a figure and a page."""

from collections.abc import Iterator, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Group
from rich.text import Text

from ee_jax.report import text
from ee_jax.report.figures import MUTED, style
from ee_jax.report.render import Column, Row, Table, to_terminal
from ee_jax.report.report import inline, template


def exit_rows(record: Mapping[str, Any]) -> Table:
    """A row an exit: what it says, how it can be told right from wrong, what it drafts."""
    scores, of = [*record["exits"][0]["auroc"]], record["of"]
    writes = of == "tokens"
    perplexity = Column("perplexity", lambda row: _perplexity(row["perplexity"]))
    drafts = Column("draft speed-up", lambda row: text.number(row["draft_speedup"]))
    columns = (
        Column("blocks", lambda row: str(row["depth"])),
        Column("agrees %", lambda row: text.percent(row["agreement"])),
        Column("oracle %", lambda row: text.percent(row["oracle_count"] / record[of])),
        *([perplexity] if writes else []),
        Column("cosine", lambda row: text.number(row["cosine"]), spare=1),
        *(_score(name) for name in scores),
        *([drafts] if writes else []),
    )
    top = "top token" if writes else "class"
    drafting = f" draft speed-up: ideal, of {record['drafts']} drafts a pass." if writes else ""
    notes = (
        f"agrees: {top} is the full model's. oracle: share of {of} for which this is the "
        "first exit from which on all agree.",
        f"{', '.join(scores)}: AUROC for telling agreement from disagreement.{drafting}",
    )
    return Table("Exits", columns, tuple(record["exits"]), notes)


def _score(name: str) -> Column:
    return Column(name, lambda row: text.number(row["auroc"][name]))


def _perplexity(value: float) -> str:
    """Untrained exits have perplexities of millions."""
    return text.number(value, 1) if value < 1e5 else f"{value:.1e}"


def best_rows(record: Mapping[str, Any]) -> Table:
    """The most that any rule can save."""
    columns = (
        Column("may disagree", lambda row: text.share(row["disagreement"])),
        Column("mean depth", lambda row: text.number(row["mean_depth"])),
        Column("ideal speed-up", lambda row: text.number(row["ideal_speedup"])),
        Column("FLOPs speed-up", lambda row: text.number(row["flops_speedup"])),
    )
    note = (
        "A bound: each token stops at its first exit that agrees, and the dearest that may "
        "disagree stop at the first. No rule knows that much."
    )
    rows: tuple[Row, ...] = tuple(record["best"])
    return Table("The best that any rule can reach", columns, rows, (note,))


def reach_rows(record: Mapping[str, Any]) -> Table:
    """What one threshold on each confidence reaches."""
    columns = (
        Column("confidence", lambda row: row["confidence"]),
        Column("may disagree", lambda row: text.share(row["allowed"])),
        Column("threshold", lambda row: text.number(row["threshold"], 3), spare=1),
        Column("disagree %", lambda row: text.percent(row["disagreement"])),
        Column("mean depth", lambda row: text.number(row["mean_depth"])),
        Column("FLOPs speed-up", lambda row: text.number(row["flops_speedup"])),
        Column("timed speed-up", lambda row: text.number(row["timed_speedup"])),
    )
    note = (
        "One threshold for all exits, chosen on the first half of the "
        f"{record['of']}, measured on the other. timed: what stops at each exit on the clock "
        "(--clock), at batch 1."
    )
    if record["of"] == "tokens":
        note += " What skipped blocks are made up for later is in none of the speed-ups."
    rows: tuple[Row, ...] = tuple(record["reach"])
    return Table("What a threshold reaches", columns, rows, (note,))


def summary(record: Mapping[str, Any], width: int | None = None) -> Group:
    """What the terminal shows."""
    found = exit_rows(record), best_rows(record), reach_rows(record)
    tables = [to_terminal(table, width) for table in found]
    facts = "\n".join(f"{name}: {value}" for name, value in _facts(record))
    return Group(*tables, Text(f"{facts}\n\n{record['verdict']}"))


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    blocks = record["blocks"]
    yield "oracle's mean depth", f"{text.number(record['oracle_mean_depth'])} of {blocks}"
    first = text.number(record["first_mean_depth"])
    yield "mean depth of the first exit that agrees", f"{first} of {blocks}"
    yield "an exit's answer costs", f"{text.number(record['cost']['answer_blocks'])} blocks"
    if record["of"] == "tokens":
        what = f"{record['tokens']} tokens, {record['rows']} rows of {record['length']}"
    else:
        what = f"{record['texts']} texts, the median of {record['tokens_a_text']} tokens"
    yield "measured on", f"{what}, in {record['seconds']:.0f} s"


def figure(record: Mapping[str, Any]) -> Figure:
    """Agreement by block, and where the oracle stops."""
    with style():
        drawn = Figure(figsize=(8, 4.6), layout="constrained")
        agreement, oracle = drawn.subplots(2, 1, sharex=True)
        _draw(agreement, oracle, record)
    return drawn


def _draw(agreement: Axes, oracle: Axes, record: Mapping[str, Any]) -> None:
    depths = [row["depth"] for row in record["exits"]]
    agreement.plot(depths, [100 * row["agreement"] for row in record["exits"]], marker="o")
    agreement.set_ylabel("% agree with\nthe full model")
    agreement.set_ylim(0, 103)
    of = record["of"]
    oracle.bar(depths, [100 * row["oracle_count"] / record[of] for row in record["exits"]])
    oracle.axvline(record["oracle_mean_depth"], color=MUTED, linestyle="--", label="mean")
    oracle.legend()
    oracle.set_ylabel(f"% of {of} whose\noracle stops here")
    oracle.set_xlabel("blocks run")


def page(record: Mapping[str, Any]) -> str:
    """The HTML text, which needs nothing else."""
    return template("diagnosis").render(
        record=record,
        exits=exit_rows(record),
        best=best_rows(record),
        reach=reach_rows(record),
        facts=list(_facts(record)),
        figure=inline(figure(record), "diagnosis"),
    )
