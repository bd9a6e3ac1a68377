"""Kills, flipped bits, full disks, lost rights and commands at once, and what comes of each.

    python -m experiments.faults.campaign --folder NEW --kills 200 --flips 200

Every case is drawn from its kind and number alone. `results.json` holds all of them and when
each kind was run, `table.md` the counts. Kinds that are not asked for keep what is there.
"""

import argparse
import json
import multiprocessing
import random
import re
import shutil
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from experiments.faults import world as tiny
from experiments.faults.flips import flip
from experiments.faults.machine import disk, kill, pair, rights
from experiments.faults.mending import Bench, Found

HERE = Path(__file__).parent
OUTCOMES = ("same bits", "noticed", "repaired", "harmless", "lost", "silent")


class Case(NamedTuple):
    """A case: what was done to which thing, and what came of it."""

    fault: str
    number: int
    what: str
    outcome: str
    said: list[str]  # the lines of errors, in turn
    left: list[str]  # files that an undisturbed run does not leave


FAULTS: dict[str, Callable[[Bench], Found]] = {
    "kills": kill,
    "flips": flip,
    "disks": disk,
    "rights": rights,
    "pairs": pair,
}


def case(
    folder: Path, wholes: tuple[tiny.Whole, ...], until: float, given: tuple[str, int]
) -> Case | None:
    """One case, in a folder that is kept where something is wrong; none when it is too late."""
    if time.monotonic() > until:
        return None
    fault, number = given
    two = fault in ("kills", "disks") and number % 4 == 3
    whole, world = wholes[two], folder / f"{fault}{number}"
    shutil.copytree(whole.new, world)
    bench = Bench(whole, world, number, random.Random(f"{fault} {number}"))
    try:
        what, outcome, said = FAULTS[fault](bench)
    except Exception as error:  # of a mend, or of the campaign: to be looked at
        what, outcome, said = "an error", "lost", traceback.format_exception(error)[-3:]
    left = sorted(tiny.names(world / "run") - whole.names) if (world / "run").exists() else []
    if outcome not in ("lost", "silent"):
        shutil.rmtree(world)
    return Case(
        fault, number, what, outcome, [_without_paths(line, world) for line in said], left
    )


def _without_paths(line: str, world: Path) -> str:
    """What was said, without the folder of the case and those of the machine's own files."""
    line = re.sub(rf"{re.escape(str(world))}/?", "", line) or "."
    return re.sub(r'File "[^"]*/([^"/]+)"', r'File "\1"', line)


def row_of(case: Case) -> tuple[str, str]:
    """The row of the table."""
    if case.fault == "flips":
        return case.fault, case.what.partition(" (")[0]
    if case.fault == "pairs":
        return case.fault, case.what
    if case.fault != "kills":
        return case.fault, "before a write"
    times = case.what.count(";") + 1
    return case.fault, f"{times} {'time' if times == 1 else 'times'}"


def table(cases: list[Case]) -> str:
    """The counts in Markdown."""
    head = "| fault | what | cases | " + " | ".join(OUTCOMES) + " | left files |"
    lines = [head, "| --- | --- |" + " ---: |" * (len(OUTCOMES) + 2)]
    for fault in FAULTS:
        mine = [case for case in cases if case.fault == fault]
        rows = sorted({row_of(case) for case in mine})
        for row in [*rows, (fault, "**all**")] if mine else []:
            some = [case for case in mine if row[1] == "**all**" or row_of(case) == row]
            count = Counter(case.outcome for case in some)
            left = sum(bool(case.left) for case in some)
            cells = [*row, len(some), *(count[outcome] for outcome in OUTCOMES), left]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def merged(
    before: dict[str, Any], runs: dict[str, Any], cases: list[dict[str, Any]]
) -> dict[str, Any]:
    """The record of what was run now, and of the kinds of fault that were not.

    Args:
      before: the record that is there, or nothing.
      runs: of each kind that was run now, when and on what.
      cases: of these kinds.
    """
    kept = [one for one in before.get("cases", []) if one["fault"] not in runs]
    return {"runs": before.get("runs", {}) | runs, "cases": kept + cases}


def main() -> None:
    """Runs the campaign, as many cases of each kind as the command says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for fault in FAULTS:
        parser.add_argument(f"--{fault}", type=int, default=0, metavar="N")
    parser.add_argument("--output", type=Path, default=HERE, help="of results.json, table.md")
    parser.add_argument("--folder", type=Path, required=True, help="a new one, to work in")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    parser.add_argument("--seconds", type=float, default=1e9, help="no case begins after them")
    given = parser.parse_args()
    start = time.monotonic()
    todo = sorted(
        ((fault, n) for fault in FAULTS for n in range(getattr(given, fault))),
        key=lambda one: one[1] / getattr(given, one[0]),
    )
    given.folder.mkdir(parents=True)
    tiny.get_ready(given.folder.resolve() / "compiled")
    folder = given.folder.resolve()
    few = max(given.kills, given.disks) < 4  # no case takes two strategies
    wholes = tuple(tiny.whole(folder, strategies) for strategies in ((1,) if few else (1, 2)))
    cases: list[Case] = []
    with multiprocessing.get_context("fork").Pool(given.jobs) as pool:
        do = partial(case, folder, wholes, start + given.seconds)
        for found in filter(None, pool.imap(do, todo)):
            cases.append(found)
            if found.outcome in ("lost", "silent") or found.left:
                print(found, flush=True)
    run = {
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - start),
        "run_seconds": [round(whole.seconds, 1) for whole in wholes],
        "writes": [len(whole.writes) for whole in wholes],
    }
    path = given.output / "results.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    asked = [fault for fault in FAULTS if getattr(given, fault)]
    record = merged(before, dict.fromkeys(asked, run), [one._asdict() for one in cases])
    path.write_text(json.dumps(record, indent=1) + "\n")
    text = table([Case(**one) for one in record["cases"]])
    (given.output / "table.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
