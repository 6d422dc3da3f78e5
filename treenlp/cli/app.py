"""The commands. Each reads lines, asks the pipeline and prints; what it knows is elsewhere."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from treenlp.cli import lines as lines_of
from treenlp.cli.bench import app as bench
from treenlp.cli.data import app as data
from treenlp.cli.experiment import app as experiment
from treenlp.cli.gate import evaluate
from treenlp.cli.training import train
from treenlp.errors import TreenlpError

if TYPE_CHECKING:
    from treenlp.pipeline import Options, Pipeline

__all__ = ["app", "run"]

app = typer.Typer(
    name="treenlp",
    help="Every plausible tree of a Chinese or English sentence, and what each of them means.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Texts = Annotated[
    list[str] | None,
    typer.Argument(help="Texts; without any, lines of -f or of standard input.", metavar="TEXT"),
]
Files = Annotated[
    list[Path] | None,
    typer.Option("-f", "--file", help="File of lines; - is standard input. May be repeated."),
]
Lang = Annotated[
    Literal["auto", "zh", "en"], typer.Option("--lang", help="Language of every sentence.")
]
Tokenized = Annotated[
    bool,
    typer.Option("--tokenized", help="A line is a sentence; white space separates its words."),
]
Model = Annotated[str, typer.Option("--model", help="Name or directory of a model.")]
Device = Annotated[str, typer.Option("--device", help="A torch device, such as cpu or cuda.")]
Lexicon = Annotated[
    Path | None,
    typer.Option("--lexicon", help="Table of words, and of words that agree, of your own."),
]
BatchSize = Annotated[
    int, typer.Option("--batch-size", min=1, help="Sentences that go through together.")
]
MinProb = Annotated[
    float,
    typer.Option("--min-prob", min=0.0, max=1.0, help="Least probability of a listed reading."),
]
Jsonl = Annotated[bool, typer.Option("--jsonl", help="One JSON object for each text.")]

DEFAULT_MODEL = "zh-en-1"


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Every plausible tree of a Chinese or English sentence, and what each of them means."""
    if version:
        from treenlp import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.command()
def analyze(
    texts: Texts = None,
    file: Files = None,
    jsonl: Jsonl = False,
    k: Annotated[int, typer.Option("-k", min=1, help="Most readings listed.")] = 5,
    min_prob: MinProb = 0.05,
    lang: Lang = "auto",
    tokenized: Tokenized = False,
    model: Model = DEFAULT_MODEL,
    device: Device = "cpu",
    lexicon: Lexicon = None,
    batch_size: BatchSize = 32,
) -> None:
    """Show every plausible reading of each text, its probability and its sentiment."""
    options: Options = {"k": k, "min_prob": min_prob, "lang": lang, "tokenized": tokenized}
    found = _source(texts, file)
    nlp = _load(model, device, lexicon)
    failed = 0
    show: Callable[..., str] | None = None
    painter: Any = None
    if not jsonl:
        from treenlp.cli.show import Painter, show_analysis

        show, painter = show_analysis, Painter(is_coloured=_is_coloured())
    with _answering() as progress:
        for analysis in nlp.pipe(found, batch_size=_batch(texts, file, batch_size), **options):
            failed += analysis.error is not None
            _write(analysis.to_json() + "\n" if show is None else show(analysis, painter))
            progress()
    _finish(failed)


