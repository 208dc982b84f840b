"""A lane: runs one row of the table in a process of its own; ``lanes`` starts it."""

import signal
import sys
from pathlib import Path

from fulgurite.children import end_with_the_first_process
from fulgurite.cli import guarded
from fulgurite.reproduce.rows import read_topics
from fulgurite.reproduce.standing import OUT


def main() -> int:
    """Run the row that the arguments ROWS NAME SEEDS WORD... name; 1 when it has not come to its end.

    Raises:
        KeyboardInterrupt: by Ctrl-C.
    """
    end_with_the_first_process()
    # Hydra and the sweep, whose imports take seconds.
    from fulgurite.reproduce.run import Stopped, run_row

    # As everywhere, also where the first process was started in the background, without Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, name, seeds, *extra = sys.argv[1:]
    row = next(row for topic in read_topics(Path(folder)) for row in topic.rows if row.name == name)
    try:
        return 0 if run_row(row, OUT, int(seeds), extra) else 1
    except Stopped:
        raise KeyboardInterrupt from None


if __name__ == "__main__":
    sys.exit(guarded(main))
