"""Kills, flipped bits, full disks, lost rights and commands at once, and what comes of each.

    python -m experiments.faults.campaign --folder NEW --kills 200 --flips 200

Every case is drawn from its kind and number alone. `results.json` holds all of them, `table.md`
the counts.
"""

import argparse
import fcntl
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ee_jax.manifest import is_sealed
from experiments.faults import world as tiny
from experiments.faults.world import CONFIG, RUN, Child, Done, ask, at_write

HERE = Path(__file__).parent
OUTCOMES = ("same bits", "noticed", "repaired", "harmless", "lost", "silent")
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
FLIPS = [
    ("stopped", name) for name in READ if name not in ("results.json", "tables and figures")
]
FLIPS += [
    ("finished", name)
    for name in READ
    if not name.startswith(("data", "weights", "checkpoint"))
]


_PREDICTS = re.compile(r"model|calibration|manifest|config")


class Case(NamedTuple):
    """A case: what was done to which thing, and what came of it."""

    fault: str
    number: int
    what: str
    outcome: str
    said: list[str]  # the lines of errors, in turn
    left: list[str]  # files that an undisturbed run does not leave


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
            quiet = "repaired" if "going on from checkpoint" in told else "same bits"
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
    if "put back" in said or "fetch the file again" in said:
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


def die(half: bool, kind: str, path: str) -> None:
    """Ends this process at a write, of which half the content may have arrived."""
    part = Path("run", f"{path}.part")
    if half and kind == "os.rename" and part.is_file():
        os.truncate(part, part.stat().st_size // 2)
    os.write(2, f"\nkilled before {kind} {path}".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def stop(bench: Bench, number: int) -> str:
    """Kills a run before a write; 0: at a random moment. Returns where."""
    if not number:
        done = Child(bench.world, *RUN).kill(bench.draw.uniform(0, bench.whole.seconds))
        return "a random moment" if done.status == -signal.SIGKILL else "the end"
    last = partial(die, bench.draw.random() < 0.5)
    before = partial(at_write, bench.world / "run", number, last)
    done = Child(bench.world, *RUN, before=before).wait()
    return done.err.rpartition("killed before ")[2] if done.status < 0 else "the end"


def kill(bench: Bench) -> tuple[str, str, list[str]]:
    """A run that is killed once, twice or three times, then left in peace."""
    numbers = [0, *bench.draw.choices(range(1, len(bench.whole.writes) + 1), k=2)]
    where = [
        stop(bench, bench.draw.choice(numbers)) for _ in range(bench.draw.choice((1, 1, 2, 3)))
    ]
    outcome, said = go_on(bench)
    return "; ".join(where), outcome, said


def flip(bench: Bench) -> tuple[str, str, list[str]]:
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
    path = bench.draw.choice(sorted(files))
    content = bytearray(path.read_bytes())
    bit = bench.draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    # To answer texts takes most of the time, and needs the model and its calibration alone.
    asked = [one for one in tiny.READERS if one[0] != "predict" or _PREDICTS.match(name)]
    outcome, said = go_on(bench) if stage == "stopped" else read(bench, asked)
    if outcome == "same bits":
        outcome = "harmless"
    return f"{stage}: {name} ({path.relative_to(bench.world)}, bit {bit})", outcome, said


def _whole(path: Path) -> bool:
    """False in a checkpoint that was cut short, which nothing ever reads."""
    return "checkpoints" not in path.parts or any(map(is_sealed, path.parents))


def _between(writes: list[str], since: str, until: str) -> tuple[int, int]:
    """Numbers of the first write after a path was written, and of the last before another."""
    first = next(n for n, path in enumerate(writes) if path.startswith(since))
    ends = (n for n, path in enumerate(writes) if until and path.startswith(until))
    return first + 2, next(ends, len(writes))


def read(bench: Bench, commands: list[tuple[str, ...]]) -> tuple[str, list[str]]:
    """What the commands make of a damaged run that had finished, and of the mended one."""
    said, outcome = [], "harmless"
    for command in commands:
        done = ask(bench.world, *command)
        if done.line or (command[0] == "check" and done.status == 1):
            said.append(done.line or f"check: {done.out.partition('fault:')[2].strip()}")
            outcome = "noticed"
        elif done.status:
            return "lost", [*said, f"{command[0]}: status {done.status}: {done.err[-600:]}"]
        elif done.out != bench.whole.answers[command]:
            return "silent", [*said, f"{command[0]} said {done.out[-600:]}"]
    return (outcome, said) if outcome == "harmless" else (_mended(bench, commands, said), said)


def _mended(bench: Bench, commands: list[tuple[str, ...]], said: list[str]) -> str:
    """`noticed`, if every command goes well once what was proposed is done."""
    if all(line.startswith("check: ") for line in said):  # which proposes nothing
        return "noticed"
    for _ in range(6):
        asked = [ask(bench.world, *command) for command in commands]
        if lines := [done.line for done in asked if done.line]:
            if not mend(bench, lines[0]):
                return "lost"
        elif any(done.status for done in asked):
            return "lost"
        else:
            return "noticed" if tiny.bits(bench.world / "run") == bench.whole.bits else "silent"
    return "lost"


def disk(bench: Bench) -> tuple[str, str, list[str]]:
    """A small disk that is full from some write on, until there is room again."""
    place, run = bench.world / "disk", (*RUN[:-1], "disk/run")
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], check=True)
    room = 4096 * bench.draw.choice((0, 0, 1, 2, 5, 20))

    def fill(kind: str, path: str) -> None:
        found = os.statvfs(place)
        (place / "ballast").write_bytes(bytes(max(0, found.f_bavail * found.f_bsize - room)))
        os.write(2, f"\nfull before {kind} {path}\n".encode())

    number = bench.draw.randint(1, len(bench.whole.writes))
    try:
        done = Child(
            bench.world, *run, before=partial(at_write, place / "run", number, fill)
        ).wait()
        (place / "ballast").unlink(missing_ok=True)
        return _refused(bench, run, done, f"before write {number}, {room // 1024} KiB left")
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def rights(bench: Bench) -> tuple[str, str, list[str]]:
    """A folder that cannot be written from some write on, until it can again (`chattr +i`)."""

    def lock(kind: str, path: str) -> None:
        folder = (bench.world / "run" / path).parent
        _immutable(folder, True)
        (bench.world / "locked").write_text(str(folder))

    number = bench.draw.randint(3, len(bench.whole.writes))
    child = Child(
        bench.world, *RUN, before=partial(at_write, bench.world / "run", number, lock)
    )
    done = child.wait()
    if (note := bench.world / "locked").exists():
        _immutable(Path(note.read_text()), False)
    return _refused(bench, RUN, done, f"before write {number}")


