"""Recurrent networks against twins that follow the equations one step at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from treenlp.composition import RecurrentNet, SequenceBatch
from treenlp.errors import ConfigError, ShapeError

LENGTHS = [3, 1, 6, 2]
Weights = tuple[Tensor, Tensor, Tensor, Tensor]  # of the input, of the state, and their biases
Step = Callable[[Tensor, Tensor, Tensor, Weights], tuple[Tensor, Tensor]]


def plain_step(x: Tensor, h: Tensor, c: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    own, other, own_bias, other_bias = weights
    return torch.tanh(own @ x + own_bias + other @ h + other_bias), c


def lstm_step(x: Tensor, h: Tensor, c: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    own, other, own_bias, other_bias = weights
    i, f, u, o = (own @ x + own_bias + other @ h + other_bias).chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(u)
    return torch.sigmoid(o) * torch.tanh(c), c


def gru_step(x: Tensor, h: Tensor, c: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    own, other, own_bias, other_bias = weights
    r_x, z_x, n_x = (own @ x + own_bias).chunk(3)
    r_h, z_h, n_h = (other @ h + other_bias).chunk(3)
    z = torch.sigmoid(z_x + z_h)
    return (1 - z) * torch.tanh(n_x + torch.sigmoid(r_x + r_h) * n_h) + z * h, c


STEPS: dict[str, Step] = {"plain": plain_step, "lstm": lstm_step, "gru": gru_step}
every_network = pytest.mark.parametrize(
    ("cell", "directions", "layers"), list(itertools.product(STEPS, (1, 2), (1, 3)))
)


def make(cell: str, directions: int, layers: int, inputs: int = 3, size: int = 4) -> RecurrentNet:
    torch.manual_seed(5)
    return RecurrentNet(
        inputs,
        size,
        cell=cell,  # type: ignore[arg-type]
        directions=directions,  # type: ignore[arg-type]
        layers=layers,
    ).double()


def words(width: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(n, width, generator=generator, dtype=torch.float64) for n in LENGTHS]


def twin(network: RecurrentNet, cell: str, layers: int, rows: Tensor) -> Tensor:
    """States (n, H) of the last layer at every word of one sequence."""
    size = network.hidden_size // network.directions
    parameters = dict(network.network.named_parameters())
    below = list(rows)
    for layer in range(layers):
        sides = []
        for suffix in ("", "_reverse")[: network.directions]:
            kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            weights = tuple(parameters[f"{kind}_l{layer}{suffix}"] for kind in kinds)
            h = c = torch.zeros(size, dtype=torch.float64)
            states = []
            for x in reversed(below) if suffix else below:
                h, c = STEPS[cell](x, h, c, weights)  # type: ignore[arg-type]
                states.append(h)
            sides.append(states[::-1] if suffix else states)
        below = [torch.cat(parts) for parts in zip(*sides, strict=True)]
    return torch.stack(below)


@every_network
def test_every_word_equals_the_slow_twin(cell: str, directions: int, layers: int) -> None:
    network, rows = make(cell, directions, layers), words()
    found = network(torch.cat(rows), SequenceBatch.from_lengths(LENGTHS))
    half = network.hidden_size // directions
    for place, own in enumerate(rows):
        states = twin(network, cell, layers, own)
        torch.testing.assert_close(found.nodes[found.owner == place], states)
        root = states[-1] if directions == 1 else torch.cat([states[-1, :half], states[0, half:]])
        torch.testing.assert_close(found.root[place], root)
    assert found.spans[found.owner == 2].tolist() == [[n, n + 1] for n in range(6)]


@every_network
def test_gradcheck_over_inputs_and_parameters(cell: str, directions: int, layers: int) -> None:
    network = make(cell, directions, layers, inputs=2, size=2)
    batch = SequenceBatch.from_lengths([2, 1, 3])
    inputs = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)

    def run(rows: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
        found = network(rows, batch)
        return found.nodes, found.root

    assert torch.autograd.gradcheck(run, (inputs, *network.parameters()))


@every_network
def test_a_sequence_alone_is_encoded_as_in_a_batch(cell: str, directions: int, layers: int) -> None:
    network, rows = make(cell, directions, layers), words()
    together = network(torch.cat(rows), SequenceBatch.from_lengths(LENGTHS)).root
    for place, own in enumerate(rows):
        alone = network(own, SequenceBatch.from_lengths([len(own)])).root[0]
        torch.testing.assert_close(together[place], alone)


def test_only_two_directions_know_what_follows() -> None:
    rows = torch.cat(words())
    changed = rows.clone()
    changed[2] += 1.0  # the last word of the first sequence
    batch = SequenceBatch.from_lengths(LENGTHS)
    for directions, knows in ((1, False), (2, True)):
        network = make("lstm", directions, 1)
        first = network(rows, batch).nodes[0]
        assert torch.equal(first, network(changed, batch).nodes[0]) != knows


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="found the recurrent cell 'elman', expected one of: pla"):
        make("elman", 2, 1)
    with pytest.raises(ConfigError, match="found 2 directions, 1 layers and a width of 5"):
        make("gru", 2, 1, size=5)
    with pytest.raises(ShapeError, match=r"\(2, 3\), expected \(3, 3\)"):
        make("gru", 2, 1)(torch.zeros(2, 3), SequenceBatch.from_lengths([1, 2]))


@pytest.mark.parametrize("cell", STEPS)
@pytest.mark.parametrize("truncate", [1, 2, 5, 6, 9])
def test_truncation_says_the_same_and_stops_gradients(cell: str, truncate: int) -> None:
    whole = make(cell, 1, 2)
    cut = RecurrentNet(3, 4, cell=cell, directions=1, layers=2, truncate=truncate).double()  # type: ignore[arg-type]
    cut.load_state_dict(whole.state_dict())
    batch = SequenceBatch.from_lengths(LENGTHS)
    flat = torch.cat(words()).requires_grad_()
    assert torch.allclose(cut(flat, batch).nodes, whole(flat, batch).nodes, atol=1e-12)
    last = cut(flat, batch).root[LENGTHS.index(6)].sum()
    (gradient,) = torch.autograd.grad(last, flat)
    start = sum(LENGTHS[: LENGTHS.index(6)])
    reached = gradient[start : start + 6].abs().sum(1) > 0
    within = 5 // truncate * truncate  # first step of the last word's stretch
    assert reached.tolist() == [n >= within for n in range(6)]
    assert not gradient[:start].any()
    assert not gradient[start + 6 :].any()


def test_a_truncated_gradient_is_that_of_a_twin_that_forgets_its_history() -> None:
    network = RecurrentNet(3, 4, cell="plain", directions=1, truncate=2).double()
    x = words()[2]
    found = network(x, SequenceBatch.from_lengths([6])).nodes.square().sum()
    weight = network.network.weight_hh_l0
    (gradient,) = torch.autograd.grad(found, weight)
    own = network.network
    state, total = torch.zeros(4, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for step in range(6):
        if step % 2 == 0:
            state = state.detach()
        weights = (own.weight_ih_l0, weight, own.bias_ih_l0, own.bias_hh_l0)
        state, _ = plain_step(x[step], state, state, weights)
        total = total + state.square().sum()
    (wanted,) = torch.autograd.grad(total, weight)
    assert torch.allclose(gradient, wanted, atol=1e-12)


@pytest.mark.parametrize("options", [{"truncate": 0, "directions": 1}, {"truncate": 3}])
def test_impossible_truncation_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="expected 1 or more steps and one direction"):
        RecurrentNet(3, 4, **options)  # type: ignore[arg-type]
