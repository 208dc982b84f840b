"""Successive halving: the worst of a program leave at its rungs, the rest trains on as if alone."""

import math

from fused_runs import SMALL, difference, train_alone, train_together

# Nine learning rates, of which the middle ones are good.
RATES = (1e-6, 1e-5, 1e-4, 3e-3, 1e-2, 3e-2, 1e-7, 1e-8, 1e-9)
CASE = (
    *SMALL,
    "model=mlp",
    "model.hidden=[8]",
    "scheduler=constant",
    "trainer.precision=64-true",
    "trainer.max_epochs=4",
)


def composed(compose_config, folder, number):
    return compose_config(*CASE, f"optimizer.lr={RATES[number]}", folder=folder / str(number))


def test_the_best_third_goes_on_after_one_and_three_epochs_and_equals_its_solo_run(compose_config, tmp_path):
    together = train_together(
        [composed(compose_config, tmp_path / "fused", number) for number in range(len(RATES))], halving=3
    )
    assert not together.errors
    epochs = [outcome.epochs for outcome in together.outcomes]
    assert sorted(epochs) == [1] * 6 + [3] * 2 + [4]
    assert [outcome.pruned for outcome in together.outcomes] == [number < 4 for number in epochs]
    first = [outcome.objective for outcome in together.outcomes if outcome.epochs == 1]
    rest = [outcome.objective for outcome in together.outcomes if outcome.epochs > 1]
    assert max(first) <= min(rest)
    for number in (epochs.index(4), epochs.index(3)):
        folder = tmp_path / "solo"
        cfg = compose_config(
            *CASE, f"optimizer.lr={RATES[number]}", f"trainer.max_epochs={epochs[number]}", folder=folder / str(number)
        )
        solo, expected = train_alone(cfg)
        assert difference(together.runs[number], solo) < 1e-10
        assert math.isclose(together.outcomes[number].objective, expected.objective, rel_tol=1e-6)
    assert any("6 of 9 jobs are pruned" in line for line in together.lines), together.lines


def test_a_pruned_run_has_its_best_and_last_checkpoint_and_was_not_tested(compose_config, tmp_path):
    configs = [composed(compose_config, tmp_path, number) for number in (0, 3)]
    for cfg in configs:
        cfg.test = True
    together = train_together(configs, halving=2)
    assert not together.errors, together.errors
    pruned, kept = together.outcomes
    assert (pruned.pruned, kept.pruned) == (True, False)
    assert {path.name for path in (tmp_path / "0" / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert not any(name.startswith("test/") for name in pruned.metrics)
    assert "test/acc" in kept.metrics


def interrupted(compose_config, folder, epochs):
    """Configs of jobs that go on after so many epochs each; those of different rates, all to four epochs."""
    configs = []
    for number, done in enumerate(epochs):
        rate = f"optimizer.lr={RATES[number]}"
        own = folder / str(number)
        train_alone(compose_config(*CASE, rate, f"trainer.max_epochs={done}", folder=own))
        checkpoint = f"checkpoint={own / 'checkpoints' / 'last.ckpt'}"
        configs.append(compose_config(*CASE, rate, checkpoint, folder=own))
    return configs


def test_jobs_that_go_on_at_a_rung_are_pruned_there(compose_config, tmp_path):
    together = train_together(interrupted(compose_config, tmp_path, (1, 1, 1, 1)), halving=2)
    assert [outcome.epochs for outcome in together.outcomes] == [1, 1, 2, 4]


def test_a_rung_at_which_jobs_were_pruned_before_prunes_no_more_of_them(compose_config, tmp_path):
    together = train_together(interrupted(compose_config, tmp_path, (1, 1, 1, 1)), halving=2, rungs=frozenset({1}))
    assert sorted(outcome.epochs for outcome in together.outcomes) == [2, 2, 4, 4]


def test_jobs_interrupted_in_different_epochs_meet_before_the_next_rung(compose_config, tmp_path):
    together = train_together(interrupted(compose_config, tmp_path, (1, 3, 2)), halving=3)
    assert not together.errors
    assert sorted(outcome.epochs for outcome in together.outcomes) == [3, 3, 4]


def test_an_epoch_shorter_than_the_probe_is_a_rung_too(compose_config, tmp_path):
    configs = [composed(compose_config, tmp_path, number) for number in (0, 1, 3)]
    for cfg in configs:
        cfg.trainer.limit_train_batches = 4
    together = train_together(configs, halving=3, probe=True)
    assert [outcome.epochs for outcome in together.outcomes] == [1, 1, 4]