def _immutable(folder: Path, on: bool) -> None:
    """Sets or takes the attribute `i`, which binds root too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(handle, 0x40086602, struct.pack("l", 0x10 if on else 0))  # FS_IOC_SETFLAGS
    finally:
        os.close(handle)


def _refused(
    bench: Bench, run: tuple[str, ...], done: Done, what: str
) -> tuple[str, str, list[str]]:
    """What is left of a command that the machine refused, and what comes once it does not."""
    if done.status == 0:
        return what, go_on(bench, run)[0], []
    if not done.line:
        return what, "lost", [f"status {done.status}: {done.err[-900:]}"]
    folder = bench.world / run[-1]
    halves = [str(path) for path in folder.rglob("*.part")] if "disk" in run[-1] else []
    if (folder / "manifest.json").exists() and (folder / "config.json").exists():
        check = ask(bench.world, "check", run[-1])
        halves += [check.out + check.err] if check.status else []
    outcome, said = go_on(bench, run)
    outcome = "noticed" if outcome in ("same bits", "repaired") else outcome
    return what, "lost" if halves else outcome, [done.line, *halves, *said]


def pair(bench: Bench) -> tuple[str, str, list[str]]:
    """Two commands at once."""
    world, kind = (
        bench.world,
        ("run and run", "run and check", "prepare twice")[bench.number % 3],
    )
    commands = {"run and run": (RUN, RUN), "run and check": (RUN, ("check", "run"))}
    prepare = ("data", "prepare", CONFIG)
    both = commands.get(kind, (prepare, prepare))
    if both[0] == prepare:
        shutil.rmtree(world / "data")
    first = Child(world, *both[0])
    time.sleep(bench.draw.uniform(0, 0.3 if both[0] == prepare else bench.whole.seconds))
    other = Child(world, *both[1])
    ends = [first.wait(), other.wait()]
    said = [
        done.line or f"status {done.status}: {done.err[-600:]}" for done in ends if done.status
    ]
    told = ("is being written by `ee-jax run", "has no manifest.json: give the folder of a run")
    if len(said) > 1 or not all(any(words in line for words in told) for line in said):
        return kind, "lost", said
    if both[0] == prepare:
        rows = [next(root.glob("data/**/rows.json")) for root in (world, bench.whole.new)]
        same = rows[0].read_bytes() == rows[1].read_bytes() and go_on(bench)[0] == "same bits"
    else:
        same = tiny.bits(world / "run") == bench.whole.bits
        same = same and ask(world, "check", "run").status == 0
    return kind, ("noticed" if said else "same bits") if same else "silent", said


FAULTS: dict[str, Callable[[Bench], tuple[str, str, list[str]]]] = {
    "kills": kill,
    "flips": flip,
    "disks": disk,
    "rights": rights,
    "pairs": pair,
}


def case(folder: Path, wholes: tuple[tiny.Whole, ...], given: tuple[str, int]) -> Case:
    """One case, in a folder that is kept where something is wrong."""
    fault, number = given
    two = fault in ("kills", "disks") and number % 4 == 3
    whole, world = wholes[two], folder / f"{fault}{number}"
    shutil.copytree(whole.new, world)
    bench = Bench(whole, world, number, random.Random(f"{fault} {number}"))
    try:
        what, outcome, said = FAULTS[fault](bench)
    except Exception as error:  # of a mend, or of the campaign: to be looked at
        what, outcome, said = "an error", "lost", [repr(error)]
    left = sorted(tiny.names(world / "run") - whole.names) if (world / "run").exists() else []
    if outcome not in ("lost", "silent"):
        shutil.rmtree(world)
    plain = [re.sub(rf"{re.escape(str(world))}/?", "", line) or "." for line in said]
    return Case(fault, number, what, outcome, plain, left)


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
    wholes = tiny.whole(given.folder, 1), tiny.whole(given.folder, 2)
    cases: list[Case] = []
    with multiprocessing.get_context("fork").Pool(given.jobs) as pool:
        for found in pool.imap(partial(case, given.folder, wholes), todo):
            cases.append(found)
            if found.outcome in ("lost", "silent") or found.left:
                print(found, flush=True)
            if time.monotonic() - start > given.seconds:
                pool.terminate()
                break
    record = {
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - start),
        "run_seconds": [round(whole.seconds, 1) for whole in wholes],
        "writes": [len(whole.writes) for whole in wholes],
        "cases": [one._asdict() for one in cases],
    }
    (given.output / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    (given.output / "table.md").write_text(table(cases))
    print(table(cases))


if __name__ == "__main__":
    main()
