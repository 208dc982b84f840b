"""Members whose epochs learn from different samples of the same data."""

from fused_runs import SMALL, difference, train_alone, train_together, vary

from fulgurite.callbacks.forgetting import Forgetting


def test_naive_replay_and_joint_learning_are_one_program_and_each_is_its_solo_run(compose_config, tmp_path) -> None:
    words = ("data=split_mnist", "model=mlp", "model.hidden=[8]", "trainer.precision=64-true", "trainer.max_epochs=3")
    base = compose_config(*SMALL, *words, "data.tasks=[[0,1,2],[3,4,5],[6,7,8,9]]")
    # The same seed in all: only the method tells their batches apart.
    methods = ("naive", "replay", "joint")

    def composed(kind: str) -> list:
        return [vary(base, tmp_path / kind / each, f"data.method={each}") for each in methods]

    together = train_together(composed("fused"))
    assert not together.errors
    assert "(3) train as one" in " ".join(together.lines), together.lines
    for run, cfg in zip(together.runs, composed("solo"), strict=True):
        solo, _ = train_alone(cfg)
        assert difference(run, solo) < 1e-10
        learned = [
            next(each.learned for each in one.trainer.callbacks if isinstance(each, Forgetting)) for one in (run, solo)
        ]
        assert learned[0] == learned[1]
