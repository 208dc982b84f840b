"""The command line: which command, what a user sees of an error, which exit code. Imports Hydra only for a command.

Exit codes: 0 done, 1 a bug, a diverged run or a failed job of a sweep, 2 what the user can mend, 130 Ctrl-C.
``sys.argv`` stays as typed: to train on several devices, Lightning starts the other processes by typing it again.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module

from fulgurite import __version__, help

_MODULES = {
    "eval": "fulgurite.replay.evaluate",
    "predict": "fulgurite.replay.predict",
    "backquery": "fulgurite.replay.backquery",
    "visualise": "fulgurite.replay.visualise",
    "parameters": "fulgurite.replay.parameters",
    "rerun": "fulgurite.replay.rerun",
    "board": "fulgurite.board.server",
    "report": "fulgurite.sweep.report",
    "compare": "fulgurite.report.compare",
    "reproduce": "fulgurite.reproduce.command",
    "ls": "fulgurite.replay.listing",
    "diff": "fulgurite.replay.diff",
    "ensemble": "fulgurite.replay.ensemble",
}
_SWEEP_MODULES = {
    "plan": "fulgurite.plan.command",
    "show": "fulgurite.sweep.show",
    "resume": "fulgurite.sweep.again",
}
_HELP_FLAGS = ("--help", "-h")
_COMPLETION_FLAGS = ("--shell-completion", "-sc")


def main() -> int:
    """The console command ``fulgurite``; returns the exit code."""
    # As for `python train.py`: a `_target_` may name a module of the user's own, in the folder that she is in.
    sys.path.append(os.getcwd())
    words = sys.argv[1:]
    command = words[0] if words else "--help"
    if command in _HELP_FLAGS:
        print(help.overview())
        return 0
    if command == "--version":
        return _print_version()
    if command == "train" or command in _COMPLETION_FLAGS:
        return train(words[command == "train" :])
    if command == "sweep":
        return _sweep(words[1:])
    if command not in _MODULES:
        return _complain(help.unknown_command(command), 2)
    return guarded(lambda: import_module(_MODULES[command]).main(words[1:]))


def train(argv: Sequence[str] | None = None) -> int:
    """What ``python train.py`` does: one run, or with ``-m`` a sweep; returns the exit code.

    Args:
        argv: the words after ``train``; without them those after the name of the program.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if any(flag in words for flag in _HELP_FLAGS):
        print(help.train())
        return 0
    if "--version" in words:
        return _print_version()
    if any(flag in words for flag in _COMPLETION_FLAGS) and not _line_is_for_train():
        return 0
    overrides = [word for word in words if not word.startswith("-")]
    return guarded(lambda: import_module("fulgurite.hydra_app").run(words), overrides)


def _sweep(words: Sequence[str]) -> int:
    """What ``fulgurite sweep`` does; returns the exit code."""
    command, rest = (words[0], words[1:]) if words else ("--help", [])
    if command in _HELP_FLAGS:
        print(help.sweep())
        return 0
    if command not in _SWEEP_MODULES:
        return _complain(help.unknown_sweep_command(command), 2)
    if any(flag in rest for flag in _HELP_FLAGS):
        print(help.SWEEP_TEXTS[command])
        return 0
    overrides = [word for word in rest if not word.startswith("-")]
    return guarded(lambda: import_module(_SWEEP_MODULES[command]).main(rest), overrides)


def guarded(command: Callable[[], int], overrides: Sequence[str] = ()) -> int:
    """Run ``command``; say what it raises in one line, and in the exit code.

    ``FULGURITE_DEBUG=1`` or ``HYDRA_FULL_ERROR=1`` lets the exception through.
    """
    # Read before Hydra is set to raise, and handed on to the processes that Lightning starts.
    debug = os.environ.setdefault("FULGURITE_DEBUG", os.environ.get("HYDRA_FULL_ERROR", "0")) == "1"
    try:
        return command()
    except BrokenPipeError:
        # `... | head` has read enough; without this Python complains again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        from fulgurite.errors import is_interrupt

        if is_interrupt(error):
            print(f"interrupted; {error}" if str(error) else "interrupted", file=sys.stderr)
            return 130
        if debug or isinstance(error, SystemExit):
            raise
        return _say(error, overrides)


def _say(error: Exception | KeyboardInterrupt, overrides: Sequence[str]) -> int:
    from fulgurite.explain import explain, explain_folder
    from fulgurite.hydra_app import JobError

    if isinstance(error, JobError):
        cause = error.__cause__
        return _complain(f"{type(cause).__name__}: {cause}; the traceback is in {error}", 1)
    if message := explain(error, overrides):
        return _complain(message, 2)
    if isinstance(error, OSError) and error.filename:
        return _complain(explain_folder(error), 2)
    return _complain(f"{type(error).__name__}: {error}; FULGURITE_DEBUG=1 shows the traceback", 1)


def _complain(message: str, code: int) -> int:
    rank = os.environ.get("LOCAL_RANK", "0")
    print(f"error{'' if rank == '0' else f' in process {rank}'}: {message}", file=sys.stderr)
    return code


def _print_version() -> int:
    print(f"fulgurite {__version__}")
    return 0


def _line_is_for_train() -> bool:
    """Whether Hydra is to complete the line that the shell asks about; takes the words before overrides out of it.

    Completes the commands of ``fulgurite`` itself.
    """
    program, _, rest = os.environ.get("COMP_LINE", "").lstrip().partition(" ")
    if os.path.basename(program) != "fulgurite":
        return True
    command, words = "", rest
    names: Iterable[str] = help.COMMANDS
    while names:
        word, space, words = words.lstrip().partition(" ")
        if not space:
            print(" ".join(name for name in names if name.startswith(word)))
            return False
        command, names = f"{command} {word}".strip(), help.SWEEP_COMMANDS if (command, word) == ("", "sweep") else ()
    os.environ["COMP_LINE"] = f"{program} {words}"
    return command in ("train", "sweep plan")
