"""Pictures of chains: where they start, which machine they are drawn by, and when there are none."""

import numpy as np
import pytest
import torch

from fulgurite.build import build
from fulgurite.models.boltzmann import BoltzmannMachine
from fulgurite.pictures import boltzmann
from fulgurite.pictures.scene import Scene, untouched
from fulgurite.pictures.seen import Seen

QUIET = ("trainer=cpu", "logger=none", "callbacks.progress=null", "data.scaling=unit", "data.train_subset=100")


@pytest.fixture
def scene(compose_config):
    def made(*words: str, epochs: int = 1) -> Scene:
        run = build(compose_config(*QUIET, *words))
        run.data.setup("fit")
        run.trainer.datamodule = run.data
        return Scene(run.trainer, run.model, Seen(), epochs)

    return made


def test_chains_start_at_validation_samples_and_end_where_the_machine_believes(scene):
    of_run = scene("model=rbm", "model.hidden=4")
    machine = of_run.model.machine
    with torch.no_grad():
        # Without weights all samples look alike after one step: as the biases say, here one white pixel.
        torch.nn.init.zeros_(machine.up.weight)
        machine.visible_bias.fill_(-20.0)
        machine.visible_bias[300] = 20.0
        chain, fantasies = boltzmann.draw_chains(of_run)
    assert [chain.tag, fantasies.tag] == ["viz_boltzmann/chain", "viz_boltzmann/fantasies"]
    first = of_run.encode(of_run.data.part("val").x[:1])[0, 0].numpy()
    shown = np.round(first / first.max() * 255)
    # In the first place is the digit, twice as large; in the others of its row there is one white pixel, at 300.
    column = chain.pixels[64:130, :90, 0]
    places = [
        (y, x)
        for y in range(column.shape[0] - 56)
        for x in range(column.shape[1] - 56)
        if np.abs(column[y : y + 56 : 2, x : x + 56 : 2].astype(float) - shown).max() <= 1
    ]
    assert places


def test_persistent_chains_are_drawn_from_where_they_are_and_left_there(scene):
    of_run = scene("model=rbm", "model.hidden=4", "model.rule=pcd", "model.num_chains=50")
    before = of_run.model.machine.chains.clone()
    state = torch.get_rng_state()
    with untouched(of_run.model):
        pictures = [list(boltzmann.draw_chains(of_run)) for _ in range(2)]
    assert torch.equal(of_run.model.machine.chains, before)
    assert torch.equal(torch.get_rng_state(), state)
    # The same epoch draws the same numbers.
    for one, other in zip(*pictures, strict=True):
        assert (one.pixels == other.pixels).all()


def test_a_belief_network_is_drawn_by_what_has_learned_until_it_is_fine_tuned(scene, monkeypatch):
    seen = []
    sample = BoltzmannMachine.sample

    def noted(machine, v, steps):
        seen.append(v.shape[1])
        return sample(machine, v, min(steps, 1))

    monkeypatch.setattr(BoltzmannMachine, "sample", noted)
    words = ("model=dbn", "model.hidden=[9,4]", "model.pretrain_epochs=1")
    for epochs, width in ((1, 784), (2, 9)):
        of_run = scene(*words, epochs=epochs)
        assert boltzmann.has_chains(of_run)
        with torch.no_grad():
            list(boltzmann.draw_chains(of_run))
        assert set(seen) == {width}
        seen.clear()
    assert not boltzmann.has_chains(scene(*words, epochs=3))
    assert not boltzmann.has_chains(scene("model=mlp"))
