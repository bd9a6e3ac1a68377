"""Numbers of tiny runs, which a change of the code's form must leave as they are.

`golden/numbers.json` holds, for each kind of run and strategy, the last step's losses, the norm
of its gradient, and of each point the threshold, the quality and the exits. They were written
by the code as it was when language models had a training loop of their own.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = json.loads((Path(__file__).parent / "golden" / "numbers.json").read_text())
# fp32 in another order of sums, over a few steps; on one machine most are the same bit for bit.
RTOL = 1e-4


def check_as_before(kind: str, folder: Path, results: dict[str, Any]) -> None:
    """Asserts that the strategies of a run that are known found what they found before."""
    found = results["strategies"]
    assert {*found} & {*GOLDEN[kind]}
    for name, was in GOLDEN[kind].items():
        last = json.loads((folder / name / "metrics.jsonl").read_text().splitlines()[-1])
        for key in ("loss", "loss_E", "gradient_norm"):
            np.testing.assert_allclose(last[key], was[key], rtol=RTOL)
        points = [(p["threshold"], p["exit_counts"]) for p in found[name]["points"]]
        assert points == [(threshold, counts) for threshold, _, counts in was["points"]]
        quality = [p.get("quality", p.get("perplexity")) for p in found[name]["points"]]
        np.testing.assert_allclose(quality, [q for _, q, _ in was["points"]], rtol=RTOL)
