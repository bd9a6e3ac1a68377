"""The story of a diagnosis: a model, some text, and what early exit could buy there.

Nothing is trained. A model without exits of its own answers after every block by the logit
lens; one with trained exits by these. Speech is of tokens: of a classifier they are texts.
"""

import time
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from ee_jax.calibration.scores import auroc
from ee_jax.display import SILENT, Display
from ee_jax.evaluation import diagnosis
from ee_jax.evaluation.exit_scan import ExitScan
from ee_jax.evaluation.perplexity import perplexity
from ee_jax.evaluation.reach import predicted_speedup, reach
from ee_jax.exits.confidence import CONFIDENCES
from ee_jax.results import nan_to_none
from ee_jax.runs.scanned import Request, Scanned, scan_model

DISAGREEMENTS = (0.01, 0.02, 0.05)
DRAFTS = 4  # tokens drafted before each verifying pass
# Of the blocks that the oracle saves: below the first not worth having, above the second they
# are. The oracle knows the answers; a rule that does not gets a part of it.
LITTLE, MUCH = 0.15, 0.3


def diagnose(request: Request, display: Display = SILENT) -> dict[str, Any]:
    """What early exit could buy, as plain data.

    Args:
      request: what is asked.
      display: where progress is shown.

    Returns:
      The record that `report.diagnosis` shows.

    Raises:
      UserError: the model or the text cannot be had, or there is too little of it.
    """
    start = time.perf_counter()
    scanned = scan_model(request, display)
    found, blocks = summary(scanned), scanned.layers[-1]
    return {
        **asdict(request),
        **scanned.facts,
        "of": scanned.of,
        "trained": scanned.trained,
        "blocks": blocks,
        **found,
        "reach": reaches(scanned, timed=request.clock > 0),
        "verdict": verdict(found, blocks, scanned.trained, scanned.of),
        "seconds": time.perf_counter() - start,
    }


def summary(scanned: Scanned) -> dict[str, Any]:
    """The numbers of a diagnosis, from what all exits say."""
    scan, depth_E = scanned.scan, np.array(scanned.layers)
    agrees_NE = diagnosis.agreements(scan.prediction_EN)
    oracle_N = diagnosis.oracle_exit(agrees_NE)
    count_E = np.bincount(oracle_N, minlength=len(depth_E))
    exits = [_exit(scan, agrees_NE, depth_E, exit) for exit in range(len(depth_E))]
    answer, block = scanned.answer_flops, scanned.block_flops
    best = [
        diagnosis.best_speedup(agrees_NE, depth_E, share, answer / block)._asdict()
        for share in DISAGREEMENTS
    ]
    return {
        "exits": [
            {**row, "oracle_count": int(count)}
            for row, count in zip(exits, count_E, strict=True)
        ],
        "oracle_mean_depth": float(depth_E[oracle_N].mean()),
        "first_mean_depth": float(depth_E[diagnosis.first_agreement(agrees_NE)].mean()),
        "cost": {
            "answer_flops": answer,
            "block_flops": block,
            "answer_blocks": answer / block,
        },
        "best": best,
        "drafts": DRAFTS,
    }


def reaches(scanned: Scanned, timed: bool) -> list[dict[str, Any]]:
    """What a threshold on each confidence reaches, and how fast tokens come that stop so."""
    scan, depth_E = scanned.scan, np.array(scanned.layers)
    agrees_NE = diagnosis.agreements(scan.prediction_EN)
    rows, clocks = [], {}
    for name, score_EN in scan.score_EN.items():
        counted, asks = scanned.flops(name), CONFIDENCES[name](len(depth_E), 0.1).reads_logits
        if timed and asks not in clocks:  # those of a kind take as long
            clocks[asks] = scanned.time(name)
        for share in DISAGREEMENTS:
            found, clock = reach(score_EN, agrees_NE, depth_E, share), clocks.get(asks)
            count_E = found.exit_count_E
            rows.append({
                "confidence": name,
                **found._asdict(),
                "ideal_speedup": int(depth_E[-1]) / found.mean_depth,
                "flops_speedup": predicted_speedup(count_E, *counted),
                "timed_speedup": clock and predicted_speedup(count_E, *clock),
            })  # fmt: skip
    return rows


def _exit(
    scan: ExitScan,
    agrees_NE: Bool[np.ndarray, "N E"],
    depth_E: Int[np.ndarray, " E"],
    exit: int,
) -> dict[str, Any]:
    """One exit, had it answered every token, or drafted it."""
    agrees_N, depth = agrees_NE[:, exit], int(depth_E[exit])
    share = float(agrees_N.mean())
    row = {
        "depth": depth,
        "agreement": share,
        "cosine": float(scan.cosine_EN[exit].mean()),
        "auroc": {
            name: nan_to_none(auroc(score_EN[exit], agrees_N))
            for name, score_EN in scan.score_EN.items()
        },
    }
    if scan.loss_EN is None:
        return row
    part = depth / int(depth_E[-1])
    return {
        **row,
        "perplexity": perplexity(scan.loss_EN[exit]),
        "tokens_a_pass": diagnosis.tokens_a_pass(share, DRAFTS),
        "draft_speedup": diagnosis.speculation_speedup(share, DRAFTS, part),
    }


def verdict(found: dict[str, Any], blocks: int, trained: bool, of: str = "tokens") -> str:
    """What the numbers come to, in plain words."""
    saved = 1 - found["oracle_mean_depth"] / blocks
    worth = (
        "are not worth having" if saved < LITTLE
        else "may be worth having" if saved < MUCH
        else "are worth having"
    )  # fmt: skip
    half = next(row["depth"] for row in found["exits"] if row["agreement"] >= 0.5)
    after = f"after block {half} of {blocks}" if half < blocks else f"the last, {blocks}"
    lines = [
        f"{'Trained' if trained else 'Untrained'} exits {worth}: the first that agrees with "
        f"the full model on half of the {of} is {after}, and an oracle that knows from where "
        f"on all agree saves {100 * saved:.0f} % of the blocks."
    ]
    if of == "tokens":
        lines.append(_drafts(found["exits"][:-1]))
    if saved < MUCH:
        lines.append("Train exits further." if trained else "Train exits first.")
    return " ".join(lines)


def _drafts(early: list[dict[str, Any]]) -> str:
    """What speculation by the best of the early exits would give."""
    drafter = max(early, key=lambda row: row["draft_speedup"], default=None)
    if drafter is None or drafter["draft_speedup"] <= 1:
        return "No exit drafts well enough to gain by speculation."
    return (
        f"Drafts by the exit after block {drafter['depth']} would ideally give "
        f"{drafter['draft_speedup']:.2f} times the speed."
    )
