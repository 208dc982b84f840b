"""A plan as text: its jobs, its groups, its estimate, or what is wrong with it."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fulgurite.plan.estimate import JobGroup
from fulgurite.plan.jobs import Job, Problem, in_words, shared_values
from fulgurite.report.table import short_names

# Jobs in the table: up to so many all of them, else the first and the last few.
_MOST_ROWS = 40
_FIRST_ROWS = 20
_LAST_ROWS = 5
_NOTES = (
    "Seconds are an estimate: a few steps and a validation batch of each group were timed, and multiplied; the test "
    "is taken for one more validation. Files, compilation, early stopping and halving are not in them.",
    "Memory: parameters, gradients, optimiser state and what a step keeps for its backward pass, of all jobs of the "
    "largest program, and the data once. Python and torch come on top: some hundred MB, and a few MB a job.",
)


def say_problems(console: Console, problems: Sequence[Problem], num_jobs: int) -> None:
    """Print each problem with the numbers and the values of its jobs."""
    failing = {job.number for problem in problems for job in problem.jobs}
    console.print(f"{len(failing)} of {counted(num_jobs)} cannot run:")
    for problem in problems:
        console.print(Text(f"  {_who(problem.jobs, num_jobs)}: {problem.message}"), soft_wrap=True)


def print_plan(console: Console, jobs: Sequence[Job], groups: Sequence[JobGroup], launcher: str) -> None:
    """Print jobs, groups and estimate."""
    console.print(
        f"{counted(len(jobs))} in {counted(len(groups), 'group')}", "", _job_table(jobs, groups), "", sep="\n"
    )
    for number, group in enumerate(groups, start=1):
        console.print(*map(Text, _described(number, group)), "", sep="\n", soft_wrap=True)
    console.print(_estimate_table(groups), "")
    console.print(*map(Text, _NOTES), sep="\n")
    console.print(f"With these words the sweep runs with launcher={launcher}.")


def counted(number: int, word: str = "job") -> str:
    """``1 job``, ``2 jobs``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def size(num_bytes: int) -> str:
    """``12 kB``, ``3.4 MB``, ``1.2 GB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= factor:
            number = num_bytes / factor
            return f"{number:.1f} {unit}" if number < 10 else f"{number:,.0f} {unit}"
    return f"{num_bytes / 1e3:.0f} kB"


def _who(jobs: Sequence[Job], num_jobs: int) -> str:
    """The jobs by number, with the values that they have in common."""
    if len(jobs) == num_jobs:
        return f"all {num_jobs:,} jobs" if num_jobs > 1 else "the job"
    values = " ".join(f"{key}={value}" for key, value in shared_values(jobs).items())
    return (
        f"job{'' if len(jobs) == 1 else 's'} {in_words(job.number for job in jobs)}{f' ({values})' if values else ''}"
    )


def _job_table(jobs: Sequence[Job], groups: Sequence[JobGroup]) -> Table:
    group_of = {job.number: str(number) for number, group in enumerate(groups, start=1) for job in group.jobs}
    names = short_names(list(jobs[0].values))
    table = Table(box=box.SIMPLE_HEAD, highlight=False, show_edge=False, pad_edge=False)
    for title in ("job", *names.values(), "group"):
        table.add_column(Text(title))
    cut = len(jobs) > _MOST_ROWS
    for job in jobs[:_FIRST_ROWS] if cut else jobs:
        table.add_row(*_row(job, group_of))
    if cut:
        table.add_row(*["..."] * (len(names) + 2))
        for job in jobs[-_LAST_ROWS:]:
            table.add_row(*_row(job, group_of))
    return table


def _row(job: Job, group_of: dict[int, str]) -> list[Text]:
    return [Text(cell) for cell in (str(job.number), *job.values.values(), group_of.get(job.number, "-"))]


def _described(number: int, group: JobGroup) -> list[str]:
    shared = " ".join(f"{key}={value}" for key, value in shared_values(group.jobs).items())
    batch = f", batches of {group.batch_size:,}" if group.batch_size else ""
    does = (
        f"{group.model}, {counted(group.num_parameters, 'parameter')}{batch}, {counted(group.num_steps, 'step')} a job"
    )
    return [
        f"Group {number}: {counted(len(group.jobs))} ({in_words(job.number for job in group.jobs)})"
        f"{f', {shared}' if shared else ''}",
        f"  {does}",
        f"  {_fusing(group)}",
    ]


def _fusing(group: JobGroup) -> str:
    """Whether launcher=fused makes programs of it, and why not."""
    compared = ""
    if group.times.together:
        most = max(group.programs, default=max(group.times.together))
        together, alone = group.times.of_program(most), most * group.times.alone
        about = "" if most in group.times.together else "about "
        compared = f": a step of {most} takes {about}{_ms(together)} together, {_ms(alone)} one after the other"
    if not group.programs:
        return f"launcher=fused trains {'it' if len(group.jobs) == 1 else 'each'} alone: {group.reason}" + (
            f" ({compared.removeprefix(': ')})" if compared else ""
        )
    rest = len(group.jobs) - sum(group.programs)
    sizes = ", ".join(str(size) for size in sorted(set(group.programs), reverse=True))
    programs = "one program" if len(group.programs) == 1 else f"{len(group.programs)} programs of {sizes}"
    return f"launcher=fused trains {programs}{compared}" + (f"; {rest} alone: {group.reason}" if rest else "")


def _ms(seconds: float) -> str:
    milliseconds = 1000 * seconds
    return f"{milliseconds:,.0f} ms" if milliseconds >= 10 else f"{milliseconds:.2g} ms"


def _estimate_table(groups: Sequence[JobGroup]) -> Table:
    table = Table("estimate\n", box=box.SIMPLE_HEAD, highlight=False, show_edge=False, pad_edge=False)
    for title in (
        "time with\nbasic",
        "time with\nfused",
        "memory of\none job",
        "memory of\na program",
        "the data\nin both",
    ):
        table.add_column(Text(title), justify="right")
    for number, group in enumerate(groups, start=1):
        memory, most = group.memory, max(group.programs, default=0)
        table.add_row(
            f"group {number}",
            duration(group.alone_s),
            duration(group.fused_s),
            size(memory.of(1)),
            size(memory.of(most)) if most else "-",
            size(memory.data),
        )
    if len(groups) > 1:
        most_alone = max(group.memory.of(1) for group in groups)
        most_fused = max(group.memory.of(max(group.programs, default=1)) for group in groups)
        table.add_row(
            "all",
            duration(sum(group.alone_s for group in groups)),
            duration(sum(group.fused_s for group in groups)),
            size(most_alone),
            size(most_fused),
            "",
        )
    return table
