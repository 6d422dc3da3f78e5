"""``treenlp train``: run the recipe that makes a model, or go on with it."""

from __future__ import annotations

import sys
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from treenlp.experiment.trainer import Progress

__all__ = ["train"]


def train(
    output: Annotated[Path, typer.Argument(help="Model folder to write; its name is the model's.")],
    trunk: Annotated[
        Path, typer.Option("--trunk", help="Folder that experiments/trunk/convert.py wrote.")
    ],
    work: Annotated[
        Path | None,
        typer.Option("--work", help="Folder of checkpoints; OUTPUT.work unless given."),
    ] = None,
    initial: Annotated[
        Path | None, typer.Option("--from", help="Model folder whose parser is gone on from.")
    ] = None,
    free: Annotated[
        bool,
        typer.Option(
            "--free",
            help="Leave non-commercial and research-only sets out; the model then only parses.",
        ),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting of the recipe; may be repeated.", metavar="NAME=VALUE"
        ),
    ] = None,
) -> None:
    """Make a model by the recipe; started again it goes on where it stopped.

    The reference data is looked for where TREENLP_DATA says. Status 3 if time ran out before the
    end.
    """
    from treenlp.experiment.processes import refuse_processes
    from treenlp.experiment.recipe import RecipeConfig, run_recipe
    from treenlp.experiment.settings import with_setting

    refuse_processes("the recipe")
    config = reduce(with_setting, settings or [], RecipeConfig(free=free))
    done = run_recipe(
        output.with_name(output.name + ".work") if work is None else work,
        output,
        config,
        trunk_folder=trunk,
        initial=initial,
        report=_report,
        say=lambda text: typer.echo(f"treenlp: {text}", err=True),
    )
    if not done:
        typer.echo("treenlp: time ran out; run the same command to go on", err=True)
        raise typer.Exit(3)
    sys.stdout.write(f"{output}\n")


def _report(stage: str, progress: Progress) -> None:
    typer.echo(
        f"treenlp: {stage}: step {progress.step:,} of {progress.steps:,}, "
        f"loss {progress.loss:.4f}, {progress.seconds:,.0f} s",
        err=True,
    )
