"""What a machine does to a run: kills it, has no room, takes its rights, or runs two."""

import fcntl
import os
import shutil
import signal
import struct
import subprocess
import time
from functools import partial
from pathlib import Path

from experiments.faults import world as tiny
from experiments.faults.mending import Bench, Found, go_on
from experiments.faults.world import CONFIG, RUN, Child, Done, ask, at_write

PREPARE = ("data", "prepare", CONFIG)
PAIRS = {
    "run and run": (RUN, RUN),
    "run and check": (RUN, ("check", "run")),
    "prepare twice": (PREPARE, PREPARE),
}
# What the later of two may say: who holds the folder, or that there is nothing in it yet.
HELD = ("is being written by `ee-jax run", "has no manifest.json: give the folder of a run")


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


def kill(bench: Bench) -> Found:
    """A run that is killed once, twice or three times, then left in peace."""
    numbers = [0, *bench.draw.choices(range(1, len(bench.whole.writes) + 1), k=2)]
    where = [
        stop(bench, bench.draw.choice(numbers)) for _ in range(bench.draw.choice((1, 1, 2, 3)))
    ]
    outcome, said = go_on(bench)
    return "; ".join(where), outcome, said


def disk(bench: Bench) -> Found:
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


def rights(bench: Bench) -> Found:
    """A folder that cannot be written from some write on, until it can again (`chattr +i`)."""

    def lock(kind: str, path: str) -> None:
        folder = (bench.world / "run" / path).parent
        (bench.world / "locked").write_text(str(folder))  # before, as it may be this folder
        _immutable(folder, True)

    number = bench.draw.randint(3, len(bench.whole.writes))
    before = partial(at_write, bench.world / "run", number, lock)
    done = Child(bench.world, *RUN, before=before).wait()
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


def _refused(bench: Bench, run: tuple[str, ...], done: Done, what: str) -> Found:
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


def pair(bench: Bench) -> Found:
    """Two commands at once."""
    world, kind = bench.world, [*PAIRS][bench.number % len(PAIRS)]
    if kind == "prepare twice":
        shutil.rmtree(world / "data")
    start = bench.draw.uniform(0, 0.3 if kind == "prepare twice" else bench.whole.seconds)
    first = Child(world, *PAIRS[kind][0])
    time.sleep(start)
    other = Child(world, *PAIRS[kind][1])
    ends = [first.wait(), other.wait()]
    said = [done.line or f"{done.status}: {done.err[-600:]}" for done in ends if done.status]
    if len(said) > 1 or not all(any(words in line for words in HELD) for line in said):
        return kind, "lost", said
    if kind == "prepare twice":
        rows = [next(root.glob("data/**/rows.json")) for root in (world, bench.whole.new)]
        same = rows[0].read_bytes() == rows[1].read_bytes() and go_on(bench)[0] == "same bits"
    else:
        same = tiny.bits(world / "run") == bench.whole.bits
        same = same and ask(world, "check", "run").status == 0
    return kind, ("noticed" if said else "same bits") if same else "silent", said
