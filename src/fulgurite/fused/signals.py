"""How Ctrl-C and SIGTERM are taken while something must not be cut in two."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

Handler = Callable[..., Any] | int | None
_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def _handled(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Handle signals so while the context lasts; outside the main thread, which alone gets them, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def terminated_like_interrupted() -> AbstractContextManager[None]:
    """Take a termination signal for Ctrl-C while the context lasts, as a solo run does."""
    # Not by way of SIGINT, which is ignored in a process that a script has put into the background.
    return _handled({signal.SIGTERM: signal.default_int_handler})


def signals_ignored() -> AbstractContextManager[None]:
    """Go on to the end of the context whatever the user presses again: it is a matter of seconds."""
    return _handled(dict.fromkeys(_ENDING, signal.SIG_IGN))


def signals_noted(note: Callable[[], None]) -> AbstractContextManager[None]:
    """Call ``note`` for Ctrl-C and SIGTERM; one that is ignored, or left to the system, stays so."""
    handled = [number for number in _ENDING if callable(signal.getsignal(number))]
    return _handled(dict.fromkeys(handled, lambda *_: note()))


@contextmanager
def ctrl_c_waits() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the context."""
    pressed: list[None] = []
    with _handled({signal.SIGINT: lambda *_: pressed.append(None)}):
        yield
    if pressed:
        signal.raise_signal(signal.SIGINT)
