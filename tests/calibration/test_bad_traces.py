"""Any bytes as a trace, any options: a record that makes sense, or an error of one line."""

import io
import math
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.lib.format as npy
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ee_jax.calibration.columns import EXITS, SEQUENCES
from ee_jax.calibration.sequences import load_trace
from ee_jax.errors import UserError
from ee_jax.exits.stopping import Stopping
from ee_jax.runs.calibrate import Request, calibrate

SECONDS = 20.0  # a program is compiled for a new shape; nothing else takes a second


class Case(NamedTuple):
    columns: dict[str, Any]
    compress: bool = False
    damage: tuple[tuple[float, int], ...] = ()  # where, as a share of the bytes, and which bit
    keep: float = 1.0  # of the bytes
    options: dict[str, Any] = {}  # noqa: RUF012


def exits(examples=6, **changes):
    """A good trace of three exits, with columns changed or, where None, left out."""
    rng = np.random.default_rng(0)
    good = {
        "confidence_NE": rng.random((examples, 3)),
        "loss_NE": rng.integers(0, 2, (examples, 3)) * 1.0,
        "depth_E": np.array([2, 4, 6]),
        "prediction_NE": rng.integers(0, 3, (examples, 3)),
    }
    return {name: column for name, column in {**good, **changes}.items() if column is not None}


def sequences(**changes):
    good = {
        "threshold_K": np.array([1.0, 0.7, 0.4]),
        "loss_NK": np.tile([0.0, 0.5, 1.0], (6, 1)),
        "depth_NK": np.tile([8.0, 4.5, 2.0], (6, 1)),
    }
    return {**good, **changes}


NUMBERS = st.sampled_from(
    [
        0,
        1,
        -1,
        2,
        0.5,
        1.5,
        math.nan,
        math.inf,
        -math.inf,
        1e300,
        -1e300,
        1e-320,
        2**31,
        2**53,
        2**63,
    ]
)
DTYPES = st.sampled_from(
    [
        "f2",
        "f4",
        "f8",
        ">f8",
        "g",
        "i1",
        "u1",
        "i4",
        ">i4",
        "u8",
        "i8",
        "?",
        "c16",
        "U3",
        "S3",
        "M8[s]",
        "m8[s]",
        "V4",
        "O",
    ]
)
SHAPES = st.sampled_from(
    [(), (0,), (1,), (3,), (6,), (6, 3), (3, 6), (6, 2), (0, 3), (6, 0), (6, 3, 1)]
)


@st.composite
def odd_arrays(draw):
    """Of any type and shape, or a good column with one value that is not."""
    shape, dtype = draw(SHAPES), draw(DTYPES)
    values = draw(arrays(object, shape, elements=NUMBERS))
    with np.errstate(all="ignore"):
        try:
            return values.astype(dtype)
        except (ValueError, TypeError, OverflowError):
            return values.astype("U9") if draw(st.booleans()) else np.zeros(shape)


@st.composite
def spoilt(draw, good):
    column = np.array(good, float)
    column.flat[draw(st.integers(0, column.size - 1))] = draw(NUMBERS)
    return column


HEADERS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ['{"label_range": [0, 5]}', '{"label_range": [0, 1e400]}', '{"label_range": [5, 0]}',
         '{"label_range": [-1e300, 1e300]}', '{"version": 2}', "[" * 3000, '{"a":' * 900, "{}",
         '{"data": "\\ud800"}', '{"data": "\\u001b[2J"}', "NaN", '{"data": NaN}', "9" * 5000]
    ),
).map(np.array)  # fmt: skip


@st.composite
def all_columns(draw):
    good = dict(draw(st.sampled_from([exits(), sequences()])))
    for name in draw(
        st.sets(st.sampled_from([*EXITS, *SEQUENCES, "header", "own"]), max_size=2)
    ):
        kinds = [odd_arrays(), st.none()]
        if name in good:
            kinds.append(spoilt(good[name]))
        good[name] = draw(HEADERS if name == "header" else st.one_of(kinds))
    return {name: column for name, column in good.items() if column is not None}


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["ltt", "ucb", "crc_paper", "conformal", "budget", "nosuch"]),
        "risk": st.sampled_from(["gap", "signed_gap", "consistency", "nosuch"]),
        "level": NUMBERS,
        "delta": NUMBERS,
        "search": st.sampled_from([None, "greedy", "nosuch"]),
        "min_depth": st.sampled_from([1, 4, 6, 7, 0, -1, 99, 10**30]),
        "patience": st.sampled_from([0, 1, 3, 4, -1, 10**30]),
        "trials": st.sampled_from([1, 2, 0, -1, 10**12]),
        "share": st.one_of(NUMBERS, st.sampled_from([0.01, 0.3, 0.99])),
    },
)
CASES = st.builds(
    Case,
    all_columns(),
    st.booleans(),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=3).map(
        tuple
    ),
    st.one_of(st.just(1.0), st.floats(0, 1)),
    OPTIONS,
)


