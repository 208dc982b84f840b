"""Help for people, read off ``conf/``: imports neither Hydra nor torch, so it is there at once."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from fulgurite.config import CONF_DIR, CONFIG_NAME

COMMANDS = {
    "train": "train, validate and test one network, or with -m one for each combination of values",
    "sweep": "plan a sweep, see how one stands, go on with one",
    "eval": "test a finished run again, from its folder",
    "predict": "let a finished run label images, or compute y for a CSV of x",
    "backquery": "ask a network of model=rashid backwards: which image belongs to each digit",
    "visualise": "make the images that excite each output, filter or unit of a network most",
    "parameters": "show the weights of networks layer by layer, and several side by side",
    "rerun": "repeat a run from its recorded config and compare the numbers",
    "board": "look at runs and sweeps in TensorBoard",
    "report": "a page of a sweep to look at, mail and print, and figures for a paper",
    "compare": "the same page for any runs",
    "reproduce": "run the presets behind the table of results, and write it; without a name, list them",
    "ls": "runs and sweeps, the newest first, with their objectives",
    "ensemble": "how good finished runs are together, by the mean of their probabilities",
    "diff": "what two runs, or two sweeps, have other than each other, and what came of it",
}

SWEEP_COMMANDS = {
    "plan": "check all jobs of a sweep, show which train as one program, estimate time and memory",
    "show": "how a sweep stands, and its leaderboard, also while it runs",
    "resume": "go on with a sweep: what is finished is skipped",
}

_OVERVIEW = """\
Fulgurite: PyTorch Lightning experiments composed by Hydra.

Usage
  fulgurite COMMAND ...
  fulgurite COMMAND --help

Commands
{commands}

Examples
  fulgurite train model=cnn
  fulgurite train -m model=mlp,cnn optimizer.lr=1e-3,3e-3 seed=1,2,3
  fulgurite sweep plan model=mlp,cnn optimizer.lr=1e-3,3e-3 seed=1,2,3
  fulgurite eval outputs/mnist/RUN
  fulgurite predict outputs/mnist/RUN digit.png

Runs and sweeps land in outputs/; look at them with: fulgurite board"""

_SWEEP = """\
Work on a sweep as a whole.

Usage
  fulgurite sweep COMMAND ...
  fulgurite sweep COMMAND --help

Commands
{commands}

Examples
  fulgurite sweep plan model=mlp,cnn optimizer.lr=1e-3,3e-3 seed=1,2,3
  fulgurite sweep show night
  fulgurite sweep resume night"""

SWEEP_TEXTS = {
    "plan": """\
Say what a sweep would do, before it does: nothing is trained to an end, nothing is left behind.

Usage
  fulgurite sweep plan KEY=A,B,C ...    the words of python train.py -m ...

All jobs are composed and checked, one of each kind makes its first steps. Then come the jobs with their swept values,
the groups that launcher=fused makes of them, the reason for each that trains alone, and an estimate of seconds and
memory. What is wrong with any job comes in one list; the exit code is then 2.

Examples
  fulgurite sweep plan model=mlp,cnn optimizer.lr=1e-3,3e-3 seed=1,2,3
  fulgurite sweep plan launcher=fused model=mlp optimizer.lr=1e-4,1e-3,1e-2 'seed=range(8)'""",
    "show": """\
Say how a sweep stands, and print its leaderboard, at any time. Changes no file.

Usage
  fulgurite sweep show NAME            a sweep in outputs/sweeps, or the folder of one
  fulgurite sweep show NAME --watch    a line for each job, drawn anew in place until the sweep ends; Ctrl-C leaves it

Examples
  fulgurite sweep show night
  fulgurite sweep show night --watch
  fulgurite sweep show my_outputs/sweeps/night""",
    "resume": """\
Go on with a sweep, with the words that made it: what is finished is skipped, the rest goes on or is begun.

Usage
  fulgurite sweep resume NAME [KEY=VALUE ...]

Other values may be given where they decide no number: another launcher, a logger, more trials. A changed config is
refused, with the difference.

Examples
  fulgurite sweep resume night
  fulgurite sweep resume night launcher=processes""",
}

_TRAIN = """\
Train a network: choose an option of each group, change any key.

Usage
  python train.py [GROUP=OPTION ...] [KEY=VALUE ...]
  fulgurite train [GROUP=OPTION ...] [KEY=VALUE ...]    the same, from any folder
  python train.py -m KEY=A,B,C ...                      a sweep: one run for each combination

