"""How fast networks over trees learn and answer, next to what else there is.

Every contender takes the same trees and the same leaf vectors in the same batches, in one process,
and round by round in turn, so that a slow moment of the machine slows all of them. The bound is the
Tree-LSTM's matrix products alone, each as one product for the whole batch. Only the ratios mean
anything on another machine.
"""

from __future__ import annotations

import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from treenlp.composition import (
    ControlName,
    SequenceBatch,
    TreeBatch,
    TreeShape,
    control_shape,
    make_network,
)
from treenlp.composition.tree_lstm import compiled_loops
from treenlp.data.sentiment import read_sst

__all__ = [
    "BOUND",
    "PEER",
    "ComposeBench",
    "DepthRow",
    "Precision",
    "SpeedRow",
    "bench_compose",
    "sst_shapes",
]

BOUND = "matrix products alone"
PEER = "pytorch-tree-lstm"
_OWN = ("tree-lstm", "tree-gru", "recursive", "bi-lstm")
_FEW = 64  # trees that one node at a time are timed on
_DEPTH_SIZES = (10, 100, 1_000, 5_000, 20_000)

Precision = Literal["float32", "bfloat16", "float64"]
Step = Callable[[], Tensor]
"""Runs one prepared batch forward and returns the vectors of its nodes."""


@dataclass(frozen=True, kw_only=True)
class _Contender:
    """What is timed: prepared batches, forward alone and with what training does after it."""

    answer: Sequence[Callable[[], object]]
    train: Sequence[Callable[[], object]]
    trees: int

    @classmethod
    def of(cls, steps: Sequence[Step], trees: int) -> _Contender:
        """A network: training goes back from the sum of all vectors."""
        return cls(answer=steps, train=[_back(step) for step in steps], trees=trees)


def _back(step: Step) -> Callable[[], object]:
    return lambda: step().sum().backward()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, kw_only=True)
class SpeedRow:
    """One contender with one batch size.

    Attributes:
        name: of the network.
        batch: trees in a batch.
        trained: trees a second, forward and backward, median over the rounds.
        answered: trees a second, forward alone.
        of_bound: `trained` as a share of the bound's with the same batch.
    """

    name: str
    batch: int
    trained: float
    answered: float
    of_bound: float


@dataclass(frozen=True, kw_only=True)
class DepthRow:
    """The Tree-LSTM's cost over one tree.

    Attributes:
        shape: "right", a chain as deep as its leaves, or "balanced".
        leaves: of the tree.
        microseconds: a node, forward and backward.
    """

    shape: str
    leaves: int
    microseconds: float


