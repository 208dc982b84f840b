"""Why steps cannot be computed as one, in words for the user, and the same in all ranks."""

from collections.abc import Callable
from typing import TypeVar

from fulgurite.fused.memory import is_out_of_memory
from fulgurite.fused.ranks import Ranks

_Made = TypeVar("_Made")
# Said by a rank that has seen nothing itself.
ELSEWHERE = "another process cannot batch its part of the steps"


class UnfusableError(Exception):
    """Why a step cannot be batched over members."""


class DoesNotFitError(UnfusableError):
    """There is not enough memory for so many members."""

    def __init__(self) -> None:
        super().__init__("their program does not fit into memory")


def in_all_ranks(ranks: Ranks, make: Callable[[], _Made]) -> _Made:
    """What ``make`` gives, when it gives something in all ranks. They may see batches of other sizes, or other hooks.

    Raises:
        DoesNotFitError: when one rank has run out of memory.
        UnfusableError: when a step cannot be batched in one of them.
        Exception: what ``make`` has raised in all ranks; one that is alone with it ends.
    """
    error: Exception | None = None
    try:
        made = make()
    except Exception as raised:
        error = raised
    is_out = error is not None and is_out_of_memory(error)
    does_not_fit, is_unfusable = ranks.any(is_out, isinstance(error, UnfusableError))
    if does_not_fit:
        raise DoesNotFitError from error
    if is_unfusable:
        raise error if isinstance(error, UnfusableError) else UnfusableError(ELSEWHERE)
    if error is not None:
        ranks.meet_failed(error)
        raise error
    return made


def in_words(error: BaseException) -> str:
    """The first line of an error, or its kind when it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def why_not_traced(error: Exception) -> str:
    """What stood in the way of a trace, in the words of whoever wrote the step."""
    text = str(error)
    if ".item()" in text or "control flow" in text:
        return "its training step calls .item(), or branches on a tensor's value"
    if "randomness" in text:
        return "its training step draws random numbers other than dropout's and torch.rand_like's"
    if "unused" in text.lower() or "not have been used" in text:
        return "some of its parameters do not reach the loss"
    return f"its training step cannot be batched: {in_words(error)}"


def why_not_compiled(error: Exception) -> str:
    """What kept torch from compiling, in one line."""
    if "No working C++ compiler" in str(error):
        return "there is no C++ compiler; install one, such as g++"
    return in_words(error)
