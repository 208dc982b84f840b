"""A job in a thread of its own, of which only one runs at a time.

A member of a fused sweep is its solo run, line for line: its own Trainer, callbacks, loggers and files. Only where it
would compute training steps it asks for them, and waits until all the others have come as far; then the steps of all
are computed as one. Threads are used as coroutines here: control is handed over explicitly, nothing runs in parallel.
"""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.random import mtrand

# Where Lightning keeps the seed of a run.
_SEED = "PL_GLOBAL_SEED"


class Member(threading.Thread):
    """A job that can be resumed, and pauses whenever it asks for something.

    The generators of torch, numpy and Python are each member's own: what it draws does not depend on the others.

    Args:
        job: called in the thread.
        name: for messages.
        after_turn: called with the member when it has paused or ended.

    Attributes:
        request: what it waits for; ``None`` once it has ended.
        error: what the job raised.
        is_interrupted: Ctrl-C was pressed while it ran; a job that does not pause should look at it.
    """

    def __init__(
        self, job: Callable[[], Any], name: str, after_turn: "Callable[[Member], None]" = lambda member: None
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.request: Any = None
        self.error: BaseException | None = None
        self.is_interrupted = False
        self._job = job
        self._after_turn = after_turn
        self._answer: Any = None
        self._go = threading.Semaphore(0)
        self._paused = threading.Semaphore(0)
        self._generators = _fresh_generators()

    def resume(self, answer: Any = None) -> None:
        """Let it go on, with ``answer`` to its request, until it asks again or ends. An exception is raised in it.

        Raises:
            KeyboardInterrupt: when Ctrl-C was pressed meanwhile; the member is paused then.
            RuntimeError: when it has ended.
        """
        if self.request is None and self.ident is not None:
            # To wait for it would be to wait forever.
            raise RuntimeError(f"{self.name} has ended")
        outside = _get_generators()
        with self._ctrl_c_noted():
            self.request, self._answer = None, answer
            _set_generators(self._generators)
            if self.ident is None:
                self.start()
            else:
                self._go.release()
            self._paused.acquire()
            self._generators = _get_generators()
            _set_generators(outside)
            self._after_turn(self)
        if self.is_interrupted:
            self.is_interrupted = False
            raise KeyboardInterrupt

    def end(self, error: BaseException) -> None:
        """Raise ``error`` in it as often as it asks, until it has ended."""
        while self.request is not None:
            self.resume(error)

    def ask(self, request: Any) -> Any:
        """Pause until there is an answer; called in the member's own thread."""
        self.request = request
        self._paused.release()
        self._go.acquire()
        answer, self._answer = self._answer, None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def run(self) -> None:
        """Run the job."""
        try:
            self._job()
        except BaseException as error:
            self.error = error
        finally:
            self._paused.release()

    @contextmanager
    def _ctrl_c_noted(self) -> Iterator[None]:
        """Note Ctrl-C and SIGTERM instead of raising them, wherever they fall: two threads must never run at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        found = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # One that is ignored, or left to the system, stays so.
        handled = {number: handler for number, handler in found.items() if callable(handler)}
        for number in handled:
            signal.signal(number, self._note_ctrl_c)
        try:
            yield
        finally:
            for number, handler in handled.items():
                signal.signal(number, handler)

    def _note_ctrl_c(self, *_: Any) -> None:
        self.is_interrupted = True


def waiting(members: Sequence[Member]) -> list[Member]:
    """Those that have not ended."""
    return [member for member in members if member.request is not None]


def named(members: Sequence[Member]) -> str:
    """As a line to the user calls them."""
    return f"jobs {members[0].name} to {members[-1].name} ({len(members)})"


def current_member() -> Member | None:
    """The member in whose thread this is called; ``None`` in an ordinary run."""
    thread = threading.current_thread()
    return thread if isinstance(thread, Member) else None


@dataclass
class _Generators:
    """States of the global generators of torch, numpy and Python; ``cuda`` is ``None`` before CUDA is used.

    ``seed`` is what Lightning seeds them with again at the start of a test on several devices.
    """

    torch: torch.Tensor
    cuda: Any
    numpy: Any
    python: tuple[Any, ...]
    seed: str | None


def _fresh_generators() -> _Generators:
    """Of their own, in the state that the global ones are in."""
    own = _get_generators()
    # The bit generator itself is exchanged: to copy its state takes 50 microseconds.
    numpy: Any = np.random.MT19937()
    numpy.state = own.numpy.state
    return replace(own, numpy=numpy)


def _get_generators() -> _Generators:
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None
    return _Generators(
        torch.default_generator.get_state(),
        cuda,
        mtrand.get_bit_generator(),
        random.getstate(),
        os.environ.get(_SEED),
    )


def _set_generators(generators: _Generators) -> None:
    torch.default_generator.set_state(generators.torch)
    if generators.cuda is not None:
        torch.cuda.set_rng_state(generators.cuda)
    mtrand.set_bit_generator(generators.numpy)
    random.setstate(generators.python)
    if generators.seed is not None:
        os.environ[_SEED] = generators.seed