@dataclass(frozen=True, kw_only=True)
class ComposeBench:
    """Result of `bench_compose`.

    Attributes:
        device: where everything was computed.
        precision: of weights and vectors.
        threads: of torch.
        numba: its version where it compiled the Tree-LSTM's loops, or None.
        trees: how many were taken.
        input_size, hidden_size: widths of leaves and nodes.
        speed: by batch size and contender.
        depth: cost by the size of one tree.
    """

    device: str
    precision: Precision
    threads: int
    numba: str | None
    trees: int
    input_size: int
    hidden_size: int
    speed: tuple[SpeedRow, ...]
    depth: tuple[DepthRow, ...]

    def to_json(self) -> str:
        """As JSON with a final line end."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def to_markdown(self) -> str:
        """As two tables."""
        lines = [
            f"{self.trees:,} trees, {self.input_size} to {self.hidden_size} dimensions, "
            f"{self.precision} on {self.device}, {self.threads} threads, "
            f"{f'numba {self.numba}' if self.numba else 'without numba'}; trees a second.",
            "",
            "| network | batch | training | of the bound | inference |",
            "|---|---|---|---|---|",
        ]
        for row in self.speed:
            cells = f"{row.trained:,.0f} | {row.of_bound:.2f} | {row.answered:,.0f}"
            lines.append(f"| {row.name} | {row.batch} | {cells} |")
        lines += ["", "| shape | leaves | microseconds a node, training |", "|---|---|---|"]
        lines += [f"| {d.shape} | {d.leaves:,} | {d.microseconds:.1f} |" for d in self.depth]
        return "\n".join(lines) + "\n"


def sst_shapes(count: int) -> list[TreeShape]:
    """The first training trees of the sentiment treebank.

    Raises:
        DataError: if it is not there.
    """
    found: list[TreeShape] = []
    for item in read_sst("train"):
        if len(found) == count:
            break
        found.append(TreeShape.from_tree(item.tree))
    return found


def bench_compose(
    shapes: Sequence[TreeShape],
    *,
    batches: Sequence[int] = (25, 128),
    input_size: int = 300,
    hidden_size: int = 150,
    rounds: int = 5,
    depth_sizes: Sequence[int] = _DEPTH_SIZES,
    device: str = "cpu",
    precision: Precision = "float32",
    report: Callable[[str], None] = lambda text: None,
) -> ComposeBench:
    """Time all contenders over the same trees.

    The package pytorch-tree-lstm takes part if it is installed, in float32 on the CPU: it knows
    nothing else. Indices are prepared before the clock starts, those of other packages, too.

    Args:
        shapes: the trees.
        batches: batch sizes.
        input_size: width of leaf vectors.
        hidden_size: width of node vectors; both directions of a sequence network together.
        rounds: times that every contender runs over all trees; the median counts.
        depth_sizes: leaves of the single trees whose cost is told a node.
        device: where to compute, such as "cpu" or "cuda".
        precision: of weights and vectors.
        report: told what is being timed.
    """
    torch.manual_seed(0)
    place = _Place(device=torch.device(device), dtype=getattr(torch, precision))
    speed: list[SpeedRow] = []
    for size in batches:
        parts = [shapes[at : at + size] for at in range(0, len(shapes), size)]
        leaves = [place.randn(sum(s.num_leaves for s in part), input_size) for part in parts]
        contenders = _contenders(parts, leaves, input_size, hidden_size, place)
        trained: dict[str, list[float]] = {name: [] for name in contenders}
        answered: dict[str, list[float]] = {name: [] for name in contenders}
        for turn in range(rounds + 1):  # the first warms up
            for name, contender in contenders.items():
                report(f"batch {size}, round {turn} of {rounds}: {name}")
                trained[name].append(place.seconds(contender.train))
                with torch.inference_mode():
                    answered[name].append(place.seconds(contender.answer))
        rate = {
            name: contender.trees / statistics.median(trained[name][1:])
            for name, contender in contenders.items()
        }
        for name in contenders:
            speed.append(
                SpeedRow(
                    name=name,
                    batch=size,
                    trained=rate[name],
                    answered=contenders[name].trees / statistics.median(answered[name][1:]),
                    of_bound=rate[name] / rate[BOUND],
                )
            )
    depth = [
        _depth(name, leaves_count, input_size, hidden_size, place, report)
        for name in ("balanced", "right")
        for leaves_count in depth_sizes
    ]
    return ComposeBench(
        device=device,
        precision=precision,
        threads=torch.get_num_threads(),
        numba=metadata.version("numba") if compiled_loops(place.randn(1)) else None,
        trees=len(shapes),
        input_size=input_size,
        hidden_size=hidden_size,
        speed=tuple(speed),
        depth=tuple(depth),
    )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where and in which precision everything is computed."""

    device: torch.device
    dtype: torch.dtype

    @property
    def is_plain(self) -> bool:
        """Whether it is what every package can do."""
        return self.device.type == "cpu" and self.dtype == torch.float32

    def randn(self, *shape: int) -> Tensor:
        """Drawn on the CPU, so that every place has the same numbers."""
        return torch.randn(shape).to(self.device, self.dtype)

    def network(self, name: str, inputs: int, size: int) -> nn.Module:
        return make_network(name, inputs, size).to(self.device, self.dtype)

    def seconds(self, steps: Sequence[Callable[[], object]]) -> float:
        """Time of all steps; a device that works ahead is waited for."""
        self._wait()
        start = time.perf_counter()
        for step in steps:
            step()
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _contenders(
    parts: Sequence[Sequence[TreeShape]],
    leaves: Sequence[Tensor],
    inputs: int,
    size: int,
    place: _Place,
) -> dict[str, _Contender]:
    """Prepared batches by the name of what runs them."""
    trees = sum(len(part) for part in parts)
    found = {BOUND: _products(parts, leaves, size, trees)}
    for name in _OWN:
        network = place.network(name, inputs, size)
        batched = _sequences if name == "bi-lstm" else _trees
        steps = [
            _encode(network, rows, batched(part).to(place.device))
            for part, rows in zip(parts, leaves, strict=True)
        ]
        found[name] = _Contender.of(steps, trees)
    if place.is_plain and importlib.util.find_spec("treelstm") is not None:
        found[PEER] = _Contender.of(_peer(parts, leaves, size), trees)
    slow = _one_by_one(parts, leaves, place.network("tree-lstm", inputs, size))
    found["one node at a time"] = _Contender.of(slow, len(slow))
    return found


def _trees(part: Sequence[TreeShape]) -> TreeBatch:
    return TreeBatch.from_shapes(part)


def _sequences(part: Sequence[TreeShape]) -> SequenceBatch:
    return SequenceBatch.from_lengths([shape.num_leaves for shape in part])


def _encode(network: nn.Module, rows: Tensor, batch: object) -> Step:
    def step() -> Tensor:
        nodes: Tensor = network(rows, batch).nodes
        return nodes

    return step


