"""The picture that teaches a row: of its first finished run, from the run's files."""

from dataclasses import dataclass
from pathlib import Path

from fulgurite.board.events import read_values
from fulgurite.report.collect import read_jobs

_PNG = b"\x89PNG"


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        run: the folder's name of the run that it is of.
        png: the file's bytes.
    """

    run: str
    png: bytes


def picture(folder: Path, tag: str) -> Picture | None:
    """The last picture of a tag in the first finished run of a sweep; ``None`` where there is none.

    Args:
        folder: of the sweep.
        tag: TensorBoard's.
    """
    if not folder.is_dir():
        return None
    for job in read_jobs(folder):
        if job.status == "finished" and (png := _of_run(job.folder, tag)):
            return Picture(job.folder.name, png)
    return None


def _of_run(run: Path, tag: str) -> bytes:
    # What the last epoch has drawn lies there as a file; other commands draw into TensorBoard alone.
    path = run / "figures" / f"{tag.partition('/')[2]}.png"
    if path.is_file():
        return path.read_bytes()
    found = b""
    for events in sorted(run.glob("events*tfevents*")):
        for value in read_values(events):
            if value.tag == tag and value.image.encoded_image_string.startswith(_PNG):
                found = value.image.encoded_image_string
    return found
