"""The report of a language model's run: table, figure, page."""

import json

from ee_jax.report import text
from ee_jax.report.language_calibrated import calibration_table, findings, setting
from ee_jax.report.language_figure import perplexity_depth
from ee_jax.report.language_tables import alone_table, depth_table, speculation_table
from ee_jax.report.page import inline, template
from ee_jax.report.report import Report
from ee_jax.report.results import Results, batches

MOST = 1.05  # times the full model's perplexity: what the headline gives up


def language_report(results: Results) -> Report:
    """The report of a language model's run."""
    tables = {
        "table": depth_table(results),
        "exits": alone_table(results),
        "calibration": calibration_table(results),
    }
    if (speculation := speculation_table(results)).rows:
        tables["speculation"] = speculation
    figures = {"perplexity_depth.png": perplexity_depth(results)}
    return Report(tables, figures, page(results))


def page(results: Results) -> str:
    """One HTML file that needs nothing else."""
    return template("language").render(
        results=results,
        headline=headline(results),
        findings=findings(results),
        config=json.dumps(results["config"], indent=2),
        depths=depth_table(results),
        alone=alone_table(results),
        calibrated=calibration_table(results),
        speculation=speculation_table(results),
        batches=batches(results),
        perplexity_depth=inline(perplexity_depth(results), "perplexity-depth"),
    )


def headline(results: Results) -> str:
    """The least mean depth near the best full model's perplexity."""
    strategies, blocks = results["strategies"], results["model"]["blocks"]
    best = min(strategy["full_perplexity"] for strategy in strategies.values())
    near = [
        (point["mean_depth"], name, point)
        for name, strategy in strategies.items()
        for point in strategy["points"]
        if point["perplexity"] <= MOST * best and point["threshold"] < 1
    ]
    within = f"within {text.share(MOST - 1)} of the best full model's perplexity, "
    within += text.number(best)
    if not near:
        return f"Nothing was gained: no setting stayed {within}."
    depth, name, point = min(near, key=lambda each: each[0])
    if depth >= blocks:
        return f"Nothing was gained: {within}, no token stopped early."
    flops = text.number(point["flops_speedup"])
    ran = f"{name} ran {text.number(depth)} of {blocks} blocks a token"
    return f"{ran} {within} ({setting(point)}; FLOPs speed-up {flops})."
