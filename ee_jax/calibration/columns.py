"""What a trace's columns must be: each mistake is one line that says how to mend it."""

from collections.abc import Mapping

import numpy as np

from ee_jax.errors import UserError

Columns = Mapping[str, np.ndarray]

REQUIRED = {"confidence_NE": 2, "loss_NE": 2, "depth_E": 1}
OPTIONAL = {"prediction_NE": 2, "label_N": 1}
UNIT = {
    "confidence_NE": "a sigmoid brings any score there",
    "loss_NE": "divide by the largest loss there can be",
}
AXES = {"N": "examples", "E": "exits"}


def validate(columns: Columns, name: str = "trace") -> None:
    """Raises the UserError of the first mistake in a trace's columns.

    Args:
        columns: arrays by the names in `ee_jax.calibration.trace`; other names are not read.
        name: what the error calls the trace, e.g. its path.
    """
    try:
        _validate_shapes(columns)
        for column, mend in UNIT.items():
            _validate_unit(column, columns[column], mend)
        _validate_depth(columns["depth_E"])
        for column in [name for name in OPTIONAL if name in columns]:
            dtype = columns[column].dtype
            _check(dtype.kind in "iu", column, f"is {dtype}: write class numbers")
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def _check(ok: bool, column: str, what: str) -> None:
    if not ok:
        raise UserError(f"column `{column}` {what}")


def _validate_shapes(columns: Columns) -> None:
    """All there, numbers, and as many examples and exits in one column as in the next."""
    sizes: dict[str, tuple[int, str]] = {}  # of each axis, and the column that said so
    for column, rank in {**REQUIRED, **OPTIONAL}.items():
        if column not in columns:
            wanted = ", ".join(REQUIRED)
            _check(column in OPTIONAL, column, f"is missing: a trace needs {wanted}")
            continue
        array = columns[column]
        axes = column.rpartition("_")[2]
        shape = " x ".join(AXES[axis] for axis in axes)
        _check(array.ndim == rank, column, f"has {array.ndim} axes: make it {shape}")
        _check(array.dtype.kind in "biuf", column, f"is {array.dtype}: write numbers")
        for axis, size in zip(axes, array.shape, strict=True):
            first, said = sizes.setdefault(axis, (size, column))
            differs = f"has {size} {AXES[axis]} but `{said}` has {first}: write both anew"
            _check(size == first, column, differs)
            _check(size > 0, column, f"has no {AXES[axis]}: write at least one")


def _validate_unit(column: str, array: np.ndarray, mend: str) -> None:
    """Every value in [0, 1]; what is not finite is not."""
    bad = np.argwhere(~((array >= 0) & (array <= 1)))
    if bad.size:
        example, exit = bad[0]
        what = f"is {array[example, exit]} at example {example}, exit {exit}"
        _check(False, column, f"{what}, not in [0, 1]: {mend}")


def _validate_depth(depth_E: np.ndarray) -> None:
    ok = np.all(depth_E == np.round(depth_E)) and np.all(np.diff(depth_E, prepend=0) > 0)
    what = (
        f"is {depth_E.tolist()}: it counts blocks run at each exit and must rise, e.g. [4, 8]"
    )
    _check(bool(ok), "depth_E", what)
