"""A compiled program computes what the traced one does."""

import pytest
from fused_runs import SMALL, difference, train_alone, train_together

CASE = (*SMALL, "trainer.precision=64-true", "model=mlp", "model.hidden=[8]", "model.dropout=0.1")


def composed(compose_config, folder, number):
    return compose_config(*CASE, f"seed={number}", f"optimizer.lr={0.001 * (number + 1)}", folder=folder / str(number))


@pytest.mark.slow
def test_members_of_a_compiled_program_equal_their_solo_runs(compose_config, tmp_path):
    configs = [composed(compose_config, tmp_path / "fused", number) for number in range(3)]
    together = train_together(configs, compile=True)
    assert any("compiling" in line for line in together.lines)
    assert not any("not compiled" in line for line in together.lines), together.lines
    for number, run in enumerate(together.runs):
        solo, _ = train_alone(composed(compose_config, tmp_path / "solo", number))
        assert difference(run, solo) < 1e-10


def test_without_a_compiler_the_program_runs_uncompiled_and_says_so(compose_config, tmp_path, monkeypatch):
    def fail(graph):
        raise RuntimeError("no C++ compiler\nsecond line")

    monkeypatch.setattr("torch.compile", fail)
    configs = [composed(compose_config, tmp_path / "fused", number) for number in range(2)]
    together = train_together(configs, compile=True)
    assert together.lines[-1].endswith("not compiled, which costs time and nothing else: no C++ compiler")
    assert not together.errors
    assert len(together.outcomes) == 2


def test_an_error_without_a_message_keeps_a_program_from_nothing_but_being_compiled(
    compose_config, tmp_path, monkeypatch
):
    def fail(graph):
        raise AssertionError

    monkeypatch.setattr("torch.compile", fail)
    configs = [composed(compose_config, tmp_path / "fused", number) for number in range(2)]
    together = train_together(configs, compile=True)
    assert together.lines[-1].endswith("nothing else: AssertionError")
    assert not together.errors
