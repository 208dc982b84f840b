"""Pictures of members of a fused sweep."""

import pytest
from fused_runs import SMALL, train_together, vary

from fulgurite.fused.group import Group


def test_a_member_earns_time_for_pictures_by_its_part_of_the_steps_of_all(compose_config, tmp_path, monkeypatch):
    began = Group.run

    def slow(group: Group, number: int):
        made = began(group, number)
        group.step_s = 3.0
        return made

    monkeypatch.setattr(Group, "run", slow)
    cfg = compose_config("model=mlp", "model.hidden=[8]", *SMALL)
    together = train_together([vary(cfg, tmp_path / str(seed), f"seed={seed}") for seed in range(3)])
    assert not together.errors
    for run in together.runs:
        # 20 steps of 3 s, by three.
        assert run.trainer.fit_loop.epoch_loop.shared_s == pytest.approx(20.0)
        (pictures,) = [each for each in run.trainer.callbacks if hasattr(each, "budget")]
        assert pictures.budget.elapsed_s >= 20.0
