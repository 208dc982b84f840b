"""Where the processes of jobs come from: on Linux a server that imports what a job needs, and is forked for each."""

import multiprocessing
import sys
from typing import Any


def context() -> Any:
    """The server's context; it starts with the first call and imports while the caller goes on.

    Elsewhere than on Linux each process is a new interpreter: a fork of one that has used the system may hang.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([f"{__package__}._preload"])
    forkserver.ensure_running()
    return found
