"""``treenlp bench``: how fast parts of the toolkit are on this machine."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from treenlp.errors import ConfigError

__all__ = ["app"]

app = typer.Typer(help="Measure speed, next to what else there is.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Keep `compose` a command of its own while it is the only one."""


@app.command()
def compose(
    trees: Annotated[int, typer.Option(help="Training trees of the sentiment treebank.")] = 1024,
    rounds: Annotated[int, typer.Option(help="Rounds; the median counts.")] = 5,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 2,
    device: Annotated[
        str, typer.Option("--device", help="A torch device, such as cpu or cuda.")
    ] = "cpu",
    precision: Annotated[
        Literal["float32", "bfloat16", "float64"],
        typer.Option("--precision", help="Of weights and vectors."),
    ] = "float32",
    is_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Compare networks over trees with sequence networks and other packages, in one run.

    Trees are those of the sentiment treebank, looked for where TREENLP_DATA says. Let nothing else
    run meanwhile. The package pytorch-tree-lstm takes part if it is installed, in float32 on the
    CPU, and with numba installed the Tree-LSTM is compiled there (NUMBA_DISABLE_JIT=1: it is not).
    """
    import torch

    from treenlp.encoder.device import check_device
    from treenlp.experiment.compose_bench import bench_compose, sst_shapes

    for name, value in (("--trees", trees), ("--rounds", rounds), ("--threads", threads)):
        if value < 1:
            raise ConfigError(f"found {name} {value}, expected 1 or more")
    check_device(device)
    torch.set_num_threads(threads)
    shows = sys.stderr.isatty()

    def report(text: str) -> None:
        if shows:
            typer.echo(f"\r\033[K{text}", err=True, nl=False)

    found = bench_compose(
        sst_shapes(trees), rounds=rounds, device=device, precision=precision, report=report
    )
    if shows:
        typer.echo("\r\033[K", err=True, nl=False)
    typer.echo(found.to_json() if is_json else found.to_markdown(), nl=False)
