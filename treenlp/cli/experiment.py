"""``treenlp experiment``: networks side by side on the same data, seeds and budget."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from treenlp.experiment.lab.runner import RunProgress

__all__ = ["app"]

app = typer.Typer(
    help="Compare networks over trees and sequences: same data, splits, seeds and budget.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(help="Folder that `experiment run` wrote.")]


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="TOML file that says what is compared.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the results; gone on with if it is.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A value of the config; may be repeated.", metavar="PART.NAME=V"
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder of a report whose runs are not made again, such as a published one.",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="Folder of leaf vectors and trees that experiments share."),
    ] = None,
    model: Annotated[
        str,
        typer.Option("--model", help="Model whose trunk makes the leaves and whose parser trees."),
    ] = "zh-en-1",
    device: Annotated[
        str, typer.Option("--device", help="A torch device for the networks, such as cpu or cuda.")
    ] = "cpu",
) -> None:
    """Run every cell of an experiment; started again it goes on where it stopped.

    A cell is a network with its trees, leaves and training size. Each gets the same number of
    search trials and of seeds; the weights with the best dev score are scored once on the test
    set. The reference data is looked for where TREENLP_DATA says. Prints the folder.

    With --from, runs of a report are taken over. So seeds and networks are added to a published
    experiment, and compared with what its runs said of every sentence.

    Several processes share the batches of a step, with the numbers of one process:
    torchrun --nproc-per-node 2 -m treenlp experiment run … --set learn.batches_per_step=2
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from treenlp.catalogue import model_directory
    from treenlp.experiment.lab import ExperimentConfig, restore_runs, run_experiment
    from treenlp.experiment.processes import joined_processes

    found = ExperimentConfig.read(config)
    for setting in settings or []:
        found = found.with_setting(setting)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        joined_processes() as processes,
        Progress(*columns, console=console, disable=not console.is_terminal) as bar,
    ):
        console.quiet = not processes.is_first

        def say(text: str) -> None:
            console.print(f"treenlp: {text}", highlight=False, soft_wrap=True)

        task = bar.add_task("starting", total=None)

        def report(progress: RunProgress) -> None:
            text = f"{progress.cell} {progress.run}"
            bar.update(task, description=text, completed=progress.done, total=progress.total)
            dev = "" if progress.dev != progress.dev else f", dev {100 * progress.dev:.1f} %"
            say(f"{progress.done} of {progress.total}: {text}{dev}")

        if start is not None and processes.is_first:
            restored = restore_runs(start, output, found)
            say(f"{restored} runs of {start} are taken over")
        run_experiment(
            found,
            output,
            model=model_directory(model),
            cache=cache,
            device=device,
            report=report,
            say=say,
        )
    if processes.is_first:
        sys.stdout.write(f"{output}\n")


@app.command("list")
def list_runs(folder: Folder) -> None:
    """List the cells: name, finished seeds, finished trials, mean dev accuracy; tabs between."""
    from treenlp.experiment.lab import list_cells

    for state in list_cells(folder):
        dev = "-" if state.dev != state.dev else f"{state.dev:.4f}"
        sys.stdout.write(f"{state.name}\t{state.seeds} of {state.wanted}\t{state.trials}\t{dev}\n")


@app.command()
def report(
    folder: Folder,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where to write; FOLDER unless given.")
    ] = None,
    plots: Annotated[bool, typer.Option(help="Draw the plots (needs matplotlib).")] = True,
) -> None:
    """Write results.md, results.json, runs.json.gz and plots (PNG, SVG); print the Markdown."""
    from treenlp.experiment.lab import write_report

    sys.stdout.write(write_report(folder, output, plots=plots).read_text(encoding="utf-8"))


@app.command()
def compare(
    folder: Folder,
    first: Annotated[str, typer.Argument(help="Name of a cell, as `list` prints it.")],
    second: Annotated[str, typer.Argument(help="Name of another one.")],
    transfer: Annotated[
        bool, typer.Option("--transfer", help="On what data.transfer names, not on the test set.")
    ] = False,
) -> None:
    """Compare two cells on the same test sentences: difference in points, two-sided p-value."""
    from treenlp.experiment.lab import compare_cells

    difference, p_value = compare_cells(
        folder, first, second, on="transfer" if transfer else "test"
    )
    sys.stdout.write(f"{first}\t{second}\t{100 * difference:+.2f}\t{p_value:.4f}\n")
