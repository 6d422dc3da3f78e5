"""The one training loop: every model is a `Task` with batches that depend on the step alone.

Because a batch is a function of (seed, step), a run that was killed resumes to the numbers of an
uninterrupted one: the checkpoint holds parameters, optimizer and step, nothing else is needed.
Checkpoints are safetensors plus JSON, written beside the old ones and then renamed. With an
`Evaluation` the loop measures as it goes, keeps the best weights and stops when nothing improves.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from treenlp.errors import ConfigError, TreenlpError

__all__ = [
    "BEST_FILE",
    "Evaluation",
    "Progress",
    "Task",
    "TrainConfig",
    "TrainingDivergedError",
    "fit",
    "read_history",
]

BEST_FILE = "best.safetensors"
_NOTE = "checkpoint.json"


class TrainingDivergedError(TreenlpError):
    """The loss is no longer a number."""


class Task(Protocol):
    """What a model learns from."""

    def batch(self, step: int) -> object:
        """Batch of a step: the same for the same step, whatever was asked before."""

    def loss(self, batch: object) -> Tensor:
        """Scalar loss of a batch."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long and how fast to learn.

    Attributes:
        steps: optimizer steps in all.
        lr: learning rate of parameters that start at random.
        trunk_lr: learning rate of pretrained layers (names with a part ``layers``).
        warmup: share of the steps in which the rate rises from 0; then it falls linearly to 0.
        weight_decay: of matrices.
        clip: largest gradient norm.
        seed: of everything random.
        checkpoint_minutes: time between checkpoints.
        bf16: run matrix products in bfloat16.
    """

    steps: int
    lr: float = 1e-3
    trunk_lr: float = 1e-4
    warmup: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    checkpoint_minutes: float = 4.0
    bf16: bool = True


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a run reports now and then.

    Attributes:
        step: steps done.
        steps: steps in all.
        loss: mean since the last report.
        seconds: since the loop started.
    """

    step: int
    steps: int
    loss: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Measuring while learning, with an early stop.

    Attributes:
        score: of the model as it is, higher is better; it may put the model into evaluation mode.
        every: steps between two measurements; the last step is measured, too.
        patience: stop after so many measurements in a row without a better one.
    """

    score: Callable[[], float]
    every: int
    patience: int = 1_000_000


@dataclass
class _History:
    """Scores so far, as (step, score)."""

    scores: list[tuple[int, float]] = field(default_factory=list)

    def add(self, step: int, score: float) -> bool:
        """Note a score; whether it is better than all before."""
        is_best = all(score > before for _, before in self.scores)
        self.scores.append((step, score))
        return is_best

    def is_over(self, patience: int) -> bool:
        """Whether the last `patience` scores are no better than one before them."""
        best = max(range(len(self.scores)), key=lambda n: (self.scores[n][1], -n), default=0)
        return len(self.scores) - 1 - best >= patience


def read_history(folder: Path) -> list[tuple[int, float]]:
    """Return the scores that a run noted up to its last checkpoint, as (step, score)."""
    note = folder / _NOTE
    if not note.is_file():
        return []
    values = json.loads(note.read_text(encoding="utf-8")).get("history", [])
    return [(int(step), float(score)) for step, score in values]


def fit(
    model: nn.Module,
    task: Task,
    config: TrainConfig,
    folder: Path,
    *,
    report: Callable[[Progress], None] | None = None,
    every: int = 50,
    stop_after_minutes: float = math.inf,
    evaluation: Evaluation | None = None,
) -> bool:
    """Train `model` in place, from the newest checkpoint in `folder` if there is one.

    Args:
        model: parameters with ``requires_grad`` are trained.
        task: its batches and loss.
        config: rates and sizes; a checkpoint of another one is refused.
        folder: of checkpoints, created when missing.
        report: called every `every` steps.
        every: steps between reports.
        stop_after_minutes: save a checkpoint and return when so much time has passed.
        evaluation: measured now and then; the weights of the best score are in `BEST_FILE`, while
            the model itself keeps the last ones. None measures nothing.

    Returns:
        Whether all steps are done, or no more are needed.

    Raises:
        ConfigError: if the checkpoint belongs to another config.
        TrainingDivergedError: at a loss that is not a number; the last checkpoint stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(_groups(named, config), betas=(0.9, 0.98), fused=False)
    step = _resume(folder, named, optimizer, config)
    history = _History(read_history(folder))
    schedule = _schedule(config)
    started = saved = time.monotonic()
    total, count = 0.0, 0
    model.train()
    try:
        while step < config.steps and not (evaluation and history.is_over(evaluation.patience)):
            torch.manual_seed(config.seed * 1_000_003 + step)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule(step)
            with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
                loss = task.loss(task.batch(step))
            if not torch.isfinite(loss):
                raise TrainingDivergedError(
                    f"the loss is {loss.item()} at step {step}; lower lr, the last good "
                    f"checkpoint is in {folder}"
                )
            loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no hints
            nn.utils.clip_grad_norm_([p for _, p in named], config.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            total, count = total + loss.item(), count + 1
            now = time.monotonic()
            if report is not None and (step % every == 0 or step == config.steps):
                mean = total / count
                report(Progress(step=step, steps=config.steps, loss=mean, seconds=now - started))
                total, count = 0.0, 0
            is_due = now - saved > config.checkpoint_minutes * 60 or step == config.steps
            if evaluation and (step % evaluation.every == 0 or step == config.steps):
                if history.add(step, evaluation.score()):
                    _save_best(folder, named)
                model.train()
                is_due = True
            if is_due:
                _save(folder, named, optimizer, step, config, history)
                saved = now
            if now - started > stop_after_minutes * 60:
                _save(folder, named, optimizer, step, config, history)
                break
    except KeyboardInterrupt:
        # Between two steps or inside one: parameters change in one call, so they are whole.
        _save(folder, named, optimizer, step, config, history)
        raise
    model.eval()
    return step >= config.steps or bool(evaluation and history.is_over(evaluation.patience))


def _groups(named: list[tuple[str, nn.Parameter]], config: TrainConfig) -> list[dict[str, object]]:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        peak = config.trunk_lr if "layers" in name.split(".") else config.lr
        decay = config.weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((peak, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": 0.0, "peak": peak, "weight_decay": decay}
        for (peak, decay), parameters in groups.items()
    ]


def _schedule(config: TrainConfig) -> Callable[[int], float]:
    rise = max(1, int(config.warmup * config.steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return max(0.02, (config.steps - step) / max(1, config.steps - rise))

    return factor


def _save_best(folder: Path, named: list[tuple[str, nn.Parameter]]) -> None:
    partial = folder / f"{BEST_FILE}.partial"
    save_file({name: value.detach().contiguous() for name, value in named}, partial)
    partial.replace(folder / BEST_FILE)


def _save(
    folder: Path,
    named: list[tuple[str, nn.Parameter]],
    optimizer: torch.optim.Optimizer,
    step: int,
    config: TrainConfig,
    history: _History,
) -> None:
    tensors = {f"model.{name}": parameter.detach() for name, parameter in named}
    for name, parameter in named:
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}.{name}"] = torch.as_tensor(value).detach()
    partial = folder / "checkpoint.partial"
    save_file({name: value.contiguous() for name, value in tensors.items()}, partial)
    values = {"step": step, "config": asdict(config), "history": history.scores}
    note = json.dumps(values, indent=1)
    (folder / f"{_NOTE}.partial").write_text(note + "\n", encoding="utf-8")
    partial.replace(folder / f"checkpoint-{step}.safetensors")
    (folder / f"{_NOTE}.partial").replace(folder / _NOTE)
    for old in folder.glob("checkpoint-*.safetensors"):
        if old.name != f"checkpoint-{step}.safetensors":
            old.unlink()


def _resume(
    folder: Path,
    named: list[tuple[str, nn.Parameter]],
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
) -> int:
    note = folder / _NOTE
    if not note.is_file():
        return 0
    found = json.loads(note.read_text(encoding="utf-8"))
    if found["config"] != asdict(config):
        raise ConfigError(
            f"{note} belongs to a run with {found['config']}, expected {asdict(config)}; give "
            "another folder or delete it"
        )
    step = int(found["step"])
    tensors = load_file(folder / f"checkpoint-{step}.safetensors")
    with torch.no_grad():
        for name, parameter in named:
            parameter.copy_(tensors[f"model.{name}"])
            state = {
                key: tensors[f"{key}.{name}"].clone()
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{key}.{name}" in tensors
            }
            if state:
                optimizer.state[parameter] = state
    return step
