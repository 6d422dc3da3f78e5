"""The training loop: resuming, refusing, stopping."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from treenlp.errors import ConfigError
from treenlp.experiment import trainer
from treenlp.experiment.processes import Processes
from treenlp.experiment.trainer import (
    BEST_FILE,
    Evaluation,
    Progress,
    TrainConfig,
    TrainingDivergedError,
    fit,
    read_history,
)

CONFIG = TrainConfig(steps=12, lr=0.05, bf16=False)


class Line(nn.Module):
    """Fit a line through points that depend on the step alone, with dropout for its noise."""

    def __init__(self, *, bad_step: int = -1, interrupt_at: int = -1) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 1)
        self.bad_step = bad_step
        self.interrupt_at = interrupt_at

    def batch(self, step: int) -> tuple[int, Tensor]:
        if step == self.interrupt_at:
            raise KeyboardInterrupt
        return step, torch.randn(8, 3, generator=torch.Generator().manual_seed(step))

    def loss(self, batch: object) -> Tensor:
        assert isinstance(batch, tuple)
        step, points = batch
        if step == self.bad_step:
            return self.layer(points).sum() * float("nan")
        guess = self.layer(nn.functional.dropout(points, 0.2, self.training))
        return ((guess[:, 0] - points.sum(-1)) ** 2).mean()


def weights(model: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_an_interrupted_run_resumes_to_the_numbers_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = Line()
    assert fit(whole, whole, CONFIG, tmp_path / "whole")
    broken = Line(interrupt_at=5)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, broken, CONFIG, tmp_path / "broken")
    note = json.loads((tmp_path / "broken" / "checkpoint.json").read_text(encoding="utf-8"))
    assert note["step"] == 5
    again = Line()
    assert fit(again, again, CONFIG, tmp_path / "broken")
    for one, other in zip(weights(whole), weights(again), strict=True):
        assert torch.equal(one, other)


def test_a_step_follows_the_mean_loss_of_its_batches(tmp_path: Path) -> None:
    config = replace(CONFIG, steps=1, batches_per_step=3, clip=1e9)
    told: list[Progress] = []
    model = Line()
    seeds = [config.seed * 1_000_003 + number for number in range(3)]
    losses = []
    for number, seed in enumerate(seeds):
        torch.manual_seed(seed)
        losses.append(model.loss(model.batch(number)))
    mean = torch.stack(losses).mean()
    wanted = torch.autograd.grad(mean, list(model.parameters()))
    learning = Line()
    assert fit(learning, learning, config, tmp_path, report=told.append, every=1)
    assert told[0].loss == pytest.approx(mean.item(), rel=1e-6)
    state = load_file(next(tmp_path.glob("checkpoint-*.safetensors")))
    for (name, _), gradient in zip(learning.named_parameters(), wanted, strict=True):
        assert torch.allclose(state[f"exp_avg.{name}"], 0.1 * gradient, rtol=1e-5)


def test_batches_that_cannot_be_shared_out_are_refused() -> None:
    assert list(Processes(rank=0, count=2).share(4)) == [0, 2]
    with pytest.raises(ConfigError, match="found batches_per_step = 3 and 2 processes"):
        Processes(rank=0, count=2).share(3)


def test_time_running_out_leaves_a_checkpoint(tmp_path: Path) -> None:
    model = Line()
    assert not fit(model, model, CONFIG, tmp_path, stop_after_minutes=0.0)
    assert fit(model, model, CONFIG, tmp_path)
    assert len(list(tmp_path.glob("checkpoint-*.safetensors"))) == 1


def test_a_checkpoint_of_another_config_is_refused(tmp_path: Path) -> None:
    model = Line()
    fit(model, model, CONFIG, tmp_path, stop_after_minutes=0.0)
    with pytest.raises(ConfigError, match="belongs to a run with"):
        fit(model, model, replace(CONFIG, lr=0.1), tmp_path)


def test_a_loss_that_is_no_number_stops_and_names_the_step(tmp_path: Path) -> None:
    model = Line(bad_step=3)
    with pytest.raises(TrainingDivergedError, match="at step 3"):
        fit(model, model, CONFIG, tmp_path)
    assert all(torch.isfinite(weight).all() for weight in weights(model))


def test_progress_is_reported(tmp_path: Path) -> None:
    seen: list[Progress] = []
    model = Line()
    fit(model, model, CONFIG, tmp_path, report=seen.append, every=5)
    assert [progress.step for progress in seen] == [5, 10, 12]
    assert all(progress.steps == 12 and progress.loss > 0 for progress in seen)


def rising() -> Evaluation:
    """A score that falls after the sixth step, whatever the model."""
    steps = iter(range(100))
    return Evaluation(score=lambda: -abs(next(steps) - 2.0), every=2, patience=2)


def test_the_best_weights_are_kept_and_nothing_better_ends_the_run(tmp_path: Path) -> None:
    model = Line()
    assert fit(model, model, CONFIG, tmp_path, evaluation=rising())
    assert read_history(tmp_path) == [(2, -2.0), (4, -1.0), (6, 0.0), (8, -1.0), (10, -2.0)]
    best = load_file(tmp_path / BEST_FILE)
    at_six: dict[str, Tensor] = {}

    class Watched(Line):
        def batch(self, step: int) -> tuple[int, Tensor]:
            if step == 6:
                at_six.update({n: p.detach().clone() for n, p in self.named_parameters()})
            return super().batch(step)

    watched = Watched()
    fit(watched, watched, CONFIG, tmp_path / "watched")
    assert all(torch.equal(best[name], value) for name, value in at_six.items())


def test_an_early_stop_survives_an_interruption(tmp_path: Path) -> None:
    """Scores come from the weights, so a resumed run sees what the whole one saw."""

    def evaluation(model: Line) -> Evaluation:
        points = torch.ones(4, 3)

        def score() -> float:
            model.eval()
            with torch.no_grad():
                return -float(((model.layer(points)[:, 0] - 3.0) ** 2).mean())

        return Evaluation(score=score, every=2, patience=3)

    whole, broken = Line(), Line(interrupt_at=7)
    fit(whole, whole, CONFIG, tmp_path / "whole", evaluation=evaluation(whole))
    with pytest.raises(KeyboardInterrupt):
        fit(broken, broken, CONFIG, tmp_path / "broken", evaluation=evaluation(broken))
    again = Line()
    fit(again, again, CONFIG, tmp_path / "broken", evaluation=evaluation(again))
    assert read_history(tmp_path / "broken") == read_history(tmp_path / "whole")
    for name, value in load_file(tmp_path / "whole" / BEST_FILE).items():
        assert torch.equal(value, load_file(tmp_path / "broken" / BEST_FILE)[name])


def test_a_full_disk_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Line()
    fit(model, model, CONFIG, tmp_path, stop_after_minutes=0.0)
    (before,) = tmp_path.glob("checkpoint-*.safetensors")

    def full(tensors: object, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "save_file", full)
        again = Line()
        with pytest.raises(OSError, match="No space left"):
            fit(again, again, CONFIG, tmp_path, stop_after_minutes=0.0)
    assert list(tmp_path.glob("checkpoint-*.safetensors")) == [before]
    whole, resumed = Line(), Line()
    assert fit(resumed, resumed, CONFIG, tmp_path)
    assert fit(whole, whole, CONFIG, tmp_path / "whole")
    for one, other in zip(weights(whole), weights(resumed), strict=True):
        assert torch.equal(one, other)
