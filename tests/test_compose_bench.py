"""The bench of networks over trees: every contender runs, and the slow ones compute the same."""

from __future__ import annotations

import json

import numba
import torch
from typer.testing import CliRunner

from treenlp.cli.app import app
from treenlp.composition import TreeBatch, control_shape, make_network
from treenlp.errors import ConfigError
from treenlp.experiment.compose_bench import PEER, _one_by_one, bench_compose

SHAPES = [control_shape("random", count, seed=2) for count in (3, 1, 6, 4, 2)]


def test_every_contender_is_timed_with_every_batch_size() -> None:
    told: list[str] = []
    found = bench_compose(
        SHAPES,
        batches=(2, 5),
        input_size=6,
        hidden_size=4,
        rounds=1,
        depth_sizes=(2, 9),
        report=told.append,
    )
    names = [row.name for row in found.speed if row.batch == 5]
    assert names == [row.name for row in found.speed if row.batch == 2]
    assert {"tree-lstm", "bi-lstm", "matrix products alone", "one node at a time"} <= set(names)
    assert all(row.trained > 0 and row.answered > 0 for row in found.speed)
    assert [row.of_bound for row in found.speed if row.name == "matrix products alone"] == [1, 1]
    assert [(row.shape, row.leaves) for row in found.depth] == [
        ("balanced", 2),
        ("balanced", 9),
        ("right", 2),
        ("right", 9),
    ]
    assert json.loads(found.to_json())["trees"] == 5
    assert found.to_markdown().count("\n| tree-lstm |") == 2
    assert any("tree-lstm" in text for text in told)
    assert f"numba {numba.__version__}; trees a second" in found.to_markdown()


def test_the_bench_runs_in_another_precision() -> None:
    found = bench_compose(
        SHAPES, batches=(5,), input_size=6, hidden_size=4, rounds=1, depth_sizes=(3,),
        precision="bfloat16",
    )  # fmt: skip
    assert (found.device, found.precision) == ("cpu", "bfloat16")
    assert "bfloat16 on cpu" in found.to_markdown()
    assert "without numba" in found.to_markdown()  # it compiles for 32 bits
    names = {row.name for row in found.speed}
    assert {"tree-lstm", "one node at a time"} <= names
    assert PEER not in names  # it knows float32 only


def test_one_node_at_a_time_is_the_same_network() -> None:
    network = make_network("tree-lstm", 3, 4)
    leaves = torch.randn(sum(shape.num_leaves for shape in SHAPES), 3)
    slow = _one_by_one([SHAPES[:2], SHAPES[2:]], [leaves[:4], leaves[4:]], network)
    fast = network(leaves, TreeBatch.from_shapes(SHAPES))
    for n, step in enumerate(slow):
        wanted = fast.nodes[fast.owner == n]
        torch.testing.assert_close(step().sum(0), wanted.sum(0))
    assert len(slow) == len(SHAPES)


def test_the_command_refuses_what_cannot_be_timed() -> None:
    result = CliRunner().invoke(app, ["bench", "compose", "--trees", "0"])
    assert isinstance(result.exception, ConfigError)
    assert "found --trees 0, expected 1 or more" in str(result.exception)
    result = CliRunner().invoke(app, ["bench", "compose", "--device", "abacus"])
    assert isinstance(result.exception, ConfigError)
    assert "found the device 'abacus', which torch cannot use" in str(result.exception)
    assert "compose" in CliRunner().invoke(app, ["bench", "--help"]).output
