"""What comes of a fault: the run goes on, and what an error's line proposes is done."""

import os
import random
import re
import shutil
from functools import partial
from pathlib import Path
from typing import NamedTuple

from experiments.faults import world as tiny
from experiments.faults.world import RUN, Child, ask

Found = tuple[str, str, list[str]]  # what was done, what came of it, the errors' lines in turn


class Bench(NamedTuple):
    """Where a case happens, and what is drawn for it."""

    whole: tiny.Whole
    world: Path
    number: int
    draw: random.Random


def go_on(bench: Bench, run: tuple[str, ...] = RUN) -> tuple[str, list[str]]:
    """Runs until it has finished, and does what each error's line proposes."""
    said, told = [], ""
    for _ in range(6):
        done = ask(bench.world, *run)
        told += done.out + done.err
        if done.status == 0:
            folder = bench.world / run[-1]
            same = tiny.bits(folder) == bench.whole.bits
            if same and (check := ask(bench.world, "check", run[-1])).status:
                return "lost", [*said, f"check: {check.out[-300:]}"]
            plain = " ".join(told.split())  # of lines that were broken at 80 columns
            quiet = "repaired" if "going on from checkpoint" in plain else "same bits"
            return ("noticed" if said else quiet) if same else "silent", said
        said.append(done.line or f"status {done.status}: {done.err[-600:]}")
        if not done.line or not mend(bench, done.line):
            break
    return "lost", said


def mend(bench: Bench, line: str) -> bool:
    """Does what an error's line proposes; False where it proposes nothing that can be done."""
    world, said = bench.world, line.removeprefix("ee-jax: ")
    if found := re.search(r"in (\S+): .*delete that folder and run `EE_JAX_DATA=(\S+) ", said):
        shutil.rmtree(world / found[1])
        setting = partial(os.environ.update, EE_JAX_DATA=found[2])
        return Child(world, "data", "prepare", "sentences", before=setting).wait().status == 0
    if re.search("put back|fetch the file again|take both from one model", said):
        shutil.copytree(bench.whole.new / "weights", world / "weights", dirs_exist_ok=True)
        return True
    finished = (world / "run/results.json").exists() and re.search(r"copy \S+ again,", said)
    if finished or "copy the whole folder again" in said:
        shutil.rmtree(world / "run")
        shutil.copytree(bench.whole.world / "run", world / "run")
        return True
    if "delete results.json beside the strategy's folder" in said:
        (world / "run/results.json").unlink()
        return ask(world, *RUN).status == 0
    for pattern in (r"(\S+) .*: delete it\b", r".*\bdelete (\S+)"):
        if found := re.match(pattern, said):
            path = world / found[1]
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            if ", and manifest.json beside it" in said:
                (path.parent / "manifest.json").unlink()
            return True
    return bool(re.search("make room|change .* rights", said))  # which the case has done
