"""A job: a composed config in, a run folder with ``result.json`` out, whatever happens in between."""

import logging
import os
import shlex
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from fulgurite import config
from fulgurite.errors import FulguriteError
from fulgurite.result import Failure, Objective, Result, git_state, versions

LOG_NAME = "train.log"
log = logging.getLogger(__name__)


def run_job(cfg: DictConfig, overrides: Sequence[str]) -> Result:
    """Build, train, test and record one run.

    Args:
        cfg: the composed config.
        overrides: what was typed, for the record.

    Raises:
        FulguriteError: what the user can mend; the record says ``failed``.
        KeyboardInterrupt: the record says ``interrupted``.
        Exception: any other fault; the record says ``failed`` and the log holds the traceback.
    """
    started = time.perf_counter()
    folder = Path(cfg.folder)
    result = Result(
        status="running",
        objective=Objective(cfg.objective.metric, cfg.objective.mode.value),
        overrides=list(overrides),
        fingerprint=config.fingerprint(config.resolve(cfg)),
        command=shlex.join(sys.argv),
        git=git_state(Path.cwd()),
        versions=versions(),
    )
    main_process = os.environ.get("LOCAL_RANK", "0") == "0"
    if main_process:
        result.write(folder)
    try:
        from fulgurite.build import build
        from fulgurite.fit import fit

        outcome = fit(build(cfg))
        result = replace(
            result,
            status="diverged" if outcome.diverged else "finished",
            objective=replace(result.objective, value=outcome.objective),
            metrics=outcome.metrics,
            epochs=outcome.epochs,
            samples_per_s=outcome.samples_per_s,
            error=Failure("Diverged", "the training loss became infinite or not a number", LOG_NAME)
            if outcome.diverged
            else None,
        )
        return result
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        result = replace(
            result,
            status="interrupted" if interrupted else "failed",
            error=Failure(type(error).__name__, str(error), LOG_NAME),
        )
        log.error("%s", error if isinstance(error, FulguriteError) else traceback.format_exc())
        raise
    finally:
        result = replace(result, seconds=time.perf_counter() - started)
        if main_process:
            result.write(folder)
