"""The files of a run: where they are, whose they are, and writing them whole."""

import hashlib
import json
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

import ee_jax
from ee_jax.atomic_io import json_text, part_of, replacing, write_text
from ee_jax.compilation import MATMUL_PRECISION
from ee_jax.config import Experiment, config_hash, identity, to_dict
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.manifest import MANIFEST, check_files, is_sealed, read_manifest, read_object, seal
from ee_jax.owned_folder import HOLDER
from ee_jax.results import RESULTS, Results, read_results, to_json

CONFIG = "config.json"

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python, of ee_jax and of what its numbers depend on."""
    found = {package: metadata.version(package) for package in PACKAGES}
    return {"python": platform.python_version(), "ee_jax": ee_jax.__version__, **found}


def device() -> str:
    """The devices in words, e.g. `1 x cpu: Intel(R) Xeon(R) Processor, 2 cores`."""
    devices = jax.devices()
    kind = devices[0].device_kind
    if devices[0].platform == "cpu":
        kind = f"{_processor()}, {jax.local_device_count()} device(s)"
    return f"{len(devices)} x {devices[0].platform}: {kind}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
        return f"{names[0]}, {len(names)} cores"
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


class RunFolder:
    """A folder that belongs to one experiment.

    config.json          the resolved config, its hash, what it was made from, all versions
    manifest.json        the SHA-256 of every file of the run, and of each model's manifest
    results.json         everything that was found, and what the report is made from
    table.md, table.csv, *.png, report.html
    <strategy>/metrics.jsonl, checkpoints/, model/, traces/, calibration.json
    """

    def __init__(self, path: Path, experiment: Experiment):
        self.path = path
        self.hash = config_hash(experiment)
        self._experiment = experiment
        self._written: set[str] = set()  # by this process

    @property
    def _mend(self) -> str:
        return f"give another output folder, or delete {self.path}"

    def check(self) -> None:
        """Raises if the folder holds anything but this experiment; touches nothing."""
        config = self.path / CONFIG
        if config.is_file():
            check_files(self.path, self._mend, [CONFIG])
            owner = read_object(config, self._mend).get("hash")
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
        names = [CONFIG, MANIFEST, HOLDER]
        left = {self.path / name for name in names}
        left |= {part_of(path) for path in left}
        return self.path.is_dir() and set(self.path.iterdir()) <= left

    def claim(self, inputs: Mapping[str, str], display: Display = SILENT) -> bool:
        """Makes the folder and writes down whose it is; a folder that has an owner keeps it.

        Args:
          inputs: the SHA-256 of what the run is made from, by name.
          display: told where the run began with other versions than it goes on with.

        Returns:
          True for a folder that had no owner.

        Raises:
          UserError: the run began with other inputs; says which.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if (self.path / CONFIG).exists():
            self._check_unchanged(inputs, display)
            return False
        config = to_dict(self._experiment)
        content = {"hash": self.hash, "config": config, "inputs": dict(inputs)}
        text = json_text({**content, "versions": versions()})
        self.seal(coming={CONFIG: text.encode()})
        write_text(self.path / CONFIG, text)
        return True

    def abandon(self) -> None:
        """Empties a folder that this process has claimed, and in which nothing is trained."""
        for path in self.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != HOLDER:
                path.unlink()

    def _check_unchanged(self, inputs: Mapping[str, str], display: Display) -> None:
        began = read_object(self.path / CONFIG, self._mend)
        before = began.get("inputs", {})
        changed = [name for name in inputs if before.get(name) != inputs[name]]
        if changed:
            more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise UserError(
                f"{', '.join(changed[:3])}{more} changed since the run in {self.path} began: "
                "put back what it began with, or give another output folder"
            )
        now, then = versions(), began.get("versions", {})
        if other := [f"{name} {then.get(name)}" for name in now if then.get(name) != now[name]]:
            display.say(
                f"{self.path} began with {', '.join(other)}; going on with what is here"
            )

    def read_back(self, display: Display) -> Results | None:
        """What a finished run found; raises as `check` does."""
        self.check()
        path = self.path / RESULTS
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
            "precision": self._experiment.precision,
            "matmul_precision": MATMUL_PRECISION,
        }

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """A path to write a file of the run to, which is there whole or not at all."""
        with replacing(self.path / name) as part:
            yield part
        self._written.add(name)

    def write(self, name: str, content: Any) -> None:
        """Writes JSON under the folder, the whole file or nothing."""
        with self.writing(name) as part:
            part.write_text(json_text(content), encoding="utf-8")

    def wrote(self, *paths: Path) -> None:
        """Says that this process wrote files of the run otherwise than by `writing`."""
        self._written |= {path.relative_to(self.path).as_posix() for path in paths}

    def holds(self, name: str) -> bool:
        """True for a file that was written and listed before; it is as it was written."""
        listed = is_sealed(self.path) and name in read_manifest(self.path, self._mend)
        if listed:
            check_files(self.path, f"delete it, and {MANIFEST} beside it", [name])
        return listed

    def seal(self, coming: Mapping[str, bytes] | None = None) -> None:
        """Lists what is there; what an earlier process listed stays as that one wrote it."""
        listed = read_manifest(self.path, self._mend) if is_sealed(self.path) else {}
        kept = {name: listed[name] for name in {*listed} - self._written}
        seal(self.path, coming, kept)

    def finish(self, results: Results) -> None:
        """Writes the manifest, then the results: a run that has them has finished."""
        text = json_text(to_json(results))
        self.seal(coming={RESULTS: text.encode()})
        write_text(self.path / RESULTS, text)


class MetricsFile:
    """Metrics as JSON lines, nothing in them that a second run would not repeat."""

    def __init__(self, path: Path, kept: Mapping[str, Any] | None = None):
        """Opens the file.

        Args:
          path: of the file.
          kept: the `mark` to go back to; None: begin anew.

        Raises:
          UserError: the lines up to the mark are not those that were written.
        """
        content = b""
        if kept is not None:
            content = path.read_bytes()[: kept["bytes"]] if path.is_file() else b""
            if hashlib.sha256(content).hexdigest() != kept["sha256"]:
                raise UserError(
                    f"{path} is not as it was written (its SHA-256 differs): delete "
                    f"{path.parent} to train that strategy again"
                )
        with replacing(path) as part:
            part.write_bytes(content)
        self._hash, self._bytes = hashlib.sha256(content), len(content)
        self._file = path.open("ab", buffering=0)

    def write(self, step: int, **values: Any) -> None:
        """Appends a line."""
        line = (json.dumps({"step": step, **values}) + "\n").encode()
        self._file.write(line)
        self._hash.update(line)
        self._bytes += len(line)

    def mark(self) -> dict[str, Any]:
        """What has been written so far, for a checkpoint's notes."""
        return {"bytes": self._bytes, "sha256": self._hash.hexdigest()}

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
