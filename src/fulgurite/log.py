"""Where messages go: all of them into the run's ``train.log``, warnings and errors also to the terminal.

Libraries greet the user in many ways (devices found, tips, notes about their own deprecations). A normal run shows
none of that; the log keeps it.
"""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

LOG_NAME = "train.log"
# Lightning gives its loggers handlers of their own and does not pass messages on.
_CHATTY = ("pytorch_lightning", "lightning_fabric", "lightning")
# Warnings that say nothing a user could act on, by the start of their text.
_NOISE = (
    # CSVLogger: the run folder exists because Hydra's record is in it.
    r"Experiment logs directory .* exists and is not empty",
    # Short epochs are fine: our own step log counts steps over the whole run.
    r"The number of training batches .* is smaller than the logging interval",
    # Batches come from memory; there are no workers to add.
    r"The '\w+' does not have many workers",
    # Metrics are synchronised over the devices when they are computed.
    r"It is recommended to use `self.log\(.*sync_dist=True\)`",
    # pytorch_lightning's use of torch's pytree.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
    # A checkpoint in the folder of the run it belongs to.
    r"Checkpoint directory .* exists and is not empty",
    # trainer=cpu on a machine with a GPU is a choice.
    r"GPU available but not used",
    # Members of a fused sweep share tensors; cuDNN packs a layer's weights for each validation batch.
    r"RNN module weights are not part of single contiguous chunk",
)


# Handlers of the jobs that are running; a fused sweep has many at once. The key of a thread's own is in its context.
_HANDLERS: dict[object, tuple[logging.Handler, ...]] = {}
_OWN: ContextVar[object] = ContextVar("own", default=None)


class _LogFile(logging.FileHandler):
    """A log file that is open only while it is written to: a thousand runs at once would be too many open files."""

    def __init__(self, path: Path) -> None:
        # A message may name a file whose name is no UTF-8.
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._close_file()

    def emit(self, record: logging.LogRecord) -> None:
        """Open, append, close."""
        super().emit(record)
        self._close_file()

    def _close_file(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.close()


class _ByThread(logging.Handler):
    """Hands a message to the handlers of its thread, without asking those of all others."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Hand it on."""
        own = _HANDLERS.get(_OWN.get())
        mine = list(_HANDLERS.values()) if own is None else [own]
        for handler in [each for handlers in mine for each in handlers]:
            if record.levelno >= handler.level:
                handler.handle(record)
        return True


_BY_THREAD = _ByThread()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Take what libraries say to the log alone, and drop their noise, while the context lasts."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)
    for name in _CHATTY:
        chatty = logging.getLogger(name)
        chatty.handlers.clear()
        chatty.propagate = True
    # It looks for a CUDA compiler wherever something is compiled, and warns where there is none.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for text in _NOISE:
                warnings.filterwarnings("ignore", message=text)
            yield
    finally:
        root.setLevel(before)


@contextmanager
def log_to(folder: Path) -> Iterator[None]:
    """Write all messages into ``folder/train.log`` while the context lasts; warnings and errors to stderr as well.

    Of several threads in such a context, each writes into its own folder; other threads' messages go to all of them.
    """
    root = logging.getLogger()
    to_file = _LogFile(folder / LOG_NAME)
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    to_terminal = logging.StreamHandler(sys.stderr)
    to_terminal.setLevel(logging.WARNING)
    to_terminal.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    to_terminal.addFilter(lambda record: not getattr(record, "only_in_file", False))
    key = object()
    token = _OWN.set(key)
    _HANDLERS[key] = (to_file, to_terminal)
    # Adding it again changes nothing.
    root.addHandler(_BY_THREAD)
    try:
        with quiet_libraries():
            yield
    finally:
        del _HANDLERS[key]
        if not _HANDLERS:
            root.removeHandler(_BY_THREAD)
        _OWN.reset(token)
        to_file.close()
