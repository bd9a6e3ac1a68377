"""The files of a run: where they are, whose they are, and writing them whole."""

import json
from pathlib import Path
from typing import Any

from ee_jax.atomic_io import part_of, write_json, write_text
from ee_jax.config import Experiment, config_hash, identity, to_dict
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.results import Results, read_results
from ee_jax.versions import device, versions


class RunFolder:
    """A folder that belongs to one experiment.

    config.json          the resolved config, its hash, and all versions
    results.json         everything that was found, and what the report is made from
    table.md, table.csv, *.png, report.html
    <strategy>/metrics.jsonl, checkpoints/, model/, traces/, calibration.json
    """

    def __init__(self, path: Path, experiment: Experiment):
        self.path = path
        self.hash = config_hash(experiment)
        self._experiment = experiment

    def check(self) -> None:
        """Raises if the folder holds anything but this experiment; touches nothing."""
        config = self.path / "config.json"
        if config.is_file():
            owner = _read(config).get("hash")
            if owner != self.hash:
                raise UserError(
                    f"{self.path} holds another experiment (config {owner}, not {self.hash}): "
                    "give another output folder, or delete that one"
                )
        elif self.path.exists() and not self._is_new():
            mend = "give another output folder"
            raise UserError(f"{self.path} is not empty and not the folder of a run: {mend}")

    def _is_new(self) -> bool:
        """Empty, but for what a run that was stopped while it claimed the folder left."""
        left = part_of(self.path / "config.json")
        return self.path.is_dir() and set(self.path.iterdir()) <= {left}

    def claim(self) -> None:
        """Makes the folder and writes down whose it is; a folder that has an owner keeps it."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / "config.json").exists():
            config = to_dict(self._experiment)
            self.write(
                "config.json", {"hash": self.hash, "config": config, "versions": versions()}
            )

    def read_back(self, display: Display) -> Results | None:
        """What a finished run found; raises as `check` does."""
        self.check()
        path = self.path / "results.json"
        if not path.is_file():
            return None
        display.say(f"{self.path} is finished: reading it back")
        return read_results(path)

    def heading(self) -> dict[str, Any]:
        """What the results of every run begin with."""
        return {
            "name": self._experiment.name,
            "config": identity(self._experiment),
            "config_hash": self.hash,
            "versions": versions(),
            "device": device(),
        }

    def write(self, name: str, content: Any) -> None:
        """Writes JSON under the folder, the whole file or nothing."""
        write_json(self.path / name, content)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
        assert isinstance(content, dict)
        return content
    except (ValueError, OSError, AssertionError) as error:
        raise UserError(f"{path} cannot be read ({error}): delete it and run again") from None


class MetricsFile:
    """Metrics as JSON lines, nothing in them that a second run would not repeat."""

    def __init__(self, path: Path, keep: int):
        """Opens the file and drops lines of steps after number `keep`."""
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        kept = [
            line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= keep
        ]
        write_text(path, "".join(kept))
        self._file = path.open("a", buffering=1)

    def write(self, step: int, **values: Any) -> None:
        """Appends a line."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
