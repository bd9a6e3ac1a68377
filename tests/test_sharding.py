"""The early-exit program on one device and on eight, which are simulated.

As a program, this file is the part that needs the eight: JAX must be told before it starts.
"""

import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ee_jax.compilation import check_batch, data_mesh, over_data, replicate, split_batch
from ee_jax.errors import UserError
from ee_jax.exits.loop import run_exits
from ee_jax.exits.output import ExitOutput
from ee_jax.exits.rules import forced_rule, threshold_rule
from ee_jax.exits.stopping import make_limits
from ee_jax.inference.early_exit import early_exit
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.families.bert import bert
from ee_jax.models.heads import ExitDesign
from ee_jax.models.transformer import Transformer, bind, parameters
from ee_jax.tokens import Tokens

DEVICES, B, T, LAYERS, SIZES = 8, 16, 5, (1, 2, 3), (1, 4)
# Two examples a device: each device has its own greatest depth.
DEPTHS = [1, 1, 1, 2, 3, 1, 2, 2, 1, 1, 1, 1, 3, 3, 1, 1]


def make_model():
    config = bert(50, width=16, blocks=3, heads=2, hidden=24, max_length=8)
    rngs = nnx.Rngs(0)
    return ExitModel(Transformer(config, rngs=rngs), ExitDesign(LAYERS, 3), rngs=rngs)


def answers_on(mesh):
    """What a tiny BERT's early-exit program answers at several thresholds."""
    model = nnx.eval_shape(make_model)
    random = np.random.default_rng(0)
    values = {
        path: jnp.asarray(random.normal(size=value.shape, scale=0.3), jnp.float32)
        for path, value in parameters(model).items()
    }
    ids_BT = random.integers(1, 50, (B, T)).astype(np.int32)
    mask_BT = np.arange(T) < random.integers(1, T + 1, (B, 1))

    def run(shared, batch):
        values, limits = shared
        rule = threshold_rule("max_prob", limits)
        return early_exit(bind(model, values), batch, rule, SIZES)

    program = jax.jit(over_data(run, mesh))
    batch = split_batch(Tokens(ids_BT, mask_BT), mesh)
    for threshold in (0.0, 0.5, 0.6, 0.65, 0.7, 0.8, 1.0):
        shared = replicate((values, make_limits(threshold, LAYERS)), mesh)
        out = program(shared, batch)
        shards = len(out.exit_B.sharding.device_set)
        yield {"shards": shards} | {
            name: np.asarray(value).tolist() for name, value in out._asdict().items()
        }


def segments_run_on_each_device(mesh):
    """How many segments of a model of three lines ran on each device."""
    ran = []

    def segment(depth_B):
        device = jax.lax.axis_index("data")
        jax.debug.callback(lambda device: ran.append(int(device)), device)
        return depth_B

    def run(_, depth_B):
        heads = [lambda state: ExitOutput(jnp.zeros((state.shape[0], 2)))] * len(LAYERS)
        rule = forced_rule("max_prob", depth_B, LAYERS)
        return run_exits([segment] * len(LAYERS), heads, rule, depth_B)

    depth_B = split_batch(np.array(DEPTHS, np.int32), mesh)
    out = jax.jit(over_data(run, mesh))(0, depth_B)
    assert out.exit_B.tolist() == [depth - 1 for depth in DEPTHS]
    jax.effects_barrier()
    return [ran.count(device) for device in range(mesh.size)]


def main():
    mesh = data_mesh()
    found = {
        "devices": mesh.size,
        "one": list(answers_on(data_mesh(1))),
        "all": list(answers_on(mesh)),
        "segments": segments_run_on_each_device(mesh),
    }
    print(json.dumps(found))


@pytest.fixture(scope="module")
def found():
    count = f"--xla_force_host_platform_device_count={DEVICES}"
    environment = os.environ | {"XLA_FLAGS": count, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_eight_devices_answer_as_one(found):
    assert found["devices"] == DEVICES
    for one, all_ in zip(found["one"], found["all"], strict=True):
        assert (one.pop("shards"), all_.pop("shards")) == (1, DEVICES)
        assert all_["exit_B"] == one["exit_B"]
        for name in ("logits_BC", "confidence_B"):
            # Other batch sizes, other orders of summation.
            np.testing.assert_allclose(all_[name], one[name], rtol=0, atol=1e-6)
    exits = [set(one["exit_B"]) for one in found["one"]]
    assert exits[0] == {0}
    assert exits[-1] == {2}
    assert {0, 1} in exits
    assert {1, 2} in exits


def test_each_device_stops_when_its_own_examples_have(found):
    assert found["segments"] == np.reshape(DEPTHS, (DEVICES, -1)).max(1).tolist()


def test_over_one_device_nothing_is_wrapped():
    def function(shared, batch):
        return batch

    assert over_data(function, data_mesh(1)) is function


def mesh_of(size) -> Any:
    """As much of a mesh as the check reads."""
    return SimpleNamespace(size=size)


@pytest.mark.parametrize(("batch", "devices"), [(32, 8), (8, 8), (1, 1), (7, 1)])
def test_a_batch_that_divides(batch, devices):
    check_batch(batch, mesh_of(devices), "fit.batch")


@pytest.mark.parametrize(("batch", "devices"), [(1, 8), (12, 8), (33, 32)])
def test_a_batch_that_does_not_divide(batch, devices):
    message = f"`fit.batch` is {batch}, which {devices} devices .* a multiple of {devices}"
    with pytest.raises(UserError, match=message):
        check_batch(batch, mesh_of(devices), "fit.batch")


if __name__ == "__main__":
    main()
