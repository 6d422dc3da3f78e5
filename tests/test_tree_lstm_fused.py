"""The Tree-LSTM's compiled loops against PyTorch's operations, in whatever way they are called."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from treenlp.composition import TreeBatch, TreeLstm, control_shape, tree_lstm, tree_lstm_fused
from treenlp.composition.tree_lstm import _LevelScan, compiled_loops
from treenlp.composition.tree_lstm_fused import FusedLevelScan, _sigmoid


def batch_of(counts: list[int], seed: int = 0) -> TreeBatch:
    return TreeBatch.from_shapes([control_shape("random", n, seed=seed + n) for n in counts])


def arguments(batch: TreeBatch, size: int, scale: float = 1.0) -> list[Tensor]:
    """Leaves, weight and bias in 64 bits; at scale 1 no level makes an error much larger."""
    generator = torch.Generator().manual_seed(size)
    leaf, weight, bias = (
        scale * torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((batch.num_leaves, 2 * size), (5 * size, 2 * size), (5 * size,))
    )
    return [leaf, weight / size**0.5, bias]


def results(
    scan: type[torch.autograd.Function], batch: TreeBatch, values: list[Tensor]
) -> list[Tensor]:
    """All states, and the gradients of a weighted sum of them."""
    inputs = [value.clone().requires_grad_() for value in values]
    states = scan.apply(*inputs, batch.children, batch.level_sizes)
    weights = torch.linspace(-1, 2, states.numel(), dtype=states.dtype).view_as(states)
    return [states, *torch.autograd.grad((states * weights).sum(), inputs)]


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=6), st.integers(1, 40), st.integers(0, 99))
def test_states_and_gradients_are_those_of_64_bits(counts: list[int], size: int, seed: int) -> None:
    batch = batch_of(counts, seed)
    values = arguments(batch, size)
    exact = results(_LevelScan, batch, values)
    found = results(FusedLevelScan, batch, [value.float() for value in values])
    for one, other in zip(found, exact, strict=True):
        assert one.dtype == torch.float32
        scale = max(1.0, other.abs().max().item())
        assert (one - other).abs().max() < 3e-6 * scale


def test_large_numbers_saturate_and_stay_finite() -> None:
    batch = batch_of([7, 1, 3])
    values = [value.float() for value in arguments(batch, 5, scale=1e4)]
    for one, other in zip(
        results(FusedLevelScan, batch, values), results(_LevelScan, batch, values), strict=True
    ):
        torch.testing.assert_close(one, other)
        assert torch.isfinite(one).all()


@pytest.mark.parametrize("place", ["leaf", "weight", "bias"])
def test_what_is_not_a_number_is_not_hidden(place: str) -> None:
    batch = batch_of([4])
    values = [value.float() for value in arguments(batch, 20)]
    values[["leaf", "weight", "bias"].index(place)].view(-1)[0] = torch.nan
    states, *gradients = results(FusedLevelScan, batch, values)
    assert torch.isnan(states[batch.roots]).any()
    assert all(torch.isnan(gradient).any() for gradient in gradients)


def test_the_sigmoid_is_exact_to_32_bits() -> None:
    @numba.njit
    def over(values: np.ndarray, out: np.ndarray) -> None:
        for n in range(len(values)):
            out[n] = _sigmoid(values[n])

    values = np.concatenate(
        [np.linspace(-90, 90, 1_000_001), np.linspace(-1, 1, 100_001), [-600, 600]]
    ).astype(np.float32)
    found = np.empty_like(values)
    over(values, found)
    exact = 1 / (1 + np.exp(-values.astype(np.float64)))
    assert np.abs(found - exact).max() < 1.2e-7
    within = np.abs(values) < 80
    assert (np.abs(found - exact)[within] / exact[within]).max() < 4e-7
    assert (found[-2], found[-1]) == (pytest.approx(0), 1)


def test_a_second_backward_pass_finds_what_the_first_found() -> None:
    batch = batch_of([5, 2])
    values = [value.float().requires_grad_() for value in arguments(batch, 6)]
    total = FusedLevelScan.apply(*values, batch.children, batch.level_sizes).square().sum()
    first = torch.autograd.grad(total, values, retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(total, values), strict=True):
        assert torch.equal(one, other)


def test_there_are_as_many_threads_as_torch_has() -> None:
    batch = batch_of([9, 30, 1, 14])
    values = [value.float() for value in arguments(batch, 30)]
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(results(FusedLevelScan, batch, values)[0])
            assert numba.get_num_threads() == min(threads, numba.config.NUMBA_NUM_THREADS)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)


TWO_THREADS = """
import threading, torch
from treenlp.composition import TreeBatch, TreeLstm, control_shape

