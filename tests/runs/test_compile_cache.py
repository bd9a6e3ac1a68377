"""Programs that a command compiled are there for the next one."""

import pytest

from ee_jax.compilation import data_mesh
from ee_jax.results import read_results
from ee_jax.runs.compile import plan


@pytest.fixture
def run_at(small, write_config, start, tmp_path, monkeypatch):
    """Runs the small experiment into a folder, for a user with a home of their own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    config = write_config(small)

    def run(name: str):
        process = start("run", config, "--output", tmp_path / name)
        _, err = process.communicate()
        assert process.returncode == 0, err
        return read_results(tmp_path / name), err

    return run


def test_a_second_run_compiles_little_and_says_so(run_at, small, tmp_path):
    """What is compiled is what `ee-jax compile` lists; all else is as it was."""
    (first, _), (second, said) = run_at("first"), run_at("second")
    assert any((tmp_path / ".cache/ee_jax/compiled").iterdir())
    saved = second.seconds["compile_saved"]
    assert saved > 10 * abs(first.seconds.get("compile_saved", 0.0))
    assert f"programs that were compiled before saved {saved:.1f} s" in said
    assert first.programs == second.programs == len(plan(small, data_mesh()))
    assert first.strategies["joint"].exits == second.strategies["joint"].exits


def test_the_cache_can_be_turned_off(run_at, tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "false")
    results, _ = run_at("run")
    assert not (tmp_path / ".cache/ee_jax").exists()
    assert "compile_saved" not in results.seconds
    assert results.programs > 0
