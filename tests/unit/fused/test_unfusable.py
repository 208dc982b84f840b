"""What cannot be computed as one leaves its program in all ranks, and says why."""

from types import SimpleNamespace

import pytest
from fused_runs import SMALL, difference, train_alone, train_together

from fulgurite.fused.horizon import num_left
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.ranks import Ranks
from fulgurite.fused.unfusable import DoesNotFitError, UnfusableError, in_all_ranks, why_not_compiled, why_not_traced

ELSEWHERE = "another process cannot batch its part of the steps"


class Others(Ranks):
    """Ranks whose others say yes to some questions.

    Args:
        answers: to each of the flags of a question.
        after: questions before, to which they say no.
    """

    def __init__(self, *answers: bool, after: int = 0) -> None:
        self.answers = answers
        self.after = after
        self.failed: list[object] = []

    def any(self, *flags: bool) -> list[bool]:
        self.after -= 1
        return list(flags) if self.after >= 0 else [a or b for a, b in zip(flags, self.answers, strict=True)]

    def meet_failed(self, error: BaseException | str) -> None:
        self.failed.append(error)


def raising(error: Exception):
    def make():
        raise error

    return make


def test_what_is_made_in_all_ranks_is_handed_on():
    assert in_all_ranks(Others(False, False), lambda: 3) == 3


@pytest.mark.parametrize("make", [lambda: 3, raising(UnfusableError("mine"))])
def test_out_of_memory_in_one_rank_is_so_in_all(make):
    with pytest.raises(DoesNotFitError, match="^their program does not fit into memory$"):
        in_all_ranks(Others(True, False), make)


def test_a_step_that_one_rank_cannot_batch_is_batched_in_none():
    with pytest.raises(UnfusableError, match=f"^{ELSEWHERE}$"):
        in_all_ranks(Others(False, True), lambda: 3)
    with pytest.raises(UnfusableError, match="^mine$"):
        in_all_ranks(Others(False, True), raising(UnfusableError("mine")))
    with pytest.raises(UnfusableError, match="^mine$"):
        in_all_ranks(Others(False, False), raising(UnfusableError("mine")))


def test_any_other_error_is_raised_when_all_ranks_have_failed():
    ranks, error = Others(False, False), OSError("disk")
    with pytest.raises(OSError, match="disk"):
        in_all_ranks(ranks, raising(error))
    assert ranks.failed == [error]


def assert_as_alone(compose, folder, *options: str, ranks: Ranks, of_settings: bool) -> list[str]:
    """Train two jobs with ranks that disagree, and by themselves; the lines of the former."""
    case = (*SMALL, "model=mlp", "model.hidden=[6]", "trainer.precision=64-true", *options)
    jobs = [compose(*case, f"seed={n}", folder=folder / "fused" / str(n)) for n in range(2)]
    together = train_together(jobs, **({"ranks": ranks} if of_settings else {}))
    assert not together.errors
    for n, run in enumerate(together.runs):
        solo, _ = train_alone(compose(*case, f"seed={n}", folder=folder / "solo" / str(n)))
        assert difference(run, solo) < 1e-10
    return together.lines


def test_members_leave_together_when_a_later_batch_cannot_be_batched_in_another_rank(
    compose_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(FusedEpochLoop, "ranks", Others(False, True, after=2))
    lines = assert_as_alone(compose_config, tmp_path, ranks=Ranks(), of_settings=False)
    assert "train as one" in lines[0]
    assert lines[1:] == [f"jobs job 0 to job 1 (2) go on alone: {ELSEWHERE}"]


def test_a_job_that_another_rank_cannot_fuse_trains_alone(compose_config, tmp_path):
    class OtherHasAHook(Ranks):
        def any(self, *flags: bool) -> list[bool]:
            return [True, *flags[1:]]

    lines = assert_as_alone(compose_config, tmp_path, ranks=OtherHasAHook(), of_settings=True)
    assert lines == [f"job job {n} trains alone: {ELSEWHERE}" for n in range(2)]


def test_jobs_that_differ_in_another_rank_are_not_put_together(compose_config, tmp_path):
    class OtherSeesThemDiffer(Ranks):
        def any(self, *flags: bool) -> list[bool]:
            return [flags[0], *[True] * len(flags[1:])]

    lines = assert_as_alone(compose_config, tmp_path, ranks=OtherSeesThemDiffer(), of_settings=True)
    assert lines == [f"job job {n} trains alone: no other job is like it" for n in range(2)]


def test_reasons_are_one_line_in_the_users_words():
    assert why_not_compiled(RuntimeError("InvalidCxxCompiler: No working C++ compiler found in ...\nmore")) == (
        "there is no C++ compiler; install one, such as g++"
    )
    assert why_not_compiled(AssertionError()) == "AssertionError"
    assert why_not_traced(TypeError("no rule\nmore")) == "its training step cannot be batched: no rule"
    assert why_not_traced(IndexError()) == "its training step cannot be batched: IndexError"


def test_steps_that_are_left_are_batches_also_where_several_make_an_update():
    trainer = SimpleNamespace(max_epochs=-1, num_training_batches=10, max_steps=7)
    progress = SimpleNamespace(total=SimpleNamespace(ready=5))
    assert num_left(SimpleNamespace(trainer=trainer, batch_progress=progress, accumulated=3)) == 16  # type: ignore[arg-type]