torch.manual_seed(0)
cell = TreeLstm(3, 40)
batch = TreeBatch.from_shapes([control_shape("random", n, seed=n) for n in range(20, 60)])
leaves = torch.randn(batch.num_leaves, 3)
exact = cell(leaves, batch).nodes.detach()
seen = []

def train():
    for _ in range(30):
        nodes = cell(leaves, batch).nodes
        torch.autograd.grad(nodes.sum(), cell.weight)
        seen.append(torch.equal(nodes, exact))

threads = [threading.Thread(target=train) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(seen.count(True))
"""


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_threads_train_at_once_where_numba_itself_allows_one() -> None:
    done = run(TWO_THREADS, NUMBA_THREADING_LAYER="workqueue", NUMBA_NUM_THREADS="2")
    assert (done.stdout, done.returncode) == ("60\n", 0), done.stderr


FORKING = """
import os, torch
from treenlp.composition import TreeBatch, TreeLstm, control_shape

torch.set_num_threads(1)  # PyTorch itself cannot go on with several after a fork
cell = TreeLstm(3, 4)
batch = TreeBatch.from_shapes([control_shape("random", 5, seed=1)])

def train():
    nodes = cell(torch.ones(5, 3), batch).nodes
    nodes.sum().backward()
    return type(nodes.grad_fn).__name__

print(train(), flush=True)
if os.fork() == 0:
    print(train(), flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_goes_on_without_them() -> None:
    done = run(FORKING)
    assert done.stdout.split() == ["FusedLevelScanBackward", "_LevelScanBackward", "0"], done.stderr


def test_they_compute_in_32_bits_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    single, double = torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.float64)
    assert compiled_loops(single, single) is tree_lstm_fused
    assert compiled_loops(double, double) is None
    assert compiled_loops(single, double) is None
    assert compiled_loops(single.to("meta"), single) is None
    monkeypatch.setattr(tree_lstm_fused, "_was_forked", True)
    assert compiled_loops(single) is None
    monkeypatch.undo()
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert compiled_loops(single) is None


UNFIT = """
import sys, types
if {error} is not ImportError:
    sys.modules["numba"] = types.ModuleType("numba")
    def njit(**options):
        raise {error}("cannot cache function")
    sys.modules["numba"].njit, sys.modules["numba"].prange = njit, range
    sys.modules["numba"].config = None
else:
    sys.modules["numba"] = None
import torch
from treenlp.composition import TreeBatch, TreeLstm, control_shape
batch = TreeBatch.from_shapes([control_shape("random", 5, seed=1)])
print(type(TreeLstm(3, 4)(torch.ones(5, 3), batch).nodes.grad_fn).__name__)
"""


@pytest.mark.parametrize("error", ["ImportError", "RuntimeError"])
def test_without_a_numba_that_works_networks_train_all_the_same(error: str) -> None:
    done = run(UNFIT.format(error=error))
    assert done.stdout == "_LevelScanBackward\n", done.stderr


def test_answers_are_the_same_but_load_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    cell, batch = TreeLstm(6, 8), batch_of([3, 8, 1])
    leaves = torch.randn(batch.num_leaves, 6)
    trained = cell(leaves, batch).nodes
    assert type(trained.grad_fn).__name__ == "FusedLevelScanBackward"
    monkeypatch.setattr(tree_lstm, "compiled_loops", lambda *tensors: pytest.fail("loaded"))
    with torch.no_grad():
        torch.testing.assert_close(cell(leaves, batch).nodes, trained, rtol=0, atol=1e-6)
