"""A job in a thread of its own, of which only one runs at a time.

A member of a fused sweep is its solo run, line for line: its own Trainer, callbacks, loggers and files. Only where it
would compute training steps it asks for them, and waits until all the others have come as far; then the steps of all
are computed as one. Threads are used as coroutines here: control is handed over explicitly, nothing runs in parallel.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from fulgurite.fused.generators import fresh_generators, get_generators, set_generators
from fulgurite.fused.signals import signals_noted


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
        self._generators = fresh_generators()

    def resume(self, answer: Any = None) -> None:
        """Let it go on, with ``answer`` to its request, until it asks again or ends. An exception is raised in it.

        Raises:
            KeyboardInterrupt: when Ctrl-C was pressed meanwhile; the member is paused then.
            RuntimeError: when it has ended.
        """
        if self.request is None and self.ident is not None:
            # To wait for it would be to wait forever.
            raise RuntimeError(f"{self.name} has ended")
        outside = get_generators()
        # Two threads must never run at once, wherever a signal falls.
        with signals_noted(self._note_interrupt):
            self.request, self._answer = None, answer
            set_generators(self._generators)
            if self.ident is None:
                self.start()
            else:
                self._go.release()
            self._paused.acquire()
            self._generators = get_generators()
            set_generators(outside)
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

    def _note_interrupt(self) -> None:
        self.is_interrupted = True


def waiting(members: Sequence[Member]) -> list[Member]:
    """Those that have not ended."""
    return [member for member in members if member.request is not None]


def named(members: Sequence[Member]) -> str:
    """As a line to the user calls them."""
    if len(members) == 1:
        return f"job {members[0].name}"
    return f"jobs {members[0].name} to {members[-1].name} ({len(members)})"


def current_member() -> Member | None:
    """The member in whose thread this is called; ``None`` in an ordinary run."""
    thread = threading.current_thread()
    return thread if isinstance(thread, Member) else None
