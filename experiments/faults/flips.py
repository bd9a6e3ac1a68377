"""One bit of a file that a run, or a command on a finished run, reads back."""

import re
import shutil
from pathlib import Path

from ee_jax.manifest import is_sealed
from experiments.faults import world as tiny
from experiments.faults.machine import stop
from experiments.faults.mending import Bench, Found, go_on, mend
from experiments.faults.world import ask

READ = {  # what is flipped, and from which write to which a run has it and may yet read it
    "config.json": ("run/config.json", "config.json", ""),
    "manifest.json": ("run/manifest.json", "config.json", ""),
    "metrics.jsonl": ("run/joint/metrics.jsonl", "joint/checkpoints/1", "joint/model.part"),
    "checkpoint": (
        "run/joint/checkpoints/[0-9]/**/*",
        "joint/checkpoints/1",
        "joint/model.part",
    ),
    "model/config.json": ("run/joint/model/config.json", "joint/model", ""),
    "model/exits.json": ("run/joint/model/exits.json", "joint/model", ""),
    "model/model.safetensors": ("run/joint/model/model.safetensors", "joint/model", ""),
    "model/tokenizer.json": ("run/joint/model/tokenizer.json", "joint/model", ""),
    "model/manifest.json": ("run/joint/model/manifest.json", "joint/model", ""),
    "traces": ("run/joint/traces/*.npz", "joint/traces", ""),
    "calibration.json": ("run/joint/calibration.json", "joint/calibration.json", ""),
    "data rows.json": ("data/**/rows.json", "config.json", ""),
    "data dataset_info.json": ("data/**/dataset_info.json", "config.json", ""),
    "data features.json": ("data/**/features.json", "config.json", ""),
    "data array_record": ("data/**/*.array_record*", "config.json", ""),
    "weights model.safetensors": ("weights/model.safetensors", "config.json", ""),
    "weights config.json": ("weights/config.json", "config.json", ""),
    "weights tokenizer.json": ("weights/tokenizer.json", "config.json", ""),
    "results.json": ("run/results.json", "", ""),
    "tables and figures": ("run/*.*[gdvl]", "", ""),
}
FLIPS = [("stopped", name) for name in [*READ][:-2]]
FLIPS += [("finished", name) for name in READ if READ[name][0].startswith("run/")]
FLIPS.remove(("finished", "checkpoint"))  # of no use to a finished run
Answers = dict[tuple[str, ...], str]  # what commands said of it before
_PREDICTS = re.compile(r"model|calibration|manifest|config")


def flip(bench: Bench) -> Found:
    """One bit of a file of a run that was killed, or of one that has finished."""
    stage, name = FLIPS[bench.number % len(FLIPS)]
    glob, since, until = READ[name]
    files: list[Path] = []
    while not files:
        shutil.rmtree(bench.world / "run", ignore_errors=True)
        if stage == "finished":
            shutil.copytree(bench.whole.world / "run", bench.world / "run")
        else:
            stop(bench, bench.draw.randint(*_between(bench.whole.writes, since, until)))
        files = [path for path in bench.world.glob(glob) if path.is_file() and _whole(path)]
    # To answer texts takes most of the time, and needs the model and its calibration alone.
    asked = [one for one in tiny.READERS if one[0] != "predict" or _PREDICTS.match(name)]
    finished = (bench.world / "run/results.json").exists()  # if killed after its last file too
    answers = {one: ask(bench.world, *one).out for one in asked} if finished else {}
    path = bench.draw.choice(sorted(files))
    content = bytearray(path.read_bytes())
    bit = bench.draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    outcome, said = read(bench, answers) if finished else go_on(bench)
    if outcome == "same bits":
        outcome = "harmless"
    return f"{stage}: {name} ({path.relative_to(bench.world)}, bit {bit})", outcome, said


def _whole(path: Path) -> bool:
    """False in a checkpoint that was cut short, which nothing ever reads."""
    saved = [folder for folder in path.parents if folder.parent.name == "checkpoints"]
    return all(map(is_sealed, saved))


def _between(writes: list[str], since: str, until: str) -> tuple[int, int]:
    """Numbers of the first write after a path was written, and of the last before another."""
    first = next(n for n, path in enumerate(writes) if path.startswith(since))
    ends = (n for n, path in enumerate(writes) if until and path.startswith(until))
    return first + 2, next(ends, len(writes))


def read(bench: Bench, answers: Answers) -> tuple[str, list[str]]:
    """What the commands make of a damaged run that had finished, and of the mended one."""
    said, outcome = [], "harmless"
    for command in answers:
        done = ask(bench.world, *command)
        if done.line or (command[0] == "check" and done.status == 1):
            said.append(done.line or f"check: {done.out.partition('fault:')[2].strip()}")
            outcome = "noticed"
        elif done.status:
            return "lost", [*said, f"{command[0]}: status {done.status}: {done.err[-600:]}"]
        elif done.out != answers[command]:
            return "silent", [*said, f"{command[0]} said {done.out[-600:]}"]
    return (outcome, said) if outcome == "harmless" else (_mended(bench, answers, said), said)


def _mended(bench: Bench, answers: Answers, said: list[str]) -> str:
    """`noticed`, if every command goes well once what was proposed is done."""
    if all(line.startswith("check: ") for line in said):  # which proposes nothing
        return "noticed"
    for _ in range(6):
        asked = [ask(bench.world, *command) for command in answers]
        if lines := [done.line for done in asked if done.line]:
            if not mend(bench, lines[0]):
                return "lost"
        elif any(done.status for done in asked):
            return "lost"
        else:
            return "noticed" if tiny.bits(bench.world / "run") == bench.whole.bits else "silent"
    return "lost"
