"""What a model costs: sentences a second, memory, size, and the time to the first answer.

Each measure runs in a fresh process, so that memory and imports are those of a user's program.
Timings depend on the machine; the cold start is given as a ratio to importing torch, which does
not travel badly. They take no part in the gate.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from treenlp.data.sentiment import read_reviews, read_sst
from treenlp.errors import ModelError
from treenlp.experiment.scores import weight_digests

__all__ = ["Bench", "bench", "cold_start", "english_lines", "review_lines", "throughput"]

_LINES = 300
_ANALYZED_LINES = 40  # an analysis looks at many trees of every sentence
_ROUNDS = 5

# Read JSON from standard input, answer, and write JSON on the last line of standard output.
_WORK = """
import json, resource, sys, time
asked = json.load(sys.stdin)
import torch
torch.set_num_threads(asked["threads"])
import treenlp
nlp = treenlp.load(asked["model"])
def parse(lines):
    return sum(len(o.value or ()) for o in nlp.pipe_trees(lines))
def analyze(lines):
    return sum(len(a.sentences) for a in nlp.pipe(lines))
work = {"parse": parse, "analyze": analyze}[asked["task"]]
work(asked["warm"])
best, count = float("inf"), 0
for _ in range(asked["rounds"]):
    start = time.perf_counter()
    count = work(asked["lines"])
    best = min(best, time.perf_counter() - start)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.platform != "darwin":
    peak *= 1024
print()
print(json.dumps({"sentences": count, "seconds": best, "peak_bytes": peak}))
"""

_IMPORT = "import torch"
_ANSWER = """
import sys, treenlp
analysis = treenlp.load(sys.argv[1])(sys.argv[2])
if analysis.error is not None:
    sys.exit(analysis.error)