def _products(
    parts: Sequence[Sequence[TreeShape]], leaves: Sequence[Tensor], size: int, trees: int
) -> _Contender:
    """The products of a binary Tree-LSTM: leaves to 2 H, all pairs of children to 5 H.

    Training multiplies three times more: both weights have gradients, and children have.
    """
    some = leaves[0]
    lower, upper = some.new_empty(some.shape[1], 2 * size), some.new_empty(2 * size, 5 * size)
    lower.normal_()
    upper.normal_()
    answer: list[Callable[[], object]] = []
    train: list[Callable[[], object]] = []
    for part, rows in zip(parts, leaves, strict=True):
        pairs = rows.new_empty(len(rows) - len(part), 2 * size).normal_()
        of_rows, of_pairs = rows @ lower, pairs @ upper

        def forward(rows: Tensor = rows, pairs: Tensor = pairs) -> object:
            return rows @ lower, pairs @ upper

        def both_ways(
            rows: Tensor = rows,
            pairs: Tensor = pairs,
            of_rows: Tensor = of_rows,
            of_pairs: Tensor = of_pairs,
        ) -> object:
            ahead = rows @ lower, pairs @ upper
            return ahead, rows.t() @ of_rows, pairs.t() @ of_pairs, of_pairs @ upper.t()

        answer.append(forward)
        train.append(both_ways)
    return _Contender(answer=answer, train=train, trees=trees)


def _one_by_one(
    parts: Sequence[Sequence[TreeShape]], leaves: Sequence[Tensor], network: nn.Module
) -> list[Step]:
    """The same Tree-LSTM as a tree at a time and a node at a time would have it."""
    size: int = network.hidden_size  # type: ignore[assignment]

    def compose(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        both = torch.cat([left[0], right[0]])
        inputs, forget, output, update = network.bias.chunk(4)  # type: ignore[operator]
        act = network.weight @ both + torch.cat([inputs, forget, forget, output, update])  # type: ignore[operator]
        cell = torch.sigmoid(act[:size]) * torch.tanh(act[4 * size :])
        cell = cell + torch.sigmoid(act[size : 2 * size]) * left[1]
        cell = cell + torch.sigmoid(act[2 * size : 3 * size]) * right[1]
        return torch.sigmoid(act[3 * size : 4 * size]) * torch.tanh(cell), cell

    def make(shape: TreeShape, rows: Tensor) -> Step:
        def step() -> Tensor:
            states: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
            for n, row in enumerate(rows):
                gate, cell = network.leaf(row).chunk(2)  # type: ignore[operator]
                states[n, n + 1] = torch.sigmoid(gate) * torch.tanh(cell), cell
            columns = zip(
                shape.starts.tolist(), shape.splits.tolist(), shape.ends.tolist(), strict=True
            )
            for start, split, end in reversed(list(columns)):  # children before parents
                states[start, end] = compose(states[start, split], states[split, end])
            return torch.stack([hidden for hidden, _ in states.values()])

        return step

    flat = [shape for part in parts for shape in part]
    rows = torch.cat(list(leaves)).split_with_sizes([shape.num_leaves for shape in flat])
    return [make(shape, own) for shape, own in list(zip(flat, rows, strict=True))[:_FEW]]


def _peer(parts: Sequence[Sequence[TreeShape]], leaves: Sequence[Tensor], size: int) -> list[Step]:
    """The child-sum Tree-LSTM of the package pytorch-tree-lstm; internal nodes read zeros."""
    import treelstm

    network = treelstm.TreeLSTM(leaves[0].shape[1], size)

    def make(part: Sequence[TreeShape], rows: Tensor) -> Step:
        items: list[dict[str, Tensor]] = []
        for shape, own in zip(
            part, rows.split_with_sizes([s.num_leaves for s in part]), strict=True
        ):
            batch = TreeBatch.from_shapes([shape])
            count = batch.num_leaves
            parents = np.repeat(np.arange(count, batch.num_nodes), 2)
            edges = np.stack([parents, batch.children.numpy().reshape(-1)], axis=1)
            orders = _orders(treelstm, edges, batch.num_nodes)
            items.append(
                {
                    "features": torch.cat(
                        [own, own.new_zeros(batch.num_nodes - count, own.shape[1])]
                    ),
                    "node_order": torch.from_numpy(orders[0]),
                    "edge_order": torch.from_numpy(orders[1]),
                    "adjacency_list": torch.from_numpy(edges),
                }
            )
        ready = treelstm.batch_tree_input(items)
        ready.pop("tree_sizes")

        def step() -> Tensor:
            hidden: Tensor = network(**ready)[0]
            return hidden

        return step

    return [make(part, rows) for part, rows in zip(parts, leaves, strict=True)]


def _orders(package: Any, edges: np.ndarray, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    if nodes == 1:  # the package cannot order a tree without edges
        return np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64)
    found: tuple[np.ndarray, np.ndarray] = package.calculate_evaluation_orders(edges, nodes)
    return found


def _depth(
    shape: ControlName,
    leaves: int,
    inputs: int,
    size: int,
    place: _Place,
    report: Callable[[str], None],
) -> DepthRow:
    report(f"one tree of {leaves:,} leaves, {shape}")
    network = place.network("tree-lstm", inputs, size)
    batch = TreeBatch.from_shapes([control_shape(shape, leaves)]).to(place.device)
    step = _encode(network, place.randn(leaves, inputs), batch)
    repeats = max(1, 2_000 // leaves)
    found = [place.seconds([_back(step)] * repeats) / repeats for _ in range(4)]
    return DepthRow(shape=shape, leaves=leaves, microseconds=min(found[1:]) / batch.num_nodes * 1e6)
