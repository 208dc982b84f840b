"""What a job leaves in memory for the next one: nothing of its data."""

import weakref

from fulgurite.data.in_memory import InMemoryData
from fulgurite.job import run_job

TINY = ["model=mlp", "model.hidden=[4]", "data.train_subset=500", "trainer=cpu", "trainer.max_epochs=1", "logger=none"]


def test_a_job_keeps_neither_its_data_nor_its_model(compose_config, monkeypatch):
    kept: list[weakref.ref[object]] = []
    setup = InMemoryData.setup

    def setup_and_look(data, stage):
        setup(data, stage)
        kept.extend([weakref.ref(data), weakref.ref(data.trainer.model)])

    monkeypatch.setattr(InMemoryData, "setup", setup_and_look)
    run_job(compose_config(*TINY, "test=false"), [])
    assert kept
    assert [each() for each in kept] == [None] * len(kept)
