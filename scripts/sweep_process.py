"""A sweep in a process of its own: ``python sweep_process.py <words of the command line>``.

Imports, says ``ready``, waits for a line, runs the sweep, and says what it cost as one line of JSON. So several can be
started at one moment, nothing was compiled in the process yet, and its peak memory is its own.
"""

import contextlib
import io
import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path

from fulgurite import cli

# What a job imports late.
for _name in ("fulgurite.build", "fulgurite.fit"):
    import_module(_name)


def peak_mb() -> float:
    """Largest resident memory so far, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss, which begins with the peak of the parent process.
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main(words: list[str]) -> int:
    """Run the sweep; its exit code."""
    print("ready", flush=True)
    sys.stdin.readline()
    imported_mb, said = peak_mb(), io.StringIO()
    wall, cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(said):
        code = cli.train(words)
    cost = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "peak_mb": peak_mb()}
    print(json.dumps({**cost, "imported_mb": imported_mb, "code": code, "said": said.getvalue()}))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