Groups (* marks what is taken when you say nothing)
{groups}

Most used keys
  model.hidden=[256,128]       layers of an mlp; each model has its own keys: --cfg job -p model
  model.dropout=0.1            probability of dropping a unit, in [0, 1)
  optimizer.lr=3e-4            learning rate, the highest one of a schedule
  optimizer.weight_decay=0.01  pull of the weights towards 0
  data.batch_size=256          samples a step
  data.train_subset=1000       train on that many samples
  trainer.max_epochs=10        passes over the training data
  trainer.devices=2            devices to train on; with trainer=ddp or ddp_cpu
  seed=1                       another initialisation, order, augmentation and dropout
  output_root=DIR              where runs and sweeps land
  sweep.name=NAME              name of a sweep; the same command again goes on with it

Examples
  python train.py model=mlp model.hidden=[256,128] optimizer.lr=3e-4
  python train.py model=cnn trainer.max_epochs=3 seed=1
  python train.py -m model=mlp,cnn optimizer.lr=1e-3,3e-3 seed=1,2,3
  python train.py -m sweep=tpe model=mlp 'optimizer.lr=tag(log,interval(1e-4,1e-1))'
  python train.py model=cnn --cfg job                   print the whole config, train nothing

More
  --cfg job [-p GROUP]   the composed config, or one group of it; --resolve fills in the ${{...}}
  --info defaults        where each part of the config comes from
  -sc install=bash       shell completion: eval "$(python train.py -sc install=bash)"
  --hydra-help           all flags of Hydra
  --version              the version of Fulgurite
  FULGURITE_DEBUG=1      in the environment: full tracebacks"""


def overview() -> str:
    """What ``fulgurite --help`` prints."""
    return _OVERVIEW.format(commands=_listed(COMMANDS))


def sweep() -> str:
    """What ``fulgurite sweep --help`` prints."""
    return _SWEEP.format(commands=_listed(SWEEP_COMMANDS))


def train(conf: Path = CONF_DIR) -> str:
    """What ``train.py --help`` prints, with the groups and options found in ``conf``."""
    return _TRAIN.format(groups="\n".join(_describe_group(conf, group) for group in groups(conf)))


def groups(conf: Path = CONF_DIR) -> dict[str, str | None]:
    """Config groups in the order of the defaults list, each with its default option; the other folders follow."""
    text = (conf / f"{CONFIG_NAME}.yaml").read_text(encoding="utf-8")
    listed = re.findall(r"^  - (?:optional )?(\w+): (\w+)", text, flags=re.MULTILINE)
    found: dict[str, str | None] = {group: None if option == "null" else option for group, option in listed}
    others = sorted(path.name for path in conf.iterdir() if path.is_dir() and path.name not in ("hydra", "__pycache__"))
    found |= {group: None for group in others if group not in found}
    return {group: default for group, default in found.items() if options(group, conf)}


def options(group: str, conf: Path = CONF_DIR) -> dict[str, str]:
    """Options of a group, each with its purpose: the first comment of its yaml."""
    return {path.stem: _purpose(path) for path in sorted((conf / group).glob("*.yaml"))}


def unknown_command(word: str) -> str:
    """The message for a word that is no command."""
    if "=" in word:
        return f"a command comes first: fulgurite train {word}"
    return f"there is no command {word}{_nearest(word, COMMANDS)}; the commands are {', '.join(COMMANDS)}"


def unknown_sweep_command(word: str) -> str:
    """The message for a word after ``sweep`` that is no command of it."""
    if "=" in word or word in ("-m", "--multirun"):
        return f"a command comes first: fulgurite sweep plan {word}"
    return (
        f"there is no command sweep {word}{_nearest(word, SWEEP_COMMANDS)}; after sweep comes "
        f"{' or '.join(SWEEP_COMMANDS)}"
    )


def _nearest(word: str, commands: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, commands, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _listed(commands: Mapping[str, str]) -> str:
    width = max(map(len, commands))
    return "\n".join(f"  {name:{width}}  {text}" for name, text in commands.items())


def _describe_group(conf: Path, group: str) -> str:
    default = groups(conf)[group]
    found = options(group, conf)
    width = max(map(len, found))
    lines = [f"    {name:{width}} {'*' if name == default else ' '} {text}".rstrip() for name, text in found.items()]
    return "\n".join([f"  {group}", *lines])


def _purpose(path: Path) -> str:
    """The first line of a yaml that is a comment and no ``@package`` directive, without its full stop."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").rstrip(".")
    return ""
