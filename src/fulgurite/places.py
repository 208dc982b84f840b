"""What a person calls a run or a sweep, and the folder that is meant."""

# Unlike Path.is_dir it takes a name that is too long, or a folder that may not be read, for none.
from os.path import isdir
from pathlib import Path

from fulgurite.errors import ConfigError, did_you_mean

_OUTPUTS = Path("outputs")
_PLACES = (Path(), _OUTPUTS, _OUTPUTS / "sweeps")


def named_place(name: str) -> Path:
    """The folder that is called ``name``: as it lies here, in ``outputs``, or in a folder of that.

    Raises:
        ConfigError: when there is none, with the nearest of those that are there, or when there are several.
    """
    for place in _PLACES:
        if name and isdir(place / name):
            return place / name
    # A run by its name alone, or the job of a sweep.
    found = [path / name for pattern in ("*", "sweeps/*") for path in _OUTPUTS.glob(pattern) if isdir(path / name)]
    if name and len(found) == 1:
        return found[0]
    if name and found:
        raise ConfigError(f"{name} is the name of {len(found)} folders: {' and '.join(map(str, found))}; give one")
    known = [path.name for pattern in ("*", "*/*", "sweeps/*/*") for path in _OUTPUTS.glob(pattern) if path.is_dir()]
    raise ConfigError(
        f"there is no run, sweep or folder {name or repr(name)} here or in {_OUTPUTS}{did_you_mean(name, known)}; "
        "fulgurite ls shows those that are there"
    )
