"""Pictures of a run, in TensorBoard and in its folder: its data, what the network does, and where it is wrong.

They look at a run between two epochs and leave it as it was: the same weights come out with and without them. All they
may take is a share of the run's time and some megabytes; what does not fit is left out. What is drawn is in the package
``fulgurite.pictures``, in the order of its ``kinds.py``; how it is drawn is in ``fulgurite.figures``.
"""

import json
import logging
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from fulgurite.errors import ConfigError, check_bool, check_int
from fulgurite.pictures import graph
from fulgurite.pictures.board import Board, find_writer
from fulgurite.pictures.budget import Budget
from fulgurite.pictures.history import History, is_at_end_of_epoch
from fulgurite.pictures.kinds import KINDS, Kind
from fulgurite.pictures.outputs import has_matrix
from fulgurite.pictures.scene import Scene, epochs_of, last_epoch, part_done, spec_of, untouched
from fulgurite.pictures.seen import Seen
from fulgurite.result import write_atomically

log = logging.getLogger(__name__)

# TensorBoard keeps as many pictures of a tag.
_ROUNDS = 10
_GRAPH, _EMBEDDING = "model graph", "embedding"
_GRAPH_S = 0.12
# In a checkpoint.
_HISTORY = "history"
_NO_TIME, _NO_ROOM = "for want of time", "for want of room"


