"""A driver: runs a share of a sweep's jobs in a process of its own; ``_drivers`` starts it and says how they talk."""

import os
import pickle
import signal
import sys

INTERRUPTED = 130
# Exit code of one that has ended because another had.
LOST = 75


def main() -> int:
    """Take a share from the standard input and run it; returns the exit code."""
    from fulgurite.cli import guarded

    # Nothing is begun yet. Imports do not take an interrupt well.
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    return guarded(_run)


def _run() -> int:
    sys.argv, sys.path[:], unnamed = pickle.load(sys.stdin.buffer)
    from hydra import version
    from hydra.core.utils import configure_log, setup_globals

    from fulgurite import config
    from fulgurite.children import end_with_the_first_process

    version.setbase("1.3")
    share = pickle.load(sys.stdin.buffer)
    end_with_the_first_process()
    setup_globals()
    config.register(share.task.swept, unnamed)
    hydra = next(iter(share.configs.values())).hydra
    configure_log(hydra.hydra_logging, hydra.verbose)
    from hydra_plugins.fulgurite_launcher._programs import run_share
    from hydra_plugins.fulgurite_launcher._rank import run_as_rank

    # As everywhere, also where the first process was started in the background, without Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run_share(share) if share.num_ranks == 1 else run_as_rank(share)
    except KeyboardInterrupt:
        # The first process says so.
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
