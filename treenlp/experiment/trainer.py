"""The one training loop: every model is a `Task` with batches that depend on the step alone.

Because a batch is a function of (seed, step), a run that was killed resumes to the numbers of an
uninterrupted one: the checkpoint holds parameters, optimizer and step, nothing else is needed.
Checkpoints are safetensors plus JSON, written beside the old ones and then renamed.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from treenlp.errors import ConfigError, TreenlpError

__all__ = ["Progress", "Task", "TrainConfig", "TrainingDivergedError", "fit"]


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


def fit(
    model: nn.Module,
    task: Task,
    config: TrainConfig,
    folder: Path,
    *,
    report: Callable[[Progress], None] | None = None,
    every: int = 50,
    stop_after_minutes: float = math.inf,
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

    Returns:
        Whether all steps are done.

    Raises:
        ConfigError: if the checkpoint belongs to another config.
        TrainingDivergedError: at a loss that is not a number; the last checkpoint stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(_groups(named, config), betas=(0.9, 0.98), fused=False)
    step = _resume(folder, named, optimizer, config)
    schedule = _schedule(config)
    started = saved = time.monotonic()
    total, count = 0.0, 0
    model.train()
    try:
        while step < config.steps:
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
            if now - saved > config.checkpoint_minutes * 60 or step == config.steps:
                _save(folder, named, optimizer, step, config)
                saved = now
            if now - started > stop_after_minutes * 60:
                _save(folder, named, optimizer, step, config)
                break
    except KeyboardInterrupt:
        # Between two steps or inside one: parameters change in one call, so they are whole.
        _save(folder, named, optimizer, step, config)
        raise
    model.eval()
    return step >= config.steps


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


def _save(
    folder: Path,
    named: list[tuple[str, nn.Parameter]],
    optimizer: torch.optim.Optimizer,
    step: int,
    config: TrainConfig,
) -> None:
    tensors = {f"model.{name}": parameter.detach() for name, parameter in named}
    for name, parameter in named:
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}.{name}"] = torch.as_tensor(value).detach()
    partial = folder / "checkpoint.partial"
    save_file({name: value.contiguous() for name, value in tensors.items()}, partial)
    note = json.dumps({"step": step, "config": asdict(config)}, indent=1)
    (folder / "checkpoint.json.partial").write_text(note + "\n", encoding="utf-8")
    partial.replace(folder / f"checkpoint-{step}.safetensors")
    (folder / "checkpoint.json.partial").replace(folder / "checkpoint.json")
    for old in folder.glob("checkpoint-*.safetensors"):
        if old.name != f"checkpoint-{step}.safetensors":
            old.unlink()


def _resume(
    folder: Path,
    named: list[tuple[str, nn.Parameter]],
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
) -> int:
    note = folder / "checkpoint.json"
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