class Pictures(pl.Callback):
    """Draws pictures after the first epoch of every ``every_n_epochs``, and after the last.

    Without TensorBoard only the files of the last epoch are written. Of several devices the first one draws.

    Args:
        folder: of the files: a PNG of each picture of the last epoch, and ``confusion.json``.
        enabled: false switches everything off.
        every_n_epochs: ``auto`` for ten times in the run; where it has no end, after 1, 2, 4, 8 ... epochs.
        share_of_time: of the run's time, in [0, 1], that pictures may take; 1 sets no limit.
        max_mb: megabytes of TensorBoard's events that they may take.
        graph: the model graph: ``auto`` when there is time for it, true in any case, false never.
        embedding: for the projector, write what the last layer reads of 500 samples, at the end, whatever it takes.
        strict: end the run when a picture has a fault, instead of a line in the log.
        clock: seconds, to measure with.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        folder: str | Path,
        enabled: bool = True,
        every_n_epochs: int | str = "auto",
        share_of_time: float = 0.05,
        max_mb: float = 2.0,
        graph: bool | str = "auto",
        embedding: bool = False,
        strict: bool = False,
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self.folder = Path(folder)
        self.enabled = check_bool("enabled", enabled)
        if every_n_epochs != "auto":
            check_int("every_n_epochs", every_n_epochs)
        self.every_n_epochs = every_n_epochs
        self.budget = Budget(share_of_time, max_mb, clock)
        if graph != "auto" and not isinstance(graph, bool):
            raise ConfigError(f"graph must be auto, true or false, got {graph!r}")
        self.graph = graph
        self.embedding = check_bool("embedding", embedding)
        self.strict = check_bool("strict", strict)
        self._seen = Seen()
        self._history = History()
        self._told: set[str] = set()
        self._left_out: dict[str, list[str]] = {}
        self._failed: set[str] = set()
        self._graph_is_due = graph is not False
        self._epochs_before, self._steps_before = 0, 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._epochs_before, self._steps_before = epochs_of(trainer), trainer.global_step
        self.budget.start(part_done(trainer) if self._epochs_before else 0.0)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the validation before."""
        # The epoch that it belongs to is counted when it is over.
        self._seen = Seen(epochs_of(trainer) + 1)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int, *rest: Any
    ) -> None:
        """Collect what the model said to a validation batch."""
        if self._draws(trainer) and not trainer.sanity_checking and not (rest and rest[0]):
            self._safely("validation", partial(self._seen.add, batch, outputs, spec_of(trainer)))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the epoch that has just ended, when it is its turn: now its checkpoints are written."""
        epochs = epochs_of(trainer)
        if self._draws(trainer) and epochs > self._epochs_before:
            self._history.note(epochs, trainer.callback_metrics)
        if self._draws(trainer) and epochs > self._epochs_before and self._is_turn(trainer, epochs):
            board = Board(find_writer(trainer), self.folder, self.budget)
            if board.writer is not None:
                # Without a validation of this epoch, that of an earlier one would be drawn as its own.
                seen = self._seen if self._seen.epochs == epochs else Seen()
                self._draw(Scene(trainer, pl_module, seen, epochs, self._history), board, is_last=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the last epoch."""
        if self._draws(trainer) and trainer.global_step > self._steps_before:
            epochs = epochs_of(trainer)
            self._history.note(epochs, trainer.callback_metrics)
            board = Board(find_writer(trainer), self.folder, self.budget)
            self._draw(Scene(trainer, pl_module, self._seen, epochs, self._history), board, is_last=True)
            log.info("pictures took %.2g s and %.2g MB", self.budget.spent_s, self.budget.num_bytes / 1e6)
        # Images of the validation need not outlive it.
        self._seen = Seen()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the curves so far for a run that goes on."""
        if self._draws(trainer):
            if is_at_end_of_epoch(trainer):
                self._history.note(epochs_of(trainer), trainer.callback_metrics)
            checkpoint[_HISTORY] = self._history.rows

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with them."""
        self._history.rows = dict(checkpoint.get(_HISTORY, {}))

    def _draws(self, trainer: pl.Trainer) -> bool:
        return self.enabled and trainer.is_global_zero and trainer.state.fn == "fit"

    def _is_turn(self, trainer: pl.Trainer, epochs: int) -> bool:
        if isinstance(self.every_n_epochs, int):
            return epochs % self.every_n_epochs == 0
        last = last_epoch(trainer)
        # Without an end that is known, after 1, 2, 4, 8 ... epochs.
        return epochs.bit_count() == 1 if last is None else epochs % math.ceil(last / _ROUNDS) == 0

    def _draw(self, scene: Scene, board: Board, is_last: bool) -> None:
        # Of a fused sweep's epoch loop.
        self.budget.earned_s = getattr(scene.trainer.fit_loop.epoch_loop, "shared_s", 0.0)
        with untouched(scene.model):
            if is_last and has_matrix(scene):
                self._safely("counts", partial(self._write_counts, scene))
            for kind in (each for each in KINDS if each.is_figure or board.writer is not None):
                if kind.applies(scene) and self._has_time_for(kind.name, kind.guess_s, is_last):
                    self._safely(kind.name, partial(self._add, kind, scene, board, is_last))
            if board.writer is not None:
                self._draw_graph(scene, board, is_last)
            if is_last and self.embedding and board.writer is not None and graph.has_embedding(scene):
                self._safely(_EMBEDDING, partial(graph.add_embedding, scene, board.writer))
        self._tell(scene.epochs)

    def _has_time_for(self, name: str, guess_s: float, is_last: bool) -> bool:
        """Whether it fits into the time; that it does not is said once."""
        if name in self._failed:
            return False
        fits = self.budget.has_time_for(name, guess_s, is_last)
        if not fits:
            self._leave_out(name, _NO_TIME)
        return fits

    def _add(self, kind: Kind, scene: Scene, board: Board, is_last: bool) -> None:
        for drawn in kind.draw(scene):
            if not board.add(drawn, scene.epochs, part_done(scene.trainer), is_last):
                self._leave_out(kind.name, _NO_ROOM)

    def _draw_graph(self, scene: Scene, board: Board, is_last: bool) -> None:
        if not self._graph_is_due or not scene.is_callable:
            return
        if self.graph is True or self._has_time_for(_GRAPH, _GRAPH_S, is_last):
            self._graph_is_due = False
            self._safely(_GRAPH, partial(self._add_graph, scene, board))

    def _add_graph(self, scene: Scene, board: Board) -> None:
        # It is written once: it need not leave room for others.
        if not board.add_graph(graph.trace(scene), done=1.0, is_last=True):
            self._leave_out(_GRAPH, _NO_ROOM)

    def _write_counts(self, scene: Scene) -> None:
        counts = scene.seen.counts().tolist()
        table = {"stage": "val", "labels": [str(each) for each in range(len(counts))], "counts": counts}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "confusion.json", json.dumps(table) + "\n")

    def _safely(self, name: str, do: Callable[[], None]) -> None:
        """Do it and count its time. A fault is one line, with a traceback in the log, and it is not tried again."""
        try:
            with self.budget.timed(name):
                do()
        except Exception as error:
            if self.strict:
                raise
            if name not in self._failed:
                log.warning("no picture of the %s, the run goes on: %s", name, str(error).partition("\n")[0])
                log.info("the fault in the picture of the %s", name, exc_info=True)
            self._failed.add(name)

    def _leave_out(self, name: str, reason: str) -> None:
        """Note what does not fit; of each kind it is said once."""
        if name not in self._told:
            self._left_out.setdefault(reason, []).append(name)
        self._told.add(name)

    def _tell(self, epochs: int) -> None:
        for reason, names in self._left_out.items():
            log.info("left out of the pictures after epoch %d, %s: %s", epochs, reason, ", ".join(names))
        self._left_out.clear()