def bytes_of(case):
    out = io.BytesIO()
    (np.savez_compressed if case.compress else np.savez)(out, **case.columns)
    data = bytearray(out.getvalue())
    for share, bit in case.damage:
        data[int(share * len(data))] ^= 1 << bit
    return bytes(data[: math.ceil(case.keep * len(data))])


def check(case):
    """Judges what the command's function does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.npz"
        path.write_bytes(bytes_of(case))
        start, refused, found = time.perf_counter(), "", None
        try:
            found = load_trace(path), run(path, **case.options)
        except UserError as error:
            refused = str(error)
        assert time.perf_counter() - start < SECONDS
    assert "\n" not in refused
    assert len(refused) < 600
    if found is None:
        return None
    trace, record = found
    for name, column in trace.columns().items():
        np.testing.assert_array_equal(
            column, np.asarray(case.columns[name]).astype(column.dtype)
        )
    makes_sense(record)
    return record


def run(path, trials=2, share=0.5, min_depth=1, patience=0, **options):
    stopping = Stopping(min_depth=min_depth, patience=patience)
    request = Request(**{"risk": "gap", **options}, stopping=stopping)
    return calibrate(path, request, trials, 0, share)


def makes_sense(record):
    choice, most = record["choice"], record["full_depth"]
    assert 0 <= choice["threshold"] <= 1
    assert -1 <= choice["calibration_risk"] <= 1
    assert choice["calibration_mean_depth"] > 0
    if record["exit_layers"]:
        assert choice["calibration_mean_depth"] <= most <= 10**6
    for row in record["levels"]:
        assert -1 <= row["risk"]["mean"] <= 1
        assert 0 < row["depth"]["mean"] < math.inf


FEW = settings(
    max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@FEW
@given(CASES)
@example(Case(exits()))
@example(Case(sequences()))
@example(Case(exits(), compress=True, options={"search": "greedy", "method": "ucb"}))
@example(Case(exits(depth_E=np.array([1, 2, math.inf]))))
@example(Case(exits(depth_E=np.array([1, 2, 2**31]))))
@example(Case(exits(depth_E=np.array([8, 4, 2], np.uint32))))
@example(Case(exits(prediction_NE=np.full((6, 3), 1e300)), options={"risk": "consistency"}))
@example(Case(exits(prediction_NE=np.full((6, 3), math.inf))))
@example(Case(exits(header=np.array("[" * 3000))))
@example(Case(exits(header=np.array('{"a":' * 900 + "1" + "}" * 900))))
@example(Case(exits(header=np.array('{"data": "\\ud800"}'))))
@example(Case(exits(header=np.zeros(3))))
@example(Case(exits(), options={"min_depth": 99}))
@example(Case(exits(), options={"patience": 10**30}))
@example(Case(exits(), options={"trials": 10**12}))
def test_a_record_or_one_line(case):
    check(case)


@pytest.mark.long
@settings(FEW, max_examples=2000)
@given(CASES)
def test_a_record_or_one_line_of_many(case):
    check(case)


def test_good_traces_are_not_refused():
    for columns in (exits(), sequences(), exits(own=np.array([{}], object))):
        assert check(Case(columns))


def with_header(shape, data=b"", compress=zipfile.ZIP_STORED):
    """A file whose array claims a shape, whatever it holds."""
    head = io.BytesIO()
    npy.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": shape})
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compress) as file:
        file.writestr("confidence_NE.npy", head.getvalue() + data)
    return out.getvalue()


@pytest.mark.parametrize("compress", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (2**62, 4), (7,)])
def test_a_shape_that_the_file_does_not_hold_is_refused_before_memory_is_asked_for(
    tmp_path, shape, compress
):
    path = tmp_path / "claims.npz"
    path.write_bytes(with_header(shape, bytes(48), compress))
    with pytest.raises(UserError, match=r"is no \.npz of plain arrays"):
        load_trace(path)


def test_an_entry_that_claims_more_bytes_than_the_file_has(tmp_path):
    path, data = tmp_path / "claims.npz", bytearray(with_header((6,), bytes(48)))
    at = data.rindex(b"PK\x01\x02") + 20  # in the directory: packed and whole size
    data[at : at + 8] = (2**31).to_bytes(4, "little") * 2
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"is no \.npz of plain arrays"):
        load_trace(path)
