"""The card on the Text tab: what was run, of which code, with which config. Markdown."""

import shlex
from collections.abc import Mapping
from typing import Any

import yaml

from fulgurite.result import Result

TAG = "run"
_WIDTH = 100
# In C, where that is there: in Python it would take most of what TensorBoard costs a job.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def card(result: Result, config: Mapping[str, Any]) -> str:
    """The card of a run.

    Args:
        result: its record.
        config: the composed config as plain values, all interpolations resolved.
    """
    resolved = yaml.dump(
        dict(config), Dumper=_DUMPER, sort_keys=False, default_flow_style=None, allow_unicode=True, width=_WIDTH
    )
    parts = [
        f"### Command\n\n{_code(_folded(result.command))}",
        f"### Overrides\n\n{_code(chr(10).join(result.overrides) or 'none: the defaults')}",
        f"### Code\n\n{_table({'commit': _commit(result.git), 'fingerprint of the config': result.fingerprint})}",
        f"### Versions\n\n{_table(result.versions)}",
        f"### Resolved config\n\n{_code(resolved.rstrip())}",
    ]
    return "\n\n".join(parts)


def _commit(git: Mapping[str, Any]) -> str:
    if not git:
        return "not in a git repository"
    return f"{git['commit']}{', with changes that are not committed' if git.get('dirty') else ''}"


def _folded(command: str) -> str:
    """A command line on several, as a shell reads it: the card is not as wide as some of them."""
    lines = [""]
    for word in map(shlex.quote, shlex.split(command)):
        if lines[-1] and len(lines[-1]) + len(word) > _WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return " \\\n  ".join(lines)


def _code(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _table(rows: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])
