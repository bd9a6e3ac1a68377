"""Runs that are stopped at a place, and files that are damaged."""

from pathlib import Path

from ee_jax.display import Display


class Killed(Exception):
    """Raised where a run is stopped."""


class Killing(Display):
    """Ends a run when it opens the bar with this label."""

    def __init__(self, label: str):
        super().__init__(quiet=True)
        self.label, self.said = label, []

    def bar(self, label: str, total: int, done: int = 0):
        if label == self.label:
            raise Killed
        return super().bar(label, total, done)

    def say(self, line: str) -> None:
        self.said.append(line)


def flip(path: Path, bit: int | None = None) -> None:
    """Turns one bit of a file; the middle one."""
    content = bytearray(path.read_bytes())
    bit = 4 * len(content) if bit is None else bit
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def largest(folder: Path) -> Path:
    """The file of a checkpoint that holds most."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return max(files, key=lambda path: path.stat().st_size)
