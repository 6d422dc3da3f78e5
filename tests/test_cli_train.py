"""Settings of the recipe on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from treenlp.cli.app import app
from treenlp.cli.training import replace_settings
from treenlp.errors import ConfigError
from treenlp.experiment.trainer import Progress


@dataclass(frozen=True, kw_only=True)
class Sizes:
    steps: int = 3
    rate: float = 0.5
    is_free: bool = False
    name: str = "one"


def test_settings_keep_their_kind() -> None:
    found = replace_settings(Sizes(), ["steps=7", "rate=1e-3", "is_free=true", "name=a=b"])
    assert found == Sizes(steps=7, rate=0.001, is_free=True, name="a=b")
    assert isinstance(found.steps, int)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("stepz=7", "did you mean 'steps'"),
        ("steps", "expected NAME=VALUE"),
        ("steps=many", "found steps = 'many', expected a value like 3"),
        ("is_free=1", "expected true or false"),
    ],
)
def test_wrong_settings_are_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace_settings(Sizes(), [setting])


@pytest.mark.parametrize(("is_done", "status"), [(True, 0), (False, 3)])
def test_train_runs_the_recipe(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_done: bool, status: int
) -> None:
    asked: dict[str, Any] = {}

    def recipe(work: Path, output: Path, config: Any, **more: Any) -> bool:
        asked.update(more, work=work, output=output, config=config)
        more["say"]("reading")
        more["report"]("parser", Progress(step=25, steps=1000, loss=0.5, seconds=12.0))
        return is_done

    monkeypatch.setattr("treenlp.experiment.recipe.run_recipe", recipe)
    output = tmp_path / "mine-1"
    arguments = ["train", str(output), "--trunk", str(tmp_path), "--free", "--set", "seed=9"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == status
    assert asked["work"] == tmp_path / "mine-1.work"
    assert asked["config"].free
    assert asked["config"].seed == 9
    assert "treenlp: parser: step 25 of 1,000, loss 0.5000, 12 s" in result.stderr
    assert (result.stdout == f"{output}\n") == is_done