@app.command()
def parse(
    texts: Texts = None,
    file: Files = None,
    k: Annotated[
        int | None,
        typer.Option("-k", min=1, help="Print the k best readings as probability, tab, tree."),
    ] = None,
    min_prob: Annotated[
        float,
        typer.Option("--min-prob", min=0.0, max=1.0, help="Least probability of one, with -k."),
    ] = 0.0,
    lang: Lang = "auto",
    tokenized: Tokenized = False,
    model: Model = DEFAULT_MODEL,
    device: Device = "cpu",
    lexicon: Lexicon = None,
    batch_size: BatchSize = 32,
) -> None:
    """Print one Penn-bracket tree a sentence."""
    options: Options = {"k": k or 1, "min_prob": min_prob, "lang": lang, "tokenized": tokenized}
    found = _source(texts, file)
    nlp = _load(model, device, lexicon, trees_only=True)
    failed = 0
    with _answering() as progress:
        size = _batch(texts, file, batch_size)
        outcomes = nlp.pipe_trees(found, batch_size=size, with_probs=k is not None, **options)
        for number, outcome in enumerate(outcomes, start=1):
            sentences = outcome.value or ()
            if outcome.error is not None:
                failed += 1
                _complain(number, outcome.error)
            if not sentences and (outcome.error is not None or tokenized):
                _write("\n")
            for trees in sentences:
                if k is None:
                    _write(f"{trees[0].tree}\n")
                else:
                    _write("".join(f"{t.prob:.6f}\t{t.tree}\n" for t in trees) + "\n")
            progress()
    _finish(failed)


@app.command()
def sentiment(
    texts: Texts = None,
    file: Files = None,
    jsonl: Jsonl = False,
    k: Annotated[int, typer.Option("-k", min=1, help="Most readings to average over.")] = 5,
    min_prob: MinProb = 0.05,
    phrases: Annotated[
        bool, typer.Option("--phrases", help="Add the sentiment of every phrase.")
    ] = False,
    lang: Lang = "auto",
    tokenized: Tokenized = False,
    model: Model = DEFAULT_MODEL,
    device: Device = "cpu",
    lexicon: Lexicon = None,
    batch_size: BatchSize = 32,
) -> None:
    """Print score, label and text, one line a text; nan and error for a text that fails."""
    from treenlp.cli.show import Painter, printable, show_phrases

    options: Options = {
        "k": k,
        "min_prob": min_prob,
        "lang": lang,
        "tokenized": tokenized,
        "phrases": phrases,
    }
    found = _source(texts, file)
    nlp = _load(model, device, lexicon)
    painter = Painter(is_coloured=_is_coloured())
    failed = 0
    with _answering() as progress:
        analyses = nlp.pipe(found, batch_size=_batch(texts, file, batch_size), **options)
        for number, analysis in enumerate(analyses, start=1):
            failed += analysis.error is not None
            if jsonl:
                _write(analysis.to_json(keys=("text", "sentiment", "error")) + "\n")
            elif analysis.error is not None:
                _complain(number, analysis.error)
                _write(f"nan\terror\t{printable(analysis.text)}\n")
            else:
                score = analysis.sentiment.score
                label = f"{score:+.2f}\t{analysis.sentiment.label}"
                _write(f"{painter.score(label, score)}\t{printable(analysis.text)}\n")
                if phrases:
                    _write(show_phrases(analysis, painter))
            progress()
    _finish(failed)


@app.command()
def similarity(
    texts: Annotated[
        list[str] | None, typer.Argument(help="Two texts.", metavar="FIRST SECOND")
    ] = None,
    tsv: Annotated[
        bool, typer.Option("--tsv", help="Lines of two texts with a tab between them.")
    ] = False,
    file: Files = None,
    lang: Lang = "auto",
    tokenized: Tokenized = False,
    model: Model = DEFAULT_MODEL,
    device: Device = "cpu",
    lexicon: Lexicon = None,
    batch_size: BatchSize = 32,
) -> None:
    """Print how much alike two texts are, 0 to 1; nan for a pair that fails."""
    if tsv == bool(texts) or (not tsv and len(texts or ()) != 2):
        raise typer.BadParameter("give two texts, or --tsv and lines of two texts")
    rows = lines_of.source((), file or ()) if tsv else iter([_row(texts or [])])
    nlp = _load(model, device, lexicon)
    failed = 0
    with _answering() as progress:
        outcomes = nlp.pipe_similarity_rows(
            rows,
            batch_size=_batch(texts, file, batch_size),
            lang=lang,
            tokenized=tokenized,
        )
        for number, outcome in enumerate(outcomes, start=1):
            if outcome.value is None:
                failed += 1
                _complain(number, outcome.error or "no similarity")
                _write("nan\n")
            else:
                _write(f"{outcome.value:.4f}\n")
            progress()
    _finish(failed)


