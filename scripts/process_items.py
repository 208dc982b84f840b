"""Benchmark items that start ``train.py`` as a person does, in a process of its own."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from timing import Item, paired_ratios

ROOT = Path(__file__).parents[1]
# What a program pays that imports these at the top of its script.
EAGER = (
    "import runpy, sys, torch, torchvision, pytorch_lightning; "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@dataclass(frozen=True)
class Finished:
    """A process that has ended: wall and CPU seconds, peak memory in GB, exit code."""

    wall_s: float
    cpu_s: float
    peak_gb: float
    code: int


def startup(repeats: int) -> Iterator[Item]:
    """CPU seconds of what needs no torch, against the same with torch imported at the top."""
    completion = {"COMP_LINE": "train.py model=", "COMP_POINT": "15"}
    cases: list[tuple[str, list[str], dict[str, str], str]] = [
        ("--cfg job", ["--cfg", "job"], {}, "<= 0.07"),
        ("config error (model=cnnn)", ["model=cnnn"], {}, "<= 0.07"),
        ("shell completion of model=", ["-sc", "query=bash"], completion, "<= 0.07"),
        ("--help", ["--help"], {}, "<= 0.15"),
    ]
    for name, words, extra, target in cases:
        values, pairs = paired_ratios(
            lambda words=words, extra=extra: run([sys.executable, "train.py", *words], extra).cpu_s,  # type: ignore[misc]
            lambda words=words, extra=extra: run([sys.executable, "-c", EAGER, "train.py", *words], extra).cpu_s,  # type: ignore[misc]
            repeats,
        )
        ours, eager = (statistics.median(column) for column in zip(*pairs, strict=True))
        yield Item(f"start-up: {name}", values, target, note=f"{ours:.2f} s against {eager:.2f} s of CPU")


def accuracy(seeds: int) -> Iterator[Item]:
    """Test results and seconds from key press to test result of the defaults, on two threads."""
    for model, bound, seconds in (("cnn", 0.991, 60), ("mlp", 0.983, 90), ("lstm", 0.987, 90), ("gru", 0.987, 90)):
        results = [trained([f"model={model}", f"seed={seed}"]) for seed in range(seeds)]
        scores = tuple(metrics["test/acc"] for metrics, _ in results)
        note = f"mean {statistics.mean(scores):.4f} of {seeds} seeds"
        yield Item(f"model={model}: test accuracy", scores, f">= {bound}", note=note)
        walls = tuple(finished.wall_s for _, finished in results)
        yield Item(f"model={model}: key press to test result", walls, f"<= {seconds}", note="s, 2 threads")
    results = [trained(["data=quadratic", "model=mlp", f"seed={seed}"]) for seed in range(seeds)]
    for name in ("test/clean_mae", "test/mae"):
        values = tuple(metrics[name] for metrics, _ in results if name in metrics)
        target = "<= 0.6" if "clean" in name else ""
        yield Item(f"data=quadratic: {name}", values, target, note="" if values else "not in result.json")


def memory(repeats: int) -> Iterator[Item]:
    """Seconds to the end of the first training step, and the peak memory of whole runs, test included."""
    firsts = tuple(seconds_to_first_step() for _ in range(repeats))
    yield Item("key press to first training step", firsts, "<= 4", note="s, 2 threads")
    for model in ("cnn", "mlp", "lstm"):
        peak = trained([f"model={model}", "trainer.max_epochs=1"])[1].peak_gb
        yield Item(f"model={model}: peak memory", (peak,), "<= 1.2", note="GB resident")


def seconds_to_first_step() -> float:
    """Wall seconds from starting ``train.py model=cnn`` to the end of its first training step."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "model=cnn", f"output_root={folder}"]
        command.append("+callbacks.first_step._target_=first_step.FirstStep")
        environment = os.environ | {"OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT / "scripts")}
        environment["STARTED"] = str(time.time())
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return float(done.stdout.splitlines()[-1])


def trained(overrides: list[str]) -> tuple[dict[str, float], Finished]:
    """Run ``train.py`` in a temporary folder, on two threads.

    Returns:
        The metrics of its ``result.json``, and the process.

    Raises:
        RuntimeError: when it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", *overrides, f"output_root={folder}"]
        finished = run(command, {"OMP_NUM_THREADS": "2"})
        if finished.code:
            raise RuntimeError(f"{' '.join(command)} ended with exit code {finished.code}")
        (record,) = Path(folder).rglob("result.json")
        return json.loads(record.read_text())["metrics"], finished


def run(command: list[str], environment: dict[str, str]) -> Finished:
    """Run a command at the project's root, silently, and account for it."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    # ru_maxrss is in kB on Linux, in bytes on a Mac.
    unit = 1e9 if sys.platform == "darwin" else 1e6
    return Finished(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit, process.returncode)
