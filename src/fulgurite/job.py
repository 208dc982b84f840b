"""A job: a composed config in, a run folder with ``result.json`` out, whatever happens in between."""

import gc
import logging
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from fulgurite import config
from fulgurite.board.session import write_end, write_start
from fulgurite.errors import FulguriteError, is_interrupt
from fulgurite.log import LOG_NAME, log_to
from fulgurite.result import Failure, Objective, Result, Status, git_state, versions
from fulgurite.resume import Begun, clear, next_attempt, record_in

if TYPE_CHECKING:
    from fulgurite.build import Run
    from fulgurite.fit import Outcome

log = logging.getLogger(__name__)


def run_job(
    cfg: DictConfig,
    overrides: Sequence[str],
    build: "Callable[[DictConfig], Run] | None" = None,
    begun: Begun | None = None,
) -> Result:
    """Build, train, test and record one run.

    Args:
        cfg: the composed config.
        overrides: what was typed, for the record.
        build: makes the run; ``fulgurite.build.build`` by default.
        begun: what to go on with, in the same folder; ``None`` for a run from the start.

    Raises:
        FulguriteError: what the user can mend; the record says ``failed``.
        KeyboardInterrupt: the record says ``interrupted``.
        Exception: any other fault; the record says ``failed`` and ``train.log`` holds the traceback.
    """
    started = time.perf_counter() - (begun.seconds if begun else 0.0)
    # The command line composes without it.
    gc.enable()
    folder = Path(cfg.folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = _record_in(folder)
    if begun is None and _is_first_process():
        # Loggers would add to the curves of an earlier run in this folder; its pictures would be taken for this one's.
        clear(folder)
    attempts = next_attempt(record_in(folder))
    plain = config.resolve(cfg)
    result = record(replace(_start(cfg, overrides, plain), seconds=begun.seconds if begun else 0.0, attempts=attempts))
    if _is_first_process():
        write_start(folder, result, plain)
    try:
        with log_to(folder):
            result = _train(cfg, result, build, begun)
        return result
    except BaseException as error:
        status: Status = "interrupted" if is_interrupt(error) else "failed"
        result = replace(result, status=status, error=Failure(type(error).__name__, str(error), LOG_NAME))
        raise
    finally:
        result = record(replace(result, seconds=time.perf_counter() - started))
        if _is_first_process():
            write_end(folder, result)


def _start(cfg: DictConfig, overrides: Sequence[str], plain: dict[str, Any]) -> Result:
    return Result(
        status="running",
        objective=Objective(cfg.objective.metric, cfg.objective.mode.value),
        overrides=list(overrides),
        fingerprint=config.fingerprint(plain),
        command=shlex.join(sys.argv),
        git=git_state(Path.cwd()),
        versions=versions(),
    )


def _train(cfg: DictConfig, result: Result, build: "Callable[[DictConfig], Run] | None", begun: Begun | None) -> Result:
    try:
        # Here, not at the top: a config error must not wait for torch.
        from fulgurite import build as builder
        from fulgurite.fit import fit
        from fulgurite.training.allocator import keep_freed_memory
        from fulgurite.training.same_config import check_same_config

        def trained() -> "Outcome":
            run = (build or builder.build)(cfg)
            if build is None:
                check_same_config(run.trainer, result.fingerprint)
            return fit(run if begun is None else replace(run, checkpoint=begun.checkpoint))

        keep_freed_memory()
        with _imports_left_alone():
            outcome = trained()
    except FulguriteError as error:
        log.info("%s", error)
        raise
    except BaseException:
        log.exception("the job ended early", extra={"only_in_file": True})
        raise
    lost = Failure("Diverged", "the training loss became infinite or not a number; lower optimizer.lr", LOG_NAME)
    return replace(
        result,
        status="diverged" if outcome.diverged else "pruned" if outcome.pruned else "finished",
        objective=replace(result.objective, value=outcome.objective),
        metrics=outcome.metrics,
        epochs=outcome.epochs,
        samples_per_s=outcome.samples_per_s,
        error=lost if outcome.diverged else None,
    )


@contextmanager
def _imports_left_alone() -> Iterator[None]:
    """Keep what has been imported out of garbage collections, which would look through it a hundred times an epoch.

    What the job leaves behind is collected at its end: its objects know each other, and its data is too large to wait
    for a collection of all objects, which is rare.

    In a fused sweep, where each job has a thread, that is done for all of them together.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


def _record_in(folder: Path) -> Callable[[Result], Result]:
    """Writes results into ``folder``, from the first process of a job only."""
    return lambda result: result.write(folder) if _is_first_process() else result


def _is_first_process() -> bool:
    return os.environ.get("LOCAL_RANK", "0") == "0"
