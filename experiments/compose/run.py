"""Time networks over trees, and write the results beside this file.

    python experiments/compose/run.py

Let nothing else run meanwhile. The package pytorch-tree-lstm takes part if it is installed, and the
plot is drawn if matplotlib is (`pip install pytorch-tree-lstm "treenlp[plots]"`).
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch

from treenlp.experiment.compose_bench import ComposeBench, bench_compose, sst_shapes

HERE = Path(__file__).parent
TREES = 1024
THREADS = 2


def main() -> int:
    """Run, print and write."""
    torch.set_num_threads(THREADS)
    found = bench_compose(sst_shapes(TREES), report=lambda text: print(text, file=sys.stderr))
    (HERE / "results.json").write_text(found.to_json(), encoding="utf-8")
    (HERE / "results.md").write_text(found.to_markdown(), encoding="utf-8")
    if importlib.util.find_spec("matplotlib") is not None:
        plot(found)
    print(found.to_markdown(), end="")
    return 0


def plot(found: ComposeBench) -> None:
    """Draw the cost of one tree over its size, both axes logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "treenlp", "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    for shape in dict.fromkeys(row.shape for row in found.depth):
        rows = [row for row in found.depth if row.shape == shape]
        nodes = [2 * row.leaves - 1 for row in rows]
        seconds = [row.microseconds * count / 1e6 for row, count in zip(rows, nodes, strict=True)]
        axes.loglog(nodes, seconds, marker="o", label=shape)
    axes.set(xlabel="nodes of one tree", ylabel="seconds, forward and backward")
    axes.legend()
    figure.savefig(HERE / "cost.svg", metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
