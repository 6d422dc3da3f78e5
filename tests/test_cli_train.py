"""Settings of the recipe on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from treenlp.cli.app import app
from treenlp.errors import ConfigError
from treenlp.experiment.settings import with_setting, with_values
from treenlp.experiment.trainer import Progress


@dataclass(frozen=True, kw_only=True)
class Sizes:
    steps: int = 3
    rate: float = 0.5
    is_free: bool = False
    name: str = "one"


def test_settings_keep_their_kind() -> None:
    found = reduce(with_setting, ["steps=7", "rate=1", "is_free=true", "name=a=b"], Sizes())
    assert found == Sizes(steps=7, rate=1.0, is_free=True, name="a=b")
    assert (type(found.steps), type(found.rate)) == (int, float)
    assert with_values(found, {}) == found


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("stepz=7", "found the key 'stepz'; did you mean steps"),
        ("steps", "expected NAME=VALUE"),
        ("steps=many", r"found steps = 'many' \(type str\), expected the type int"),
        ("steps=1.5", r"found steps = 1.5 \(type float\), expected the type int"),
        ("is_free=1", r"found is_free = 1 \(type int\), expected the type bool"),
    ],
)
def test_wrong_settings_are_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_setting(Sizes(), setting)


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


def test_train_refuses_other_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    arguments = ["train", str(tmp_path / "mine-1"), "--trunk", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError)
    assert "found 2 processes (WORLD_SIZE), expected one: the recipe" in str(result.exception)
