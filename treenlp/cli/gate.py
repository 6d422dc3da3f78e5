"""``treenlp evaluate``: run the gate or the bench and print what they found."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

__all__ = ["evaluate"]


def evaluate(
    final: Annotated[
        bool, typer.Option("--final", help="Read the test sets, too; write scores and card.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Name of a measure; may be repeated.", metavar="MEASURE"),
    ] = None,
    names: Annotated[bool, typer.Option("--list", help="List the measures and stop.")] = False,
    bench: Annotated[
        bool, typer.Option("--bench", help="Measure speed, memory and cold start instead.")
    ] = False,
    model: Annotated[
        str, typer.Option("--model", help="Name or directory of a model.")
    ] = "zh-en-1",
    device: Annotated[
        str, typer.Option("--device", help="A torch device, such as cpu or cuda.")
    ] = "cpu",
) -> None:
    """Score what the model card promises, as JSON; status 1 if a figure is worse than promised."""
    if bench and (final or only):
        raise typer.BadParameter("give --bench alone", param_hint="")
    from treenlp.experiment.evaluate import MEASURES, run_gate

    if names:
        for measure in MEASURES:
            sys.stdout.write(f"{measure.name}\t{measure.split}\t{measure.about}\n")
        return
    from treenlp.catalogue import model_directory

    folder = model_directory(model)
    if bench:
        from treenlp.experiment.bench import bench as run_bench
        from treenlp.experiment.measures import to_stderr

        sys.stdout.write(run_bench(folder, report=to_stderr).to_json())
        return
    found = run_gate(folder, final=final, only=only, device=device)
    sys.stdout.write(found.sheet.to_json())
    for verdict in found.verdicts:
        typer.echo(f"treenlp: {verdict.status}: {verdict.message}", err=True)
    if not found.is_passed:
        raise typer.Exit(1)
