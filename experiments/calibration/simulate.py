"""Does each method of calibration keep its promise? 2,000 trials with known truth, and speed.

Command:   python experiments/calibration/simulate.py
Hardware:  2 CPU cores, about 2 minutes.
Seeds:     trial number t draws its calibration set with seed t.
Writes:    results.md and results.json, beside this file.

Three worlds (worlds.py): `exits`, a model of four exits; `waves`, where candidates above the
level and below it take turns; `cliff`, where one candidate is within the level and the next is
far above. A trial draws 500 examples, calibrates, and looks up the true risk of what was
chosen. The level is 0.05 and delta is 0.1.
"""

import datetime
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest
from worlds import GRIDS, any_bad, exits, exits_risk, grid

from ee_jax import __version__
from ee_jax.calibration.certify import certify_outcomes, risk_outcomes
from ee_jax.calibration.choice import GRID
from ee_jax.calibration.conformal import CONFORMAL, choose_conformal
from ee_jax.calibration.describe import promise
from ee_jax.calibration.methods import METHODS
from ee_jax.calibration.per_exit import PATHS, certify_per_exit
from ee_jax.calibration.request import Request, trial
from ee_jax.calibration.trials import Splits
from ee_jax.report.render import Column, Table, to_markdown

TRIALS, EXAMPLES, LEVEL, DELTA = 2000, 500, 0.05, 0.1
SPEED = {"examples": 10_000, "splits": 1000}
RISK = "consistency"
Rows = list[dict[str, Any]]


def in_exits() -> dict[str, list[float]]:
    """The true risk of each trial's choice; of `conformal`, among examples with a bad exit."""
    risks: dict[str, list[float]] = {}
    for seed in range(TRIALS):
        trace = exits(EXAMPLES, np.random.default_rng(seed))
        candidates = risk_outcomes(trace, RISK, GRID)
        chosen = {m: certify_outcomes(candidates, m, LEVEL, DELTA) for m in METHODS}
        for search in PATHS:
            name = f"ltt, {search} per exit"
            chosen[name] = certify_per_exit(trace, "ltt", RISK, LEVEL, DELTA, search)
        chosen |= {m: choose_conformal(trace, m, RISK, LEVEL) for m in CONFORMAL}
        for name, choice in chosen.items():
            share = any_bad() if name in CONFORMAL else 1.0
            risk = exits_risk(np.array(choice.threshold)) / share
            risks.setdefault(name, []).append(risk)
    return risks


def in_grid(world: str) -> dict[str, list[float]]:
    """The same in a world of candidates without exits."""
    risk_K = GRIDS[world]
    threshold_K = np.linspace(1, 0, len(risk_K))
    risks: dict[str, list[float]] = {name: [] for name in METHODS}
    for seed in range(TRIALS):
        candidates = grid(risk_K, EXAMPLES, np.random.default_rng(seed))
        for name in METHODS:
            choice = certify_outcomes(candidates, name, LEVEL, DELTA)
            risks[name].append(float(risk_K[threshold_K == choice.threshold][0]))
    return risks


def judge(world: str, name: str, risks: list[float]) -> dict[str, Any]:
    """Counts breaks of the level, and whether the promise can have been kept."""
    risk_S = np.array(risks)
    broken = int(np.sum(risk_S > LEVEL + 1e-9))
    low, high = binomtest(broken, TRIALS).proportion_ci()
    error = float(risk_S.std(ddof=1) / np.sqrt(TRIALS))
    method = name.split(",")[0]
    has_delta = method in METHODS and METHODS[method].has_delta
    in_mean = risk_S.mean() - 2 * error <= LEVEL
    kept = (
        low <= DELTA if has_delta else in_mean if method not in ("empirical", "naive") else None
    )
    return {
        "world": world,
        "method": name,
        "promise": promise(method, LEVEL, DELTA),
        "broken": broken,
        "broken_share": broken / TRIALS,
        "interval": [float(low), float(high)],
        "mean_risk": float(risk_S.mean()),
        "standard_error": error,
        "kept": None if kept is None else bool(kept),
    }


def speed() -> Rows:
    """Seconds for 101 thresholds x 10,000 examples x 1,000 splits, on a second call."""
    trace = exits(SPEED["examples"], np.random.default_rng(0))
    splits = Splits(SPEED["examples"], SPEED["splits"])
    trial(trace, Request(risk=RISK), [LEVEL], Splits(SPEED["examples"], 2))  # compiles
    rows = []
    for method in (*METHODS, *CONFORMAL):
        start = time.perf_counter()
        request = Request(method=method, risk=RISK, level=LEVEL, delta=DELTA)
        trial(trace, request, [LEVEL], splits)
        rows.append({"method": method, "seconds": time.perf_counter() - start})
    return rows


def tables(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    trials = Table("", _trial_columns(), tuple(record["trials"]))
    seconds = Column("seconds", lambda r: f"{r['seconds']:.1f}")
    fast = Table("", (_text("method"), seconds), tuple(record["speed"]))
    card = {key: record[key] for key in ("command", "date", "versions", "device", "seconds")}
    lines = "\n".join(f"- {key}: {value}" for key, value in card.items())
    return (
        f"# Promises of calibration, tried with known truth\n\n{lines}\n\n"
        f"{TRIALS:,} trials of {EXAMPLES} examples, level {LEVEL}, delta {DELTA}, in the "
        "worlds of `worlds.py`. The interval is Clopper and Pearson's, at 95 %. Risks of "
        "`conformal` are those among examples with a bad exit.\n\n"
        f"{to_markdown(trials)}\n## Speed\n\n{len(GRID)} thresholds x {SPEED['examples']:,} "
        f"examples x {SPEED['splits']:,} random splits.\n\n{to_markdown(fast)}"
    )


def _trial_columns() -> tuple[Column, ...]:
    def interval(row: Any) -> str:
        low, high = row["interval"]
        return f"{100 * row['broken_share']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"

    return (
        _text("world"),
        _text("method"),
        _text("promise"),
        Column("trials above the level", interval, is_text=True),
        Column("mean risk", lambda r: f"{100 * r['mean_risk']:.2f} %"),
        Column("kept", lambda r: {True: "yes", False: "no", None: ""}[r["kept"]], True),
    )


def _text(name: str) -> Column:
    return Column(name, lambda row: row[name], is_text=True)


def main() -> None:
    """Runs all and writes the two files."""
    start = time.perf_counter()
    worlds: dict[str, Callable[[], dict[str, list[float]]]] = {"exits": in_exits}
    worlds |= {name: lambda name=name: in_grid(name) for name in GRIDS}
    trials = [
        judge(world, method, risks)
        for world, draw in worlds.items()
        for method, risks in draw().items()
    ]
    record = {
        "command": "python experiments/calibration/simulate.py",
        "date": datetime.date.today().isoformat(),
        "versions": f"ee_jax {__version__}, Python {platform.python_version()}",
        "device": f"{os.cpu_count()} x {platform.machine()} CPU",
        "trials": trials,
        "speed": speed(),
        "seconds": round(time.perf_counter() - start),
    }
    folder = Path(__file__).parent
    text = tables(record)
    (folder / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "results.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
