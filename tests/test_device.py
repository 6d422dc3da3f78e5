"""Away from the CPU: no tensor stays behind, and a graphics card gives the CPU's numbers."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from treenlp import load
from treenlp.composition import NETWORKS, TreeShape
from treenlp.encoder import EncoderLayer, TrunkConfig
from treenlp.encoder import device as device_module
from treenlp.encoder.device import check_device, has_fast_bfloat16
from treenlp.errors import ConfigError
from treenlp.experiment.lab import ExperimentConfig, run_experiment
from treenlp.experiment.lab.classifier import ClassifierTask, PhraseClassifier, Step
from treenlp.experiment.lab.items import Corpus, Item
from treenlp.experiment.lab.leaves import LeafEncoder, TunedLeaves

needs_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")

ITEM = Item(
    start=0,
    size=3,
    shapes={"gold": TreeShape.from_splits([2, 1], 3)},
    phrases=((0, 3), (0, 2)),
    heads=(1, -1, 1),
    labels={(0, 1): 2, (1, 2): 1, (2, 3): 3, (0, 2): 1, (0, 3): 0},
    root=0,
    candidates=(0, 3),
)
"""Everything that any network reads."""


def task_of(network: str, *, device: str, tuned: bool = False) -> ClassifierTask:
    """A task over two sentences; the parameters are drawn on the CPU."""
    torch.manual_seed(0)
    layer = EncoderLayer(
        TrunkConfig(vocab_size=9, hidden_size=8, num_heads=2, num_layers=1, intermediate_size=8)
    )
    vectors = np.random.default_rng(2).normal(size=(9, 8)).astype(np.float16)
    items = [ITEM, replace(ITEM, start=3)]
    corpus = Corpus(
        vectors={"static": vectors},
        parts={"train": items, "dev": items, "test": items},
        classes=tuple("abcde"),
        digest="",
        tuned=TunedLeaves(
            hidden=vectors,
            starts=np.array([0, 5, 9]),
            sentence=np.array([0, 0, 0, 1, 1, 1]),
            ranges=np.array([[1, 2], [2, 3], [3, 4], [1, 2], [2, 2], [2, 3]]),
            layers=(layer,),
        ),
    )
    encoder = LeafEncoder((layer,), 0.0) if tuned else None
    return ClassifierTask(
        PhraseClassifier(network, 8, 4, 5, 0.0, encoder=encoder).to(device),
        corpus,
        items,
        network=network,
        trees="parsed" if NETWORKS[network].reads == "constituents" else "gold",
        leaves="tuned" if tuned else "static",
        phrases=True,
        batch_size=2,
        steps=1,
        seed=0,
        device=device,
    )


def gradients(task: ClassifierTask) -> list[Tensor]:
    """The loss of the first batch and what it says of every parameter, on the CPU."""
    loss = task.loss(task.batch(0))
    loss.backward()
    found = [parameter.grad for parameter in task.model.parameters()]
    return [loss.detach().cpu(), *(grad.cpu() for grad in found if grad is not None)]


@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_no_tensor_stays_behind(network: str, tuned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations between two devices raise; that of tensors without content needs no card."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # unknown there
    task = task_of(network, device="meta", tuned=tuned)
    step = task.batch(0)
    assert isinstance(step, Step)
    logits = task.model(step)
    assert logits.device.type == "meta"
    assert logits.shape == (len(step.targets), 5)


@needs_card
@pytest.mark.parametrize("tuned", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_a_card_gives_the_gradients_of_the_cpu(
    network: str, tuned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # cuDNN's recurrent networks round to TF32 unless told otherwise: 1e-4 instead of 1e-6.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    here = gradients(task_of(network, device="cpu", tuned=tuned))
    there = gradients(task_of(network, device="cuda", tuned=tuned))
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@needs_card
def test_a_killed_run_resumes_on_a_card(tmp_path: Path) -> None:
    config = ExperimentConfig.from_toml(
        'data = {task = "recall", gap = 3, items = 40}\n'
        'grid = {models = ["tree-lstm"], trees = ["right"], leaves = ["static"], seeds = 1}\n'
        "learn = {epochs = 3, batch_size = 10, hidden_size = 8}\n"
        "search = {trials = 0}\n",
        source="memory",
    )
    run_experiment(config, tmp_path, device="cuda")
    (result,) = tmp_path.glob("*/seed-0/result.json")
    first = json.loads(result.read_text())
    result.unlink()
    for file in result.parent.glob("best.safetensors"):
        file.unlink()
    (result.parent / "checkpoint.json").unlink()
    run_experiment(config, tmp_path, device="cuda")
    again = json.loads(result.read_text())
    assert again["dev"] == pytest.approx(first["dev"])
    assert again["learn"] == first["learn"]


@needs_card
@pytest.mark.parametrize(
    "text", ["两个大学的老师。这部电影不怎么样。", "The plot isn't bad at all."]
)
def test_a_pipeline_says_the_same_on_a_card(text: str) -> None:
    here, there = load()(text), load(device="cuda")(text)
    assert len(here.sentences) == len(there.sentences)
    for one, other in zip(here.sentences, there.sentences, strict=True):
        assert [r.tree for r in one.readings] == [r.tree for r in other.readings]
        for ours, theirs in zip(one.readings, other.readings, strict=True):
            assert theirs.prob == pytest.approx(ours.prob, abs=2e-3)


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(ConfigError, match=f"found the device '{device}', which torch cannot use"):
        check_device(device)
    with pytest.raises(ConfigError, match=f"found the device '{device}'"):
        load(device=device)
    with pytest.raises(ConfigError, match=f"found the device '{device}'"):
        run_experiment(ExperimentConfig(), Path("never-made"), device=device)
    assert not Path("never-made").exists()


@pytest.mark.parametrize(
    ("tiles", "dots", "is_faster", "expected"),
    [
        (True, True, False, True),  # tiles need no timing
        (False, False, True, False),  # imitated
        (False, True, True, True),
        (False, True, False, False),
    ],
)
def test_bfloat16_is_used_where_it_is_fast(
    monkeypatch: pytest.MonkeyPatch, *, tiles: bool, dots: bool, is_faster: bool, expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: dots)
    monkeypatch.setattr(device_module, "_takes_less_time", lambda dtype: is_faster)
    assert has_fast_bfloat16() is expected
    assert has_fast_bfloat16("cuda:1")
    assert not has_fast_bfloat16("meta")


@pytest.mark.parametrize(
    "busy", [range(6), range(6, 14), range(0, 22, 2), range(1, 22, 2)], ids=str
)
def test_a_busy_machine_does_not_change_what_timing_finds(
    busy: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of the products take thirty times as long as they should."""
    clock, calls = [0.0], iter(range(1000))

    def multiply(rows: torch.Tensor, matrix: torch.Tensor) -> None:
        clock[0] += rows.element_size() * (30 if next(calls) in busy else 1)

    monkeypatch.setattr(device_module.F, "linear", multiply)
    monkeypatch.setattr(device_module.time, "perf_counter", lambda: clock[0])
    assert device_module._takes_less_time.__wrapped__(torch.bfloat16)


def test_timing_tells_a_slow_type_from_a_fast_one_and_draws_nothing() -> None:
    state = torch.get_rng_state()
    assert not device_module._takes_less_time.__wrapped__(torch.float64)  # twice the bytes
    assert torch.equal(torch.get_rng_state(), state)
