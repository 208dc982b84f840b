"""The card on the Text tab: what was run, of which code, with which config. Markdown."""

from collections.abc import Mapping
from typing import Any

import yaml

from fulgurite.result import Result

TAG = "run"


def card(result: Result, config: Mapping[str, Any]) -> str:
    """The card of a run.

    Args:
        result: its record.
        config: the composed config as plain values, all interpolations resolved.
    """
    resolved = yaml.safe_dump(dict(config), sort_keys=False, default_flow_style=None, allow_unicode=True, width=100)
    parts = [
        f"### Command\n\n{_code(result.command)}",
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


def _code(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def _table(rows: Mapping[str, str]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])