"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a model costs on this machine.

    Attributes:
        model: folder name of the model.
        threads: of torch.
        processor: as the operating system names it.
        bytes: of all files of the model.
        parse_zh: sentences a second, raw Chinese reviews to best trees.
        parse_en: sentences a second, raw English to best trees.
        analyze_zh: sentences a second, raw Chinese reviews to readings, sites and sentiment.
        analyze_en: the same of raw English, whose phrases are read by themselves, too.
        peak_bytes: largest resident memory of a process that analyses reviews, English, and a
            line of 20,000 characters without a space.
        first_answer_s: seconds from starting Python to the first answer, median.
        import_torch_s: seconds from starting Python to an imported torch, median.
    """

    model: str
    threads: int
    processor: str
    bytes: int
    parse_zh: float
    parse_en: float
    analyze_zh: float
    analyze_en: float
    peak_bytes: int
    first_answer_s: float
    import_torch_s: float

    @property
    def cold_start_ratio(self) -> float:
        """Time to the first answer as a multiple of importing torch."""
        return self.first_answer_s / self.import_torch_s

    def to_json(self) -> str:
        """Write the numbers as indented JSON."""
        values = {**asdict(self), "cold_start_ratio": round(self.cold_start_ratio, 3)}
        for name, value in values.items():
            if isinstance(value, float):
                values[name] = round(value, 3)
        return json.dumps(values, ensure_ascii=False, indent=1) + "\n"


def review_lines(number: int = _LINES) -> list[str]:
    """Return raw Chinese hotel reviews of the tune part."""
    reviews = (r for r in read_reviews("tune") if "ChnSentiCorp" in r.sets)
    return [" ".join(review.text.split()) for review in islice(reviews, number)]


def english_lines(number: int = _LINES) -> list[str]:
    """Return English sentences of film reviews as running text."""
    return [item.text for item in islice(read_sst("dev"), number)]


def throughput(
    folder: Path,
    lines: Sequence[str],
    *,
    task: str = "parse",
    threads: int = 2,
    rounds: int = 2,
    timeout: float = 1800.0,
) -> Mapping[str, float]:
    """Run lines through a fresh process.

    Args:
        folder: of the model.
        lines: raw texts.
        task: "parse" for best trees, "analyze" for everything.
        threads: of torch.
        rounds: times all lines are run; the fastest counts.
        timeout: seconds after which to give up.

    Returns:
        "sentences", "seconds" (of the fastest round, loading left out) and "peak_bytes".

    Raises:
        ModelError: if the process fails.
    """
    asked = {
        "model": str(folder.resolve()),
        "lines": list(lines),
        "warm": list(lines[:16]),
        "task": task,
        "threads": threads,
        "rounds": rounds,
    }
    found = _run([sys.executable, "-c", _WORK], json.dumps(asked), threads, timeout)
    answer: dict[str, float] = json.loads(found.splitlines()[-1])
    return answer


def cold_start(
    folder: Path, *, text: str = "两个大学的老师", rounds: int = _ROUNDS, threads: int = 2
) -> tuple[float, float]:
    """Time fresh processes: to the first answer, and to an imported torch, in turn.

    Args:
        folder: of the model.
        text: what is analysed.
        rounds: processes of each kind; the medians count, after one of each that does not.
        threads: of torch.

    Returns:
        Seconds to the first answer, and seconds to import torch.

    Raises:
        ModelError: if a process fails.
    """
    answers, imports = [], []
    for turn in range(rounds + 1):
        first = _time([sys.executable, "-c", _ANSWER, str(folder.resolve()), text], threads)
        second = _time([sys.executable, "-c", _IMPORT], threads)
        if turn:
            answers.append(first)
            imports.append(second)
    return statistics.median(answers), statistics.median(imports)


def bench(
    folder: Path, *, threads: int = 2, report: Callable[[str, int, int], None] | None = None
) -> Bench:
    """Measure all of it; two or three minutes on two cores.

    Args:
        folder: of the model.
        threads: of torch.
        report: gets what has been measured, the number of parts done and the number of all.

    Raises:
        DataError: if reference data is missing.
        ModelError: if the model cannot be loaded or a process fails.
    """
    size = sum((folder / name).stat().st_size for name in weight_digests(folder))
    chinese, english = review_lines(), english_lines()
    long_line = "".join("".join(line.split()) for line in chinese)[:20_000]
    few = chinese[:_ANALYZED_LINES]
    runs: dict[str, tuple[str, Sequence[str], int]] = {
        "parse_zh": ("parse", chinese, 2),
        "parse_en": ("parse", english, 2),
        "analyze_zh": ("analyze", few, 1),
        "analyze_en": ("analyze", english[:_ANALYZED_LINES], 1),
        "long line": ("analyze", [*few, *english[:_ANALYZED_LINES], long_line], 1),
    }

    def told(what: str, done: int) -> None:
        if report is not None:
            report(what, done, len(runs) + 1)

    found: dict[str, Mapping[str, float]] = {}
    for name, (task, lines, rounds) in runs.items():
        found[name] = throughput(folder, lines, task=task, threads=threads, rounds=rounds)
        told(name, len(found))
    answer, torch = cold_start(folder, threads=threads)
    told("cold start", len(runs) + 1)
    rates = {name: row["sentences"] / row["seconds"] for name, row in found.items()}
    return Bench(
        model=folder.name,
        threads=threads,
        processor=_processor(),
        bytes=size,
        parse_zh=rates["parse_zh"],
        parse_en=rates["parse_en"],
        analyze_zh=rates["analyze_zh"],
        analyze_en=rates["analyze_en"],
        peak_bytes=int(max(row["peak_bytes"] for row in found.values())),
        first_answer_s=answer,
        import_torch_s=torch,
    )


def _run(command: Sequence[str], text: str, threads: int, timeout: float) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        raise ModelError(
            f"a process of the bench failed with status {done.returncode}:\n{done.stderr[-2000:]}"
        )
    return done.stdout


_TIMED = """
import subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
seconds = time.perf_counter() - start
sys.stderr.buffer.write(done.stderr)
print(seconds)
sys.exit(done.returncode)
"""


def _time(command: Sequence[str], threads: int) -> float:
    """Seconds of a process, started from a small one: a large one takes long to fork."""
    return float(_run([sys.executable, "-S", "-c", _TIMED, *command], "", threads, 600.0))


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
