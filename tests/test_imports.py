"""Which rooms import which: down only, and no circle."""

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "ee_jax"
# From the bottom up; rooms on one line know nothing of each other, save where named below.
FLOORS = (
    {"errors", "tokens", "display", "atomic_io", "compile_cache", "huge_pages"},
    {"manifest", "owned_folder"},
    {"registry", "compilation", "results"},
    {"devices"},
    {"checks"},
    {"exits", "data"},
    {"models"},
    {"losses", "calibration"},
    {"inference", "training"},
    {"evaluation"},
    {"config"},
    {"run_folder", "benchmarks", "report"},
    {"tasks"},
    {"runs"},
    {"reproduce"},
    {"cli"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imported(path: Path) -> set[str]:
    """Modules of the package that a file imports, anywhere in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module]
    names += [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
    return {name for name in names if name.startswith("ee_jax.")}


def imports_between_rooms() -> list[tuple[str, str, str]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        for module in sorted(imported(path)):
            if parts[0] != "__init__" and room_of(module) != parts[0]:
                found.append((parts[0], room_of(module), f"{'/'.join(parts)} -> {module}"))
    return found


def test_every_room_has_its_floor():
    rooms = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith("__")}
    assert rooms == set(FLOOR)


@pytest.mark.parametrize(
    "rooms", [("exits", {"flax", "models"}), ("calibration", {"models", "runs"})]
)
def test_pure_rooms_know_no_model(rooms):
    room, forbidden = rooms
    for path in (PACKAGE / room).rglob("*.py"):
        text = path.read_text()
        assert not any(f"import {name}" in text or f"from {name}" in text for name in forbidden)
        assert not {room_of(module) for module in imported(path)} & forbidden


def test_no_import_points_up():
    up = [line for room, other, line in imports_between_rooms() if FLOOR[other] >= FLOOR[room]]
    assert up == []


def test_no_task_knows_another():
    tasks = [path for path in (PACKAGE / "tasks").iterdir() if path.is_dir()]
    for folder in (path for path in tasks if not path.name.startswith("__")):
        others = {f"ee_jax.tasks.{task.name}." for task in tasks if task != folder}
        for path in folder.rglob("*.py"):
            assert not [m for m in imported(path) if m.startswith(tuple(others))], path


def lengths() -> list[int]:
    """Lines of each module; an `__init__` that holds a docstring alone is none."""
    files = [path.read_text().count("\n") for path in PACKAGE.rglob("*.py")]
    return [lines for lines in files if lines > 1]


def test_files_tell_one_thing_whole():
    found = lengths()
    assert statistics.mean(found) >= 120
    assert statistics.median(found) >= 100
    assert max(found) <= 350
    assert sum(lines < 35 for lines in found) <= 12


def loaded(code: str) -> int:
    """Modules of the package that Python code loads."""
    count = 'print(sum(name.startswith("ee_jax") for name in sys.modules))'
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{count}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


def test_a_run_loads_no_more_than_it_needs():
    find = "from ee_jax.tasks.task import find_task; import ee_jax.runs.run; find_task('{}')"
    assert loaded(find.format("classification")) <= 148
    assert loaded(find.format("language_modeling")) <= 172
    assert loaded("import ee_jax") <= 3
