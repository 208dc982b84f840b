"""What the command lines of the commands that open run folders have in common."""

import argparse


def run_parser(command: str, description: str, examples: str) -> argparse.ArgumentParser:
    """A parser of ``RUN`` and ``--allow``.

    Args:
        command: the word after ``fulgurite``.
        description: what it does.
        examples: shown below the options.
    """
    parser = argparse.ArgumentParser(
        prog=f"fulgurite {command}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="the run folder, such as outputs/mnist/<run>")
    add_allow(parser)
    return parser


def add_allow(parser: argparse.ArgumentParser) -> None:
    """Add the option of every command that opens a run folder, or several."""
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PREFIX",
        help="let a run's config use classes of this package of yours; may be repeated",
    )


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add the choice of a checkpoint."""
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best", help="which one (default: best)")


def add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the commands that load a checkpoint of one run."""
    add_checkpoint(parser)
    parser.add_argument("--unfinished", action="store_true", help="also when the run is still running, or failed")


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add overrides of the run's recorded config."""
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changed values of the run's config")
