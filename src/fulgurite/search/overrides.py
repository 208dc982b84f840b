"""From Hydra's words for several values, typed or in ``sweep.space``, to the space of a search."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from fulgurite.errors import ConfigError, check_choice, did_you_mean
from fulgurite.search.domains import Choice, Float, Int
from fulgurite.search.space import Condition, Parameter, Space, ordered, pairs

_ENTRY_KEYS = ("values", "when", "zip")
# These decide no number, or are the search's own.
_NOT_VARIED = ("sweep", "hydra", "launcher", "logger", "output_root", "folder")


def is_continuous(override: Override) -> bool:
    """Whether it has more values than can be told."""
    return bool(override.is_sweep_override() and not override.is_discrete_sweep())


def fixed_words(overrides: Sequence[str]) -> list[str]:
    """Those overrides that all jobs have alike.

    Raises:
        OverrideParseException: for one that cannot be read.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [each for each, override in zip(overrides, parsed, strict=True) if not override.is_sweep_override()]


def read_space(overrides: Sequence[str], listed: Mapping[str, Any], parser: OverridesParser) -> tuple[Space, list[str]]:
    """The space of a search, and the overrides that all of its jobs have.

    Args:
        overrides: as typed; what is typed counts before what is listed.
        listed: ``sweep.space`` as plain values.
        parser: knows the config groups.

    Raises:
        ConfigError: for an entry that cannot be read.
    """
    fixed = fixed_words(overrides)
    typed = [each for each in parser.parse_overrides(list(overrides)) if each.is_sweep_override()]
    parameters = [_parameter(each, ()) for each in typed]
    taken = {*pairs(fixed), *(key for each in parameters for key in each.keys)}
    for name, entry in listed.items():
        found = _entry(str(name), entry, parser)
        if isinstance(found, str):
            fixed += [found] if not taken & pairs([found]).keys() else []
        elif not taken & set(found.keys):
            parameters.append(found)
    for key in (key for each in parameters for key in each.keys):
        if key.partition(".")[0].partition("/")[0] in _NOT_VARIED:
            raise ConfigError(f"{key} cannot be varied by a search: it decides no number of a run; give it one value")
    return ordered(parameters, pairs(fixed)), fixed


def _entry(name: str, entry: Any, parser: OverridesParser) -> Parameter | str:
    """A parameter, or an override where there is one value alone."""
    if not isinstance(entry, Mapping):
        return _values(name, entry, (), parser)
    unknown = [str(key) for key in entry if key not in _ENTRY_KEYS]
    if unknown:
        raise ConfigError(
            f"sweep.space: {name} has the key {unknown[0]}{did_you_mean(unknown[0], _ENTRY_KEYS)}; it may have "
            "values or zip, and when"
        )
    if ("values" in entry) == ("zip" in entry):
        raise ConfigError(f"sweep.space: {name} needs values or zip, and not both")
    when = _conditions(name, entry.get("when") or [])
    for condition in when:
        _refuse_no_option(name, condition, parser)
    if "zip" in entry:
        return _zipped(name, entry["zip"], when)
    return _values(name, entry["values"], when, parser)


def _values(name: str, values: Any, when: tuple[Condition, ...], parser: OverridesParser) -> Parameter | str:
    if isinstance(values, Sequence) and not isinstance(values, str):
        words = [_word(each) for each in values]
        if not words:
            raise ConfigError(f"sweep.space: {name} needs at least one value, got []")
        return _choice(name, words, when)
    text = f"{name}={_word(values)}"
    try:
        parsed = parser.parse_override(text)
    except HydraException as error:
        raise ConfigError(f"sweep.space: cannot read {text}; such as tag(log,interval(1e-4,1e-1))") from error
    if parsed.is_sweep_override():
        return _parameter(parsed, when)
    return _choice(name, [_word(values)], when) if when else text


def _parameter(override: Override, when: tuple[Condition, ...]) -> Parameter:
    key, value = override.get_key_element(), override.value()
    name, prefix = key.lstrip("+"), "+" * key.startswith("+")
    if isinstance(value, IntervalSweep):
        return Parameter(name, (name,), _interval(name, value), when, prefix)
    if isinstance(value, RangeSweep) and not value.shuffle and (found := _range(value)) is not None:
        return Parameter(name, (name,), found, when, prefix)
    return _choice(key, list(override.sweep_string_iterator()), when)


def _choice(key: str, words: Sequence[str], when: tuple[Condition, ...]) -> Parameter:
    name = key.lstrip("+")
    return Parameter(name, (name,), Choice({word: (f"{key}={word}",) for word in map(str, words)}), when)


def _interval(name: str, sweep: IntervalSweep) -> Float | Int:
    low, high = sweep.start, sweep.end
    assert low is not None
    assert high is not None
    unknown = sorted(str(tag) for tag in sweep.tags if tag != "log")
    if unknown:
        raise ConfigError(f"{name}: the tag of an interval must be log, got {unknown[0]}")
    if low >= high:
        raise ConfigError(f"{name}: the first bound of an interval must be below the second, got {low} and {high}")
    log = "log" in sweep.tags
    if log and low <= 0:
        raise ConfigError(f"{name}: an interval with the tag log needs bounds > 0, got {low}")
    if isinstance(low, int) and isinstance(high, int):
        return Int(low, high, log)
    return Float(float(low), float(high), log)


def _range(sweep: RangeSweep) -> Float | Int | None:
    """Numbers in steps; ``None`` for one alone, or where they fall."""
    values = list(sweep.range())
    if len(values) < 2 or sweep.step <= 0:
        return None
    if all(isinstance(each, int) for each in values):
        return Int(values[0], values[-1], step=int(sweep.step))
    return Float(float(values[0]), float(values[-1]), step=float(sweep.step))


def _zipped(name: str, lists: Any, when: tuple[Condition, ...]) -> Parameter:
    if not isinstance(lists, Mapping) or not lists or not all(isinstance(each, Sequence) for each in lists.values()):
        raise ConfigError(f"sweep.space: {name}.zip needs a list for each of its keys, got {lists}")
    lengths = {str(key): len(values) for key, values in lists.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise ConfigError(f"sweep.space: the lists of {name}.zip must be of one length: {told}")
    rows = zip(*lists.values(), strict=True)
    words = [tuple(f"{key}={_word(value)}" for key, value in zip(lists, row, strict=True)) for row in rows]
    keys = tuple(str(key).lstrip("+") for key in lists)
    return Parameter(name, keys, Choice({" ".join(each): each for each in words}), when)


def _conditions(name: str, when: Any) -> tuple[Condition, ...]:
    listed = [when] if isinstance(when, str) else when
    if not isinstance(listed, Sequence) or not all(isinstance(each, str) and "=" in each for each in listed):
        raise ConfigError(f"sweep.space: {name}.when must be such as model=cnn, or a list of such, got {when}")
    parts = (each.partition("=") for each in listed)
    return tuple(Condition(key.strip(), tuple(map(str.strip, values.split(",")))) for key, _, values in parts)


def _refuse_no_option(name: str, condition: Condition, parser: OverridesParser) -> None:
    """A condition on a config group that has no such option would never hold."""
    loader = parser.config_loader
    if loader is None or not loader.repository.group_exists(condition.key):  # type: ignore[attr-defined]
        return
    for value in condition.values:
        check_choice(f"sweep.space: {name}.when: {condition.key}", value, loader.get_group_options(condition.key))


def _word(value: Any) -> str:
    """A plain value as it is typed in an override."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_word(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_word, value)) + "]"
    return str(value)
