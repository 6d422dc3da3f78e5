"""``treenlp data``: which reference sets there are, whether they are whole, and how to get them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from treenlp.errors import DataError

if TYPE_CHECKING:
    from treenlp.data.registry import FileCheck

__all__ = ["app"]

app = typer.Typer(
    help="List, check and get the sets that training and measuring read (see TREENLP_DATA).",
    no_args_is_help=True,
)

Names = Annotated[
    list[str] | None, typer.Argument(help="Names of sets; all by default.", metavar="NAME")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for each set.")]


@app.command("list")
def list_sets(names: Names = None, is_json: AsJson = False) -> None:
    """List the sets: name, whether its files are there, licence, what it is.

    Columns are separated by tabs. Files are counted, not compared: that is what `check` does. With
    --json also files, source, citation, use and addresses.
    """
    from treenlp.data.fetch import public_addresses
    from treenlp.data.paths import data_root
    from treenlp.data.registry import get_dataset

    root = data_root()
    typer.echo(f"treenlp: sets are looked for under {root}", err=True)
    for name in _chosen(names):
        dataset = get_dataset(name)
        there = sum((root / file).is_file() for file in dataset.files)
        if is_json:
            row = {**asdict(dataset), "there": there, "addresses": public_addresses(name)}
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
            continue
        state = f"{there} of {len(dataset.files)}"
        sys.stdout.write(f"{name}\t{state}\t{dataset.licence}\t{dataset.title}\n")


@app.command()
def check(names: Names = None, is_json: AsJson = False) -> None:
    """Compare every file with its recorded checksum; status 1 if one is missing or changed."""
    from treenlp.data.registry import check as check_set

    failed = 0
    for name in _chosen(names):
        files = check_set(name)
        failed += sum(one.state != "ok" for one in files)
        if is_json:
            rows = [{"file": one.file, "state": one.state} for one in files]
            sys.stdout.write(json.dumps({"name": name, "files": rows}) + "\n")
        else:
            sys.stdout.writelines(_line(one) for one in files)
    if failed:
        typer.echo(f"treenlp: {failed} files are missing or changed", err=True)
        raise typer.Exit(1)


@app.command()
def get(
    names: Annotated[list[str], typer.Argument(help="Names of sets.", metavar="NAME")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="Folder, or address of one, that holds the sets as TREENLP_DATA does."
        ),
    ] = None,
) -> None:
    """Get sets from where their owners publish them, or from a folder or mirror.

    Files that are there and as recorded are left alone; others are replaced only by a file with
    the recorded checksum. Sets that were changed for this project cannot be had from their
    owners: the error says what their source is. Status 1 if a set is not whole in the end.
    """
    from treenlp.data.fetch import fetch

    failed = 0
    for name in _chosen(names):
        try:
            for one in fetch(name, source=source, report=_say):
                sys.stdout.write(f"{one.state}\t{one.file}\n")
        except DataError as error:  # the others can be had nevertheless
            failed += 1
            _say(str(error))
    if failed:
        raise typer.Exit(1)


def _chosen(names: list[str] | None) -> list[str]:
    """The names asked for, all of which exist, or those of all sets."""
    from treenlp.data.registry import DATASETS, get_dataset

    return [get_dataset(name).name for name in names] if names else list(DATASETS)


def _line(one: FileCheck) -> str:
    return f"{one.state}\t{one.file}\n"


def _say(text: str) -> None:
    typer.echo(f"treenlp: {text}", err=True)
