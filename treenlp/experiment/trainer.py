"""The one training loop: every model is a `Task` with batches that depend on the step alone.

Because a batch is a function of (seed, step), a run that was killed resumes to the numbers of an
uninterrupted one: the checkpoint holds parameters, optimizer and step, nothing else is needed. For
the same reason several processes that share the batches of a step give the numbers of one.
Checkpoints are safetensors plus JSON, written beside the old ones and then renamed. With an
`Evaluation` the loop measures as it goes, keeps the best weights and stops when nothing improves.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from treenlp.encoder.device import has_fast_bfloat16
from treenlp.errors import ConfigError, TreenlpError
from treenlp.experiment.processes import Processes

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

    def batch(self, number: int, /) -> object:
        """A batch: the same for the same number, whatever was asked before.

        Step n learns from the batches n k to n k + k - 1, where k is `batches_per_step`.
        """

    def loss(self, batch: object) -> Tensor:
        """Scalar loss of a batch."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long and how fast to learn.

    Attributes:
        steps: optimizer steps in all.
        batches_per_step: batches whose mean loss a step follows; several processes share them.
        lr: learning rate of parameters that start at random.
        trunk_lr: learning rate of pretrained layers (names with a part ``layers``), but not of
            low-rank changes of them, which start at random.
        warmup: share of the steps in which the rate rises from 0; then it falls linearly to 0.
        weight_decay: of matrices.
        clip: largest gradient norm.
        seed: of everything random.
        checkpoint_minutes: time between checkpoints.
        bf16: run matrix products in bfloat16; None: where the processor has it.
    """

    steps: int
    batches_per_step: int = 1
    lr: float = 1e-3
    trunk_lr: float = 1e-4
    warmup: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    checkpoint_minutes: float = 4.0
    bf16: bool | None = None

    @property
    def batches(self) -> int:
        """Batches of the whole run."""
        return self.steps * self.batches_per_step


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
        ConfigError: if the checkpoint belongs to another config, or the batches of a step cannot
            be shared out to the processes.
        TrainingDivergedError: at a loss that is not a number; the last checkpoint stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes.current()
    own = processes.share(config.batches_per_step)
    if not processes.is_first:
        report = None
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(_groups(named, config), betas=(0.9, 0.98), fused=True)
    step = _resume(folder, named, optimizer, config)
    history = _History(read_history(folder))
    schedule = _schedule(config)
    started = saved = time.monotonic()
    total, count = 0.0, 0
    model.train()
    try:
        while step < config.steps and not (evaluation and history.is_over(evaluation.patience)):
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule(step)
            loss = sum(_learn(task, step * config.batches_per_step + n, config) for n in own)
            is_late = time.monotonic() - started > stop_after_minutes * 60
            loss, is_late = _joined(processes, [p for _, p in named], loss, is_late)
            if not math.isfinite(loss):
                raise TrainingDivergedError(
                    f"the loss is {loss} at step {step}; lower lr, the last good checkpoint is in "
                    f"{folder}"
                )
            nn.utils.clip_grad_norm_([p for _, p in named], config.clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            total, count = total + loss, count + 1
            now = time.monotonic()
            if report is not None and (step % every == 0 or step == config.steps):
                mean = total / count
                report(Progress(step=step, steps=config.steps, loss=mean, seconds=now - started))
                total, count = 0.0, 0
            is_due = now - saved > config.checkpoint_minutes * 60 or step == config.steps
            if evaluation and (step % evaluation.every == 0 or step == config.steps):
                if history.add(step, evaluation.score()) and processes.is_first:
                    _save_best(folder, named)
                model.train()
                is_due = True
            if (is_due or is_late) and processes.is_first:
                _save(folder, named, optimizer, step, config, history)
                saved = now
            if is_late:
                break
    except KeyboardInterrupt:
        # Between two steps or inside one: parameters change in one call, so they are whole.
        if processes.is_first:
            _save(folder, named, optimizer, step, config, history)
        raise
    processes.wait()
    model.eval()
    return step >= config.steps or bool(evaluation and history.is_over(evaluation.patience))


def _learn(task: Task, number: int, config: TrainConfig) -> float:
    """Add the gradients of one batch, as its share of a step; return its share of the loss."""
    torch.manual_seed(config.seed * 1_000_003 + number)
    bf16 = has_fast_bfloat16() if config.bf16 is None else config.bf16
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = task.loss(task.batch(number)) / config.batches_per_step
    if torch.isfinite(loss):
        loss.backward()  # type: ignore[no-untyped-call]  # torch gives it no hints
    return loss.item()


def _joined(
    processes: Processes, parameters: Sequence[nn.Parameter], loss: float, is_late: bool
) -> tuple[float, bool]:
    """Add up gradients and losses of all processes; late is late for all."""
    if processes.count == 1:
        return loss, is_late
    used = [float(parameter.grad is not None) for parameter in parameters]
    told = torch.tensor([loss, float(is_late), *used])
    processes.add_up([told])
    gradients = []
    for parameter, number in zip(parameters, told[2:].tolist(), strict=True):
        if number:  # what no batch used has no gradient, as in one process
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    processes.add_up(gradients)
    return told[0].item(), bool(told[1] > 0)


def _groups(named: list[tuple[str, nn.Parameter]], config: TrainConfig) -> list[dict[str, object]]:
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        *parents, own = name.split(".")
        is_pretrained = "layers" in parents and own not in ("down", "up")
        peak = config.trunk_lr if is_pretrained else config.lr
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
            # a copy, on the parameter's device; the optimizer counts steps on the CPU
            state = {
                key: tensors[f"{key}.{name}"].to(
                    "cpu" if key == "step" else parameter.device, copy=True
                )
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{key}.{name}" in tensors
            }
            if state:
                optimizer.state[parameter] = state
    return step
