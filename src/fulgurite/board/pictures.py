"""A picture that a command draws of a finished run, among those that training has drawn."""

import time
from pathlib import Path

from fulgurite.board.events import write_summaries

# Sorted after the files of Lightning's logger, as the record of the end is.
_NAME = "events.out.tfevents.{}.~.{}"


def add_picture(folder: Path, name: str, tag: str, png: bytes, size: tuple[int, int], step: int) -> bool:
    """Write a picture in the place of that of the same name; returns false where a run has nothing for TensorBoard.

    Args:
        folder: of the run.
        name: of the command that draws it; one word.
        tag: under which it is shown.
        png: the file.
        size: height and width in pixels.
        step: epochs completed.
    """
    if not any(folder.glob("events.out.tfevents.*")):
        return False
    from tensorboard.compat.proto.summary_pb2 import Summary

    for path in folder.glob(_NAME.format("*", name)):
        path.unlink(missing_ok=True)
    image = Summary.Image(height=size[0], width=size[1], colorspace=3, encoded_image_string=png)
    summary = Summary(value=[Summary.Value(tag=tag, image=image)])
    write_summaries(folder / _NAME.format(f"{int(time.time()):010d}", name), [summary], step)
    return True
