"""What is said of the machine that a row has run on."""

import os

import pytest
import torch

from fulgurite.reproduce.machine import machine


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3}, raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_without_a_gpu_it_is_the_cores_that_may_be_used(two_cores, monkeypatch):
    assert machine(["model=mlp"]) == "2 cores"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert machine(["model=mlp"]) == "2 cores, OMP_NUM_THREADS=1"


def test_a_gpu_is_named_where_the_row_may_use_it(two_cores, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    assert machine(["model=mlp"]) == "a GPU"
    assert machine(["model=mlp", "trainer=cpu"]) == "2 cores"
