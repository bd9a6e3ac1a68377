"""Numbers of tiny runs, which a change of the code's form must leave as they are.

`golden/numbers.json` holds, for each kind of run and strategy, the last step's losses, the norm
of its gradient, and of each point the threshold, the quality and the exits. They were written
when a warm-up's first step was given a rate. At a first step of 0 the code gives the numbers of
the time when language models had a training loop of their own.
"""

import json
from pathlib import Path

import jax
import numpy as np

from ee_jax.results import Results

GOLDEN = json.loads((Path(__file__).parent / "golden" / "numbers.json").read_text())
JAX = "0.10.2"  # another version draws and adds in another order
# fp32 in another order of sums, over a few steps: on the machine where they were made most are
# the same bit for bit, another processor may turn one answer of 35 round.
RTOL, ANSWER, STOP = 1e-3, 1 / 35, 0.02


def check_as_before(kind: str, folder: Path, results: Results) -> None:
    """Asserts that the strategies of a run that are known found what they found before."""
    if jax.__version__ != JAX:
        return
    found = results.strategies
    assert {*found} & {*GOLDEN[kind]}
    for name, was in GOLDEN[kind].items():
        last = json.loads((folder / name / "metrics.jsonl").read_text().splitlines()[-1])
        for key in ("loss", "loss_E", "gradient_norm"):
            np.testing.assert_allclose(last[key], was[key], rtol=RTOL)
        points = found[name].points
        assert [p.threshold for p in points] == [threshold for threshold, *_ in was["points"]]
        for point, (_, quality, counts) in zip(points, was["points"], strict=True):
            near = 1 + STOP * sum(counts)
            np.testing.assert_allclose(point.exit_counts, counts, rtol=0, atol=near)
            np.testing.assert_allclose(point.quality or np.nan, quality, rtol=RTOL, atol=ANSWER)
