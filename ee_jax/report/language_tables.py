"""The tables of a language model's run."""

from ee_jax.report import text
from ee_jax.report.render import Column, Table
from ee_jax.report.results import Results, batches, measured
from ee_jax.report.tables import STRATEGY, measured_column

PERPLEXITY = Column("perplexity", lambda row: text.number(row["perplexity"]))
AGREEMENT = Column("like full model %", lambda row: text.percent(row["agreement"]))


def depth_table(results: Results) -> Table:
    """Confidence, policy and threshold against perplexity, agreement, depth and FLOPs."""
    keys = (
        "confidence", "policy", "threshold", "calibrated_for", "perplexity", "agreement",
        "mean_depth", "ideal_speedup", "flops_speedup",
    )  # fmt: skip
    timed = batches(results)
    measures = [measured(batch) for batch in timed]
    rows = [
        {"strategy": name}
        | {key: point[key] for key in keys}
        | {key: point.get(key) for key in measures}
        for name, strategy in results["strategies"].items()
        for point in strategy["points"]
    ]
    columns = (
        STRATEGY,
        Column("confidence", lambda r: r["confidence"], is_text=True),
        Column("policy", lambda r: r["policy"], is_text=True),
        Column("threshold", text.setting, is_text=True),
        PERPLEXITY,
        AGREEMENT,
        Column("mean depth", lambda r: text.number(r["mean_depth"])),
        Column("ideal speed-up", lambda r: text.number(r["ideal_speedup"])),
        Column("FLOPs speed-up", lambda r: text.number(r["flops_speedup"])),
        *(measured_column(batch) for batch in timed),
    )
    title = f"{results['name']}: perplexity and depth on the test split"
    note = (
        "Policy: what later tokens see of the blocks that a token skipped. "
        "Like full model: tokens for which both predict the same. "
        "At threshold 1 no token stops early. "
        f"Ideal speed-up: blocks ({results['model']['blocks']}) / mean depth. "
        "FLOPs speed-up: of decoding a row alone, with the logits "
        f"({results['model']['vocabulary']:,} a token) that exits read on the way and what the "
        "policy makes of skipped blocks."
    )
    if timed:
        note += (
            " Measured: wall clock of decoding with all blocks / with early exits, on prompts "
            "of the test split, each writing its own text."
        )
    return Table(title, columns, tuple(rows), (note,))


def alone_table(results: Results) -> Table:
    """What each exit predicts if all tokens stop there."""
    rows = [
        {"strategy": name, **entry}
        for name, strategy in results["strategies"].items()
        for entry in strategy["exits"]
    ]
    columns = (
        STRATEGY,
        Column("exit after block", lambda r: str(r["depth"])),
        PERPLEXITY,
        AGREEMENT,
    )
    return Table(f"{results['name']}: each exit alone", columns, tuple(rows))


def speculation_table(results: Results) -> Table:
    """Drafting depth and length against acceptance and measured speed-up."""
    rows = [
        {"strategy": name, **entry}
        for name, strategy in results["strategies"].items()
        for entry in strategy["speculation"]
    ]
    columns = (
        STRATEGY,
        Column("batch", lambda r: str(r["batch"])),
        Column("drafting blocks", lambda r: str(r["depth"])),
        Column("drafts", lambda r: str(r["drafted"])),
        Column("accepted %", lambda r: text.percent(r["acceptance"])),
        Column("tokens a pass", lambda r: text.number(r["tokens_a_pass"])),
        Column("measured speed-up", lambda r: text.number(r["speedup"])),
        Column("same tokens", lambda r: "yes" if r["same_tokens"] else "NO"),
    )
    note = (
        "The first blocks draft, the others verify all drafts in one pass. Measured: wall "
        "clock of plain decoding / of self-speculation, both compiled, interleaved."
    )
    return Table(f"{results['name']}: self-speculation", columns, tuple(rows), (note,))
