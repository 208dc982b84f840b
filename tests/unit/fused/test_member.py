"""Jobs as coroutines: one runs at a time, each with generators of its own, and no Ctrl-C leaves two running."""

import os
import random
import signal
import time

import numpy as np
import pytest
import torch

from fulgurite.fused.member import Member, current_member


def draw() -> tuple[float, float, float]:
    """One number of each global generator."""
    return torch.rand(()).item(), float(np.random.rand()), random.random()


def seed_all(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def drawing(seed: int, drawn: list[tuple[float, float, float]], number: int = 3) -> Member:
    """A member that seeds all generators, and pauses after each draw."""

    def job() -> None:
        seed_all(seed)
        for _ in range(number):
            drawn.append(draw())
            current_member().ask("more")

    return Member(job, f"seed {seed}")


def test_a_member_pauses_at_its_request_and_goes_on_with_the_answer():
    seen = []

    def job() -> None:
        seen.append(current_member().ask("first"))
        seen.append(current_member().ask("second"))

    member = Member(job, "job")
    member.resume()
    assert (member.request, seen) == ("first", [])
    member.resume(1)
    assert (member.request, seen) == ("second", [1])
    member.resume(2)
    assert (member.request, seen, member.error) == (None, [1, 2], None)


def test_a_member_that_has_ended_is_not_waited_for():
    member = Member(lambda: None, "short")
    member.resume()
    with pytest.raises(RuntimeError, match="short has ended"):
        member.resume()


def test_members_take_turns():
    turns = []

    def job(name: str) -> None:
        for number in range(3):
            turns.append(f"{name}{number}")
            current_member().ask(number)

    members = [Member(lambda name=name: job(name), name) for name in "ab"]
    for _ in range(4):
        for member in members:
            member.resume()
    assert turns == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert all(member.request is None for member in members)


def test_an_exception_as_answer_is_raised_where_the_member_waits():
    caught = []

    def job() -> None:
        try:
            current_member().ask("steps")
        except ValueError as error:
            caught.append(error)
        current_member().ask("again")

    member, error = Member(job, "job"), ValueError("no steps")
    member.resume()
    member.resume(error)
    assert caught == [error]
    assert member.request == "again"
    member.resume()
    assert member.error is None


def test_what_the_job_raises_is_kept_and_the_member_has_ended():
    error = RuntimeError("boom")

    def job() -> None:
        current_member().ask("steps")
        raise error

    member = Member(job, "job")
    member.resume()
    member.resume()
    assert member.error is error
    assert member.request is None
    member.join(5)
    assert not member.is_alive()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_even_an_exit_stays_in_the_member(error):
    def job() -> None:
        raise error

    member = Member(job, "job")
    member.resume()
    assert member.error is error


def test_an_ordinary_run_is_no_member():
    assert current_member() is None


def test_each_member_draws_what_it_draws_alone():
    expected = {}
    for seed in (1, 2):
        seed_all(seed)
        expected[seed] = [draw() for _ in range(3)]
    drawn = {1: [], 2: []}
    members = [drawing(seed, drawn[seed]) for seed in drawn]
    for _ in range(4):
        for member in members:
            member.resume()
            draw()
    assert drawn == expected


def test_members_leave_the_generators_outside_as_they_were():
    seed_all(5)
    expected = [draw() for _ in range(3)]
    seed_all(5)
    member, drawn = drawing(1, []), []
    for _ in range(3):
        drawn.append(draw())
        member.resume()
    assert drawn == expected


def test_a_member_starts_with_the_generators_of_where_it_was_made():
    seed_all(7)
    expected = draw()
    seed_all(7)
    drawn = []
    member = Member(lambda: drawn.append(draw()), "job")
    seed_all(8)
    member.resume()
    assert drawn == [expected]


@pytest.mark.parametrize("after_s", [0.0, 0.1])
def test_ctrl_c_waits_until_the_member_pauses(after_s):
    done = []

    def job() -> None:
        time.sleep(after_s)
        os.kill(os.getpid(), signal.SIGINT)
        # Time for the main thread to see it.
        time.sleep(0.1)
        done.append("paused")
        current_member().ask("steps")
        done.append("ended")

    member = Member(job, "job")
    with pytest.raises(KeyboardInterrupt):
        member.resume()
    assert (done, member.request) == (["paused"], "steps")
    member.resume()
    assert done == ["paused", "ended"]


def test_generators_are_put_back_after_ctrl_c():
    seed_all(5)
    expected = draw()
    seed_all(5)

    def job() -> None:
        seed_all(1)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)

    with pytest.raises(KeyboardInterrupt):
        Member(job, "job").resume()
    assert draw() == expected


def test_grad_mode_of_one_member_is_not_the_others():
    modes = []

    def job(grad: bool) -> None:
        with torch.set_grad_enabled(grad):
            current_member().ask("turn")
            modes.append(torch.is_grad_enabled())

    members = [Member(lambda grad=grad: job(grad), "job") for grad in (True, False)]
    for _ in range(2):
        for member in members:
            member.resume()
    assert modes == [True, False]
    assert torch.is_grad_enabled()