@app.command()
def models() -> None:
    """List the models at hand: size, licence of the weights, folder, what they learned from."""
    from treenlp.catalogue import shipped_models

    found = shipped_models()
    for card in found:
        size, data = f"{card.size / 1e6:.1f} MB", ", ".join(card.data) or "see card.md"
        _write(f"{card.name}\t{size}\t{card.licence}\t{card.directory}\t{data}\n")
    if not found:
        typer.echo("no model is installed; see experiments/ for the recipe", err=True)
        raise typer.Exit(1)


@app.command()
def demo(model: Model = DEFAULT_MODEL, device: Device = "cpu") -> None:
    """Show what treenlp does: ambiguous phrases, an English review, and two pairs."""
    from treenlp.cli.show import Painter, show_analysis

    nlp = _load(model, device)
    painter = Painter(is_coloured=_is_coloured())
    with _answering() as progress:
        for analysis in nlp.pipe(DEMO_TEXTS):
            _write(show_analysis(analysis, painter))
            progress()
        for (first, second), outcome in zip(
            DEMO_PAIRS, nlp.pipe_similarity(DEMO_PAIRS), strict=True
        ):
            _write(f"{outcome.value:.2f}\t{first}\t{second}\n")


app.command()(train)
app.command()(evaluate)
app.add_typer(bench, name="bench")
app.add_typer(data, name="data")
app.add_typer(experiment, name="experiment")


DEMO_TEXTS = (
    "两个大学的老师",
    "两所大学的老师",
    "两位大学的老师",
    "The plot is thin, but the actors are wonderful.",
)
DEMO_PAIRS = (
    ("A boy is kicking a ball.", "A child plays with a football."),
    ("A boy is kicking a ball.", "The bank closes at noon."),
)


def _load(
    model: str, device: str, lexicon: Path | None = None, *, trees_only: bool = False
) -> Pipeline:
    from treenlp.pipeline import load

    return load(model, device=device, lexicon=lexicon, trees_only=trees_only)


def _source(texts: list[str] | None, files: list[Path] | None) -> Iterator[bytes]:
    return lines_of.source(texts or (), files or ())


def _batch(texts: list[str] | None, files: list[Path] | None, batch_size: int) -> int:
    """Answer a person who types line by line at once."""
    return 1 if not texts and not files and sys.stdin.isatty() else batch_size


def _row(texts: list[str]) -> bytes:
    """Two arguments as a row; white space of theirs is no column."""
    return b"\t".join(text.replace(b"\t", b" ") for text in lines_of.from_arguments(texts))


def _is_coloured() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def _write(text: str) -> None:
    sys.stdout.write(text)


def _complain(number: int, message: str) -> None:
    typer.echo(f"treenlp: line {number}: {message}", err=True)


def _finish(failed: int) -> None:
    if failed:
        raise typer.Exit(1)


@contextmanager
def _answering() -> Iterator[Callable[[], None]]:
    """Count answers on standard error if a person looks there and not at standard output."""
    with lines_of.closing_quietly():
        if not sys.stderr.isatty() or sys.stdout.isatty():
            yield sys.stdout.flush if sys.stdout.isatty() else _nothing
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.completed:.0f} lines"),
            TimeElapsedColumn(),
        )
        console = Console(stderr=True)
        with Progress(
            *columns,
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as bar:
            task = bar.add_task("lines", total=None)
            yield lambda: bar.advance(task)


def _nothing() -> None:
    """Count nothing."""


def run() -> None:
    """Run the command line; errors of ours are one line, Ctrl-C and a closed pipe are silent."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    try:
        app()
    except TreenlpError as error:
        typer.echo(f"treenlp: {error}", err=True)
        sys.exit(1)
