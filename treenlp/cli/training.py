"""``treenlp train``: run the recipe that makes a model, or go on with it."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from treenlp.errors import ConfigError

if TYPE_CHECKING:
    from treenlp.experiment.trainer import Progress

__all__ = ["replace_settings", "train"]

Config = TypeVar("Config")


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
    from treenlp.experiment.recipe import RecipeConfig, run_recipe

    config = replace_settings(RecipeConfig(free=free), settings or [])
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


def replace_settings(config: Config, settings: list[str]) -> Config:
    """Change fields of a frozen dataclass by ``name=value``.

    Args:
        config: with numbers, booleans or strings as values.
        settings: such as ``["seed=2", "minutes=1.5"]``; later ones win.

    Returns:
        The changed copy.

    Raises:
        ConfigError: if a name is unknown or a value of another kind; the nearest valid name is
            given.
    """
    values: dict[str, Any] = asdict(config)  # type: ignore[call-overload]
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"found the setting {setting!r}, expected NAME=VALUE")
        if name not in values:
            near = get_close_matches(name, values, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f"found the setting {name!r}; did you mean {near!r}? Expected one of: "
                f"{', '.join(values)}"
            )
        values[name] = _parse(name, text, values[name])
    changed: Config = replace(config, **values)  # type: ignore[type-var]
    return changed


def _parse(name: str, text: str, old: bool | float | str) -> bool | float | str:
    kind = type(old)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"found {name} = {text!r}, expected true or false")
        return text.lower() == "true"
    try:
        value: float | str = kind(text)
    except ValueError as error:
        raise ConfigError(f"found {name} = {text!r}, expected a value like {old!r}") from error
    return value
