"""Text in, `Analysis` out: the object that the command line, a service and estimators share.

Lines stream through in windows. The sentences of a window's lines are put into batches by
length, whatever line they come from, analysed down to plain values, and handed out in the order
in which the lines came; so memory is bounded by a window and not by the stream. What goes wrong
with one line is said in that line's record and costs no other line anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypedDict, TypeVar, Unpack

from treenlp.analysis import (
    NEUTRAL,
    Alternative,
    Ambiguity,
    Analysis,
    ReadingView,
    SentenceView,
    Sentiment,
    SiteView,
    SpanView,
    TokenView,
)
from treenlp.catalogue import model_directory
from treenlp.disambiguation import (
    Sites,
    find_sites,
    heed_context,
    may_be_decided,
    may_count,
)
from treenlp.encoder.device import check_device, has_fast_bfloat16
from treenlp.errors import ConfigError, InputError, ModelError, TreenlpError
from treenlp.parsing.parser import JOINT, join_stretches, load_parser, load_trunk
from treenlp.tasks.reader import TreeMeaning, load_meaning
from treenlp.text import Document, Sentence, detect_language
from treenlp.trees.tree import Tree

if TYPE_CHECKING:
    from treenlp.parsing.forest import Forest
    from treenlp.parsing.readings import Reading

__all__ = [
    "Analysis",
    "Frontend",
    "Meaning",
    "Options",
    "Outcome",
    "Pipeline",
    "TreeOption",
    "load",
]

_WINDOW_BATCHES = 8
_WINDOW_CHARACTERS = 60_000
_BATCH_CELLS = 160_000  # fenceposts squared, summed over a batch: bounds the chart's memory
_PART_ATOMS = 64  # a sentence that has to be cut is cut finer: time grows faster than length
_MOST_TREES, _FEWEST_TREES = 128, 16
_READING_ATOMS = 1_000  # trees looked at for readings, times atoms
_CONTEXT = 2  # sentences after one that may decide how it is read
_SITE_ATOMS = 2_500  # trees looked at for sites, which remain when readings multiply


class Frontend(Protocol):
    """What the pipeline asks of a parser."""

    @property
    def max_atoms(self) -> int:
        """Length of the longest sentence that fits one chart."""

    def forests(self, sentences: Sequence[Sentence]) -> Sequence[Forest]:
        """Return the forest of every sentence."""

    def parse(self, sentences: Sequence[Sentence]) -> Sequence[Tree]:
        """Return the best tree of every sentence."""


class Meaning(Protocol):
    """What the pipeline asks of the meaning model."""

    def judge(
        self,
        sentences: Sequence[Sentence],
        trees: Sequence[Sequence[Tree]],
        *,
        spans: bool = True,
    ) -> Sequence[Sequence[TreeMeaning]]:
        """Compose every tree of every sentence, and judge the nodes if `spans`."""

    def judge_texts(self, texts: Sequence[Sequence[TreeMeaning]]) -> Sequence[Sequence[float]]:
        """Return five sentiment probabilities for every text from its sentences."""

    def similarity(
        self, pairs: Sequence[tuple[Sequence[TreeMeaning], Sequence[TreeMeaning]]]
    ) -> Sequence[float]:
        """Return the similarity in [0, 1] of every pair of texts."""

    def expect(self, meanings: Sequence[TreeMeaning], weights: Sequence[float]) -> TreeMeaning:
        """Return the expected vectors and sentiment of one sentence over its readings."""


class Options(TypedDict, total=False):
    """What can be asked about each text.

    Attributes:
        k: the most readings listed, at least 1; 5 unless said otherwise.
        min_prob: the least probability of a listed reading, in [0, 1], 0.05 unless said
            otherwise; the best is always listed.
        lang: language of every sentence, or "auto".
        tokenized: whether white space separates words that are to be kept, one sentence a line.
        phrases: whether phrases are judged, as they are unless said otherwise; without, the
            sentiment of every span is given as 0, and English takes less time.
    """

    k: int
    min_prob: float
    lang: Literal["auto", "zh", "en"]
    tokenized: bool
    phrases: bool


@dataclass(frozen=True, kw_only=True)
class _Request:
    """Options with their defaults, checked."""

    k: int = 5
    min_prob: float = 0.05
    lang: Literal["auto", "zh", "en"] = "auto"
    tokenized: bool = False
    phrases: bool = True

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"found k = {self.k}, expected at least 1")
        if not 0.0 <= self.min_prob <= 1.0:
            raise ConfigError(f"found min_prob = {self.min_prob}, expected 0 to 1")
        if self.lang not in ("auto", "zh", "en"):
            raise ConfigError(f"found lang = {self.lang!r}, expected one of: auto, zh, en")


@dataclass(frozen=True, kw_only=True)
class TreeOption:
    """A tree of a sentence with its posterior, 1 of which is shared by all its trees."""

    tree: Tree
    prob: float


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[T]):
    """What became of one line of a stream.

    Attributes:
        text: the line.
        value: the answer, or None after an error.
        error: what went wrong, or None.
    """

    text: str
    value: T | None
    error: str | None


@dataclass
class _Line:
    """A line on its way; `units` are its sentences, each as the stretches that are parsed."""

    text: str
    lang: str = "en"
    sentences: tuple[Sentence, ...] = ()
    units: list[list[_Unit]] = field(default_factory=list)
    error: str | None = None


@dataclass
class _Unit:
    """One stretch of a sentence on its way; `result` is set when its batch is through.

    `is_part` says that the sentence has others: it was too long for one chart. `following` are the
    sentences after it, where they may decide how it is read.
    """

    line: _Line
    sentence: Sentence
    is_part: bool
    following: tuple[Sentence, ...] | None = None
    result: object = None


@dataclass(frozen=True, kw_only=True)
class _Parsed:
    """What a forest says about one stretch, before anything is composed."""

    readings: tuple[Reading, ...]
    span_probs: tuple[tuple[float, ...], ...]  # of each reading, as its constituents
    sites: Sites
    omitted: float


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """The answer about one stretch; a whole sentence nearly always is one."""

    sentence: Sentence
    readings: tuple[ReadingView, ...]
    tokens: tuple[TokenView, ...]
    trees: tuple[Tree, ...]
    sites: Sites
    omitted: float
    expected: TreeMeaning


def _explain(error: BaseException) -> str:
    """Say what went wrong: our own errors as they are, others with their kind."""
    if isinstance(error, TreenlpError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _decode(line: str | bytes) -> _Line:
    """Make a line of text, or of bytes that should be UTF-8."""
    if isinstance(line, str):
        return _Line(text=line)
    try:
        return _Line(text=line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return _Line(
            text=line.decode("utf-8", errors="replace"),
            error=f"found byte 0x{line[error.start]:02x} at byte offset {error.start}, which is "
            f"no UTF-8 ({error.reason}); convert the line to UTF-8",
        )


def _columns(row: str | bytes) -> tuple[_Line, _Line]:
    """Cut a row at its tab; what is wrong with it is an error of its first side."""
    line = _decode(row)
    columns = line.text.removesuffix("\n").removesuffix("\r").split("\t")
    if line.error is None and len(columns) != 2:
        line.error = (
            f"found {len(columns)} column{'s' * (len(columns) != 1)}, expected 2; put one tab "
            "between two texts"
        )
    if line.error is not None:
        return line, _Line(text="")
    return _Line(text=columns[0]), _Line(text=columns[1])


def load(
    model: str = "zh-en-1",
    *,
    device: str = "cpu",
    lexicon: str | Path | None = None,
    trees_only: bool = False,
) -> Pipeline:
    """Load a model.

    Args:
        model: name of a shipped model or path of a model's directory.
        device: a torch device, such as "cpu" or "cuda".
        lexicon: path of a table of the caller's own words, or None.
        trees_only: leave the meaning model out; then only `Pipeline.pipe_trees` answers.

    Returns:
        A pipeline that is ready to be called.

    Raises:
        ModelError: if the model is missing, damaged or of another version.
        ConfigError: if torch cannot use the device.

    Example:
        >>> nlp = load()  # doctest: +SKIP
        >>> nlp("两个大学的老师").sentences[0].readings[0].tree  # doctest: +SKIP
        '(NP (QP (CD 两) (CLP (M 个))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))'
    """
    check_device(device)
    directory = model_directory(model)
    trunk = load_trunk(directory, bf16=has_fast_bfloat16(device))
    frontend = load_parser(directory, device, trunk=trunk)
    meaning = None
    if not trees_only:
        meaning = load_meaning(directory, device, trunk=trunk, tokenizer=frontend.tokenizer)
    nlp = Pipeline(frontend=frontend, meaning=meaning, name=directory.name)
    return nlp if lexicon is None else nlp.with_lexicon(lexicon)


class Pipeline:
    """Analyse texts with one parser and one meaning model.

    Attributes:
        name: name of the model.

    Example:
        >>> for analysis in load().pipe(open("reviews.txt", encoding="utf-8")):  # doctest: +SKIP
        ...     print(analysis.sentiment.label)
    """

    def __init__(self, *, frontend: Frontend, meaning: Meaning | None, name: str) -> None:
        """Put the parts together; `load` does it for a shipped model."""
        self._frontend = frontend
        self._loaded_meaning = meaning
        self.name = name

    def __call__(self, text: str | bytes, **options: Unpack[Options]) -> Analysis:
        """Analyse one text of any number of sentences.

        Args:
            text: the text; bytes are taken for UTF-8.
            **options: as `Options` lists them.

        Returns:
            The analysis; its `error` says why if it could not be made.
        """
        return next(self.pipe([text], **options))

    @property
    def _meaning(self) -> Meaning:
        if self._loaded_meaning is None:
            raise ModelError(
                f"the model {self.name!r} was loaded with trees_only, which leaves its meaning "
                "model out; load it without"
            )
        return self._loaded_meaning

    def with_lexicon(self, lexicon: str | Path) -> Pipeline:
        """Return a pipeline that also knows a lexicon of the caller's own; weights are shared.

        Args:
            lexicon: path of a table as `treenlp.lexicon.user` describes it.

        Raises:
            LexiconError: if there is no such file, a row is malformed or a tag is unknown.
            ModelError: if this pipeline's parser takes none.
        """
        extend: Callable[[Path], Frontend] | None = getattr(self._frontend, "with_lexicon", None)
        if extend is None:
            raise ModelError(
                f"found a lexicon for the model {self.name!r}, whose parser takes none; load "
                "the model without one"
            )
        return Pipeline(
            frontend=extend(Path(lexicon)), meaning=self._loaded_meaning, name=self.name
        )

    def pipe(
        self,
        lines: Iterable[str | bytes],
        *,
        batch_size: int = 32,
        **options: Unpack[Options],
    ) -> Iterator[Analysis]:
        r"""Analyse a stream of texts, in order and in bounded memory.

        Args:
            lines: texts; one `\n` at the end, and one `\r` before it, are no part of the text.
            batch_size: the most sentences that go through the model together, at least 1.
            **options: as `Options` lists them.

        Yields:
            One analysis for each text.
        """
        asked = _Request(**options)
        for window in self._windows(map(_decode, lines), asked, batch_size):
            units = [unit for line in window for unit in _stretches(line)]
            self._run(units, batch_size, lambda batch: self._read(batch, asked))
            yield from self._assemble(window)

    def pipe_trees(
        self,
        lines: Iterable[str | bytes],
        *,
        batch_size: int = 32,
        with_probs: bool = False,
        **options: Unpack[Options],
    ) -> Iterator[Outcome[tuple[tuple[TreeOption, ...], ...]]]:
        """Parse a stream of texts, without composing anything.

        Args:
            lines: texts, as `pipe` takes them.
            batch_size: the most sentences that go through the model together, at least 1.
            with_probs: whether trees come with their probabilities; otherwise only the best
                tree of each sentence is searched, and its probability is given as 1.
            **options: as `Options` lists them.

        Yields:
            For each text its sentences, each with its best trees, best first.
        """
        asked = _Request(**options)
        for window in self._windows(map(_decode, lines), asked, batch_size):
            units = [unit for line in window for unit in _stretches(line)]
            self._run(
                units, batch_size, lambda batch: self._trees(batch, asked if with_probs else None)
            )
            for line in window:
                if line.error is not None:
                    yield Outcome(text=line.text, value=None, error=line.error)
                    continue
                value = tuple(
                    _join_options([unit.result for unit in own])  # type: ignore[misc]
                    for own in line.units
                )
                yield Outcome(text=line.text, value=value, error=None)

    def pipe_similarity(
        self,
        pairs: Iterable[tuple[str | bytes, str | bytes]],
        *,
        batch_size: int = 32,
        **options: Unpack[Options],
    ) -> Iterator[Outcome[float]]:
        """Compare a stream of pairs of texts.

        Args:
            pairs: two texts each.
            batch_size: the most sentences that go through the model together, at least 1.
            **options: as `Options` lists them; k and min_prob have no effect.

        Yields:
            For each pair its similarity in [0, 1], or why there is none. `text` is the first
            text, a tab and the second.
        """
        asked = _Request(**options)
        sides = (_decode(side) for pair in pairs for side in pair)
        yield from self._pipe_sides(sides, asked, batch_size)

    def pipe_similarity_rows(
        self, rows: Iterable[str | bytes], *, batch_size: int = 32, **options: Unpack[Options]
    ) -> Iterator[Outcome[float]]:
        """Compare the two columns of each row of a stream; see `pipe_similarity`.

        Args:
            rows: two texts with a tab between them; any other number of columns is an error of
                that row alone.
            batch_size: the most sentences that go through the model together, at least 1.
            **options: as `Options` lists them; k and min_prob have no effect.
        """
        asked = _Request(**options)
        sides = (side for row in rows for side in _columns(row))
        yield from self._pipe_sides(sides, asked, batch_size)

    def _pipe_sides(
        self, sides: Iterable[_Line], request: _Request, batch_size: int
    ) -> Iterator[Outcome[float]]:
        """Compare lines two by two; a window may end between the two."""
        waiting: list[_Line] = []
        for window in self._windows(sides, request, batch_size):
            units = [unit for line in window for unit in _stretches(line)]
            self._run(units, batch_size, self._read_best)
            waiting += window
            ready, waiting = waiting[: len(waiting) // 2 * 2], waiting[len(waiting) // 2 * 2 :]
            yield from self._compare(list(zip(ready[::2], ready[1::2], strict=True)))

    def similarity(self, first: str, second: str) -> float:
        """Compare two texts.

        Returns:
            Their similarity in [0, 1].

        Raises:
            InputError: if one of them cannot be analysed or is blank.
        """
        outcome = next(self.pipe_similarity([(first, second)]))
        if outcome.value is None:
            raise InputError(outcome.error or "found a pair that cannot be compared")
        return outcome.value

    def _windows(
        self, lines: Iterable[_Line], request: _Request, batch_size: int
    ) -> Iterator[list[_Line]]:
        """Cut a stream into windows of whole lines, split into sentences."""
        if batch_size < 1:
            raise ConfigError(f"found batch_size = {batch_size}, expected at least 1")
        limit = 1 if batch_size == 1 else _WINDOW_BATCHES * batch_size
        window: list[_Line] = []
        units = characters = 0
        for line in lines:
            if line.error is None:
                self._split(line, request)
            window.append(line)
            units += max(1, sum(len(stretches) for stretches in line.units))
            characters += len(line.text)
            if units >= limit or characters >= _WINDOW_CHARACTERS:
                yield window
                window, units, characters = [], 0, 0
        if window:
            yield window

    def _split(self, line: _Line, request: _Request) -> None:
        """Cut a line into sentences and these into stretches that fit a chart."""
        line.text = line.text.removesuffix("\n").removesuffix("\r")
        try:
            document = Document.from_text(line.text, lang=request.lang, tokenized=request.tokenized)
            line.lang = detect_language(line.text) if request.lang == "auto" else request.lang
            line.sentences = document.sentences
            parts = [self._parts(sentence) for sentence in document.sentences]
            for at, own in enumerate(parts):
                line.units.append([_Unit(line, part, len(own) > 1) for part in own])
                if len(own) == 1 and may_count(own[0]):
                    later = parts[at + 1 : at + 1 + _CONTEXT]
                    line.units[-1][0].following = tuple(part for part, *_ in later)
        except Exception as error:  # whatever a text does, its neighbours are answered
            line.error = _explain(error)

    def _parts(self, sentence: Sentence) -> list[Sentence]:
        """Cut a sentence into stretches that fit a chart; nearly always it is one."""
        bound = self._frontend.max_atoms
        if sentence.num_atoms > bound:
            bound = min(bound, _PART_ATOMS)
        return sentence.stretches(bound)

    def _run(
        self,
        units: Sequence[_Unit],
        batch_size: int,
        answer: Callable[[Sequence[_Unit]], Sequence[object]],
    ) -> None:
        """Answer units in batches of like length; a batch that fails is tried one by one."""
        for batch in _batches(units, batch_size):
            try:
                results = answer(batch)
            except Exception as error:
                if len(batch) == 1:
                    batch[0].line.error = _explain(error)
                    continue
                for unit in batch:
                    self._run([unit], 1, answer)
                continue
            for unit, result in zip(batch, results, strict=True):
                unit.result = result

    def _trees(self, batch: Sequence[_Unit], request: _Request | None) -> Sequence[object]:
        """Parse a batch: the best trees of each sentence."""
        if request is None:
            return [(TreeOption(tree=tree, prob=1.0),) for tree in self._best_trees(batch)]
        found = []
        for unit, forest in zip(
            batch, self._frontend.forests([unit.sentence for unit in batch]), strict=True
        ):
            readings = self._heeded(unit, forest).readings(request.k, request.min_prob)
            found.append(tuple(TreeOption(tree=r.tree, prob=r.prob) for r in readings.listed))
        return found

    def _best_trees(self, batch: Sequence[_Unit]) -> list[Tree]:
        """Parse a batch: the best tree of each sentence alone, which is faster."""
        trees = list(self._frontend.parse([unit.sentence for unit in batch]))
        for n, unit in enumerate(batch):
            following = unit.following
            if following is not None and may_be_decided(unit.sentence, following, trees[n]):
                (forest,) = self._frontend.forests([unit.sentence])
                heeded = self._heeded(unit, forest)
                if heeded is not forest:
                    trees[n] = heeded.argmax()
        return trees

    def _heeded(self, unit: _Unit, forest: Forest) -> Forest:
        """The forest with the odds that the text after it leaves."""
        if unit.following is None:
            return forest
        return heed_context(forest, unit.following, self._frontend.forests)

    def _read_best(self, batch: Sequence[_Unit]) -> Sequence[object]:
        """Parse a batch and compose the best tree of each sentence."""
        sentences = [unit.sentence for unit in batch]
        trees = [[tree] for tree in self._best_trees(batch)]
        found = self._meaning.judge(sentences, trees, spans=False)
        return [meanings[0] for meanings in found]

    def _read(self, batch: Sequence[_Unit], request: _Request) -> Sequence[object]:
        """Parse a batch and compose every reading of each sentence."""
        sentences = [unit.sentence for unit in batch]
        forests = deque(self._frontend.forests(sentences))
        parsed = []
        for unit in batch:  # a forest that was looked at holds large tables: let go of it
            forest = self._heeded(unit, forests.popleft())
            parsed.append(_look(forest, request, is_part=unit.is_part))
        meanings = self._meaning.judge(
            sentences,
            [[reading.tree for reading in one.readings] for one in parsed],
            spans=request.phrases,
        )
        return [
            self._describe(sentence, one, meaning)
            for sentence, one, meaning in zip(sentences, parsed, meanings, strict=True)
        ]

    def _describe(
        self, sentence: Sentence, parsed: _Parsed, meanings: Sequence[TreeMeaning]
    ) -> _Stretch:
        """Put what is known about a stretch into the words of the interface."""
        own = _tokens(sentence, parsed.readings[0])
        views = []
        for reading, probs, meaning in zip(
            parsed.readings, parsed.span_probs, meanings, strict=True
        ):
            tokens = own if reading.rank == 1 else _tokens(sentence, reading)
            is_same = [t.text for t in tokens] == [t.text for t in own]
            views.append(
                ReadingView(
                    rank=reading.rank,
                    prob=reading.prob,
                    tree=str(reading.tree),
                    spans=_spans(sentence, reading, probs, meaning),
                    gloss=reading.gloss,
                    sentiment=Sentiment.of(meaning.distribution),
                    tokens=None if is_same else tokens,
                )
            )
        weights = [reading.prob for reading in parsed.readings]
        return _Stretch(
            sentence=sentence,
            readings=tuple(views),
            tokens=own,
            trees=tuple(reading.tree for reading in parsed.readings),
            sites=parsed.sites,
            omitted=parsed.omitted,
            expected=self._meaning.expect(meanings, weights),
        )

    def _assemble(self, window: Sequence[_Line]) -> list[Analysis]:
        """Turn the answered lines of a window into analyses."""
        lines = [line for line in window if line.error is None and line.units]
        sentences = [(line, own) for line in lines for own in _answers(line)]
        joined = [own for _, own in sentences if len(own) > 1]
        # A joined sentence is judged as a text of its stretches.
        of_joined = iter(self._judge([[s.expected for s in own] for own in joined]))
        views: dict[int, list[SentenceView]] = {id(line): [] for line in lines}
        for line, own in sentences:
            if len(own) > 1:
                view = _join(own, next(of_joined))
            else:
                view = _view(own[0])
            views[id(line)].append(view)
        several = [line for line in lines if len(line.units) > 1]
        texts = [[s.expected for own in _answers(line) for s in own] for line in several]
        of_several = {
            id(line): sentiment for line, sentiment in zip(several, self._judge(texts), strict=True)
        }
        found = []
        for line in window:
            if line.error is not None:
                found.append(
                    Analysis(text=line.text, lang=line.lang, model=self.name, error=line.error)
                )
                continue
            own_views = tuple(views.get(id(line), ()))
            worst = max((v.ambiguity for v in own_views), key=lambda a: a.score, default=None)
            found.append(
                Analysis(
                    text=line.text,
                    lang=line.lang,
                    model=self.name,
                    sentiment=of_several.get(id(line))
                    or (own_views[0].sentiment if own_views else NEUTRAL),
                    ambiguity=Ambiguity(score=0.0, kind=None)
                    if worst is None
                    else Ambiguity(score=worst.score, kind=worst.kind),
                    sentences=own_views,
                )
            )
        return found

    def _judge(self, texts: Sequence[Sequence[TreeMeaning]]) -> list[Sentiment]:
        return [Sentiment.of(d) for d in self._meaning.judge_texts(texts)] if texts else []

    def _compare(self, pairs: Sequence[tuple[_Line, _Line]]) -> Iterator[Outcome[float]]:
        """Compare the answered lines of pairs."""
        sides: list[tuple[list[TreeMeaning], list[TreeMeaning]]] = []
        for pair in pairs:
            for line in pair:
                if line.error is None and not line.units:
                    line.error = "found a blank text, expected a sentence; leave the pair out"
            if all(line.error is None for line in pair):
                first, second = ([u.result for own in p.units for u in own] for p in pair)
                sides.append((first, second))  # type: ignore[arg-type]
        scores = iter(self._meaning.similarity(sides) if sides else ())
        for first_line, second_line in pairs:
            text = f"{first_line.text}\t{second_line.text}"
            error = first_line.error or second_line.error
            value = next(scores) if error is None else None
            yield Outcome(text=text, value=value, error=error)


def _stretches(line: _Line) -> list[_Unit]:
    return [unit for own in line.units for unit in own]


def _batches(units: Sequence[_Unit], batch_size: int) -> Iterator[list[_Unit]]:
    """Put units of one language and of like length together, the longest first."""
    order = sorted(units, key=lambda u: (u.sentence.lang, -u.sentence.num_atoms))
    batch: list[_Unit] = []
    for unit in order:
        if batch:
            cells = (batch[0].sentence.num_atoms + 1) ** 2 * (len(batch) + 1)
            is_other = batch[0].sentence.lang != unit.sentence.lang
            if is_other or len(batch) >= batch_size or cells > _BATCH_CELLS:
                yield batch
                batch = []
        batch.append(unit)
    if batch:
        yield batch


def _effort(sentence: Sentence, budget: int) -> int:
    """Most trees that are looked at: fewer in a longer sentence, so that time has a bound."""
    return max(_FEWEST_TREES, min(_MOST_TREES, budget // sentence.num_atoms))


def _look(forest: Forest, request: _Request, *, is_part: bool) -> _Parsed:
    """Ask a forest all that is to be said about its sentence; less about a part of one."""
    num_trees = _FEWEST_TREES if is_part else _effort(forest.sentence, _READING_ATOMS)
    num_site_trees = _FEWEST_TREES if is_part else _effort(forest.sentence, _SITE_ATOMS)
    readings = forest.readings(request.k, request.min_prob, max_trees=num_trees)
    probs = []
    for reading in readings.listed:
        words = reading.words
        probs.append(
            tuple(
                forest.span_prob(words[c.start][0], words[c.end - 1][1], label=c.label)
                for c in reading.tree.constituents(preterminals=False)
            )
        )
    return _Parsed(
        readings=readings.listed,
        span_probs=tuple(probs),
        sites=find_sites(forest, num_trees=num_site_trees),
        omitted=readings.omitted,
    )


def _tokens(sentence: Sentence, reading: Reading) -> tuple[TokenView, ...]:
    tokens = []
    for (first, last), tag in zip(reading.words, reading.tree.tags, strict=True):
        start, end = sentence.span(first, last)
        tokens.append(TokenView(text=sentence.text[start:end], start=start, end=end, pos=tag))
    return tuple(tokens)


def _spans(
    sentence: Sentence, reading: Reading, probs: Sequence[float], meaning: TreeMeaning
) -> tuple[SpanView, ...]:
    words = reading.words
    views = []
    constituents = reading.tree.constituents(preterminals=False)
    for constituent, prob in zip(constituents, probs, strict=True):
        start, end = sentence.span(words[constituent.start][0], words[constituent.end - 1][1])
        score = meaning.span_scores.get((constituent.start, constituent.end), 0.0)
        views.append(
            SpanView(label=constituent.label, start=start, end=end, prob=prob, sentiment=score)
        )
    return tuple(views)


def _answers(line: _Line) -> list[list[_Stretch]]:
    return [[u.result for u in own if isinstance(u.result, _Stretch)] for own in line.units]


def _sites(sites: Sites) -> tuple[SiteView, ...]:
    return tuple(
        SiteView(
            start=site.start,
            end=site.end,
            kind=site.kind,
            alternatives=tuple(
                Alternative(prob=a.prob, gloss=a.gloss, spans=a.spans) for a in site.alternatives
            ),
        )
        for site in sites.sites
    )


def _view(own: _Stretch) -> SentenceView:
    """Show a sentence that fitted one chart."""
    sites = own.sites
    return SentenceView(
        start=own.sentence.start,
        end=own.sentence.end,
        tokens=own.tokens,
        sentiment=Sentiment.of(own.expected.distribution),
        ambiguity=Ambiguity(
            score=sites.score, kind=sites.kind, entropy=sites.entropy, sites=_sites(sites)
        ),
        readings=own.readings,
        omitted=own.omitted,
    )


def _join(parts: Sequence[_Stretch], sentiment: Sentiment) -> SentenceView:
    """Show a sentence that was parsed in stretches, under one flat top.

    The readings listed are those of the stretch whose best one is least probable, with every
    other stretch read its best way; the probability of a reading is that stretch's.
    """
    open_place = min(range(len(parts)), key=lambda place: parts[place].readings[0].prob)
    start, end = parts[0].sentence.start, parts[-1].sentence.end
    own_tokens = tuple(token for part in parts for token in part.tokens)
    readings = []
    for rank, varied in enumerate(parts[open_place].readings):
        chosen = [
            varied if place == open_place else part.readings[0] for place, part in enumerate(parts)
        ]
        trees = [part.trees[rank if place == open_place else 0] for place, part in enumerate(parts)]
        top = SpanView(label=JOINT, start=start, end=end, prob=1.0, sentiment=sentiment.score)
        tokens = None
        if varied.tokens is not None:
            tokens = tuple(
                token
                for place, part in enumerate(parts)
                for token in (varied.tokens if place == open_place else part.tokens)
            )
        readings.append(
            ReadingView(
                rank=varied.rank,
                prob=varied.prob,
                tree=str(join_stretches(trees)),
                spans=(top, *(span for reading in chosen for span in reading.spans)),
                gloss=varied.gloss,
                sentiment=sentiment,
                tokens=tokens,
            )
        )
    worst = max((part.sites for part in parts), key=lambda sites: sites.score)
    return SentenceView(
        start=start,
        end=end,
        tokens=own_tokens,
        sentiment=sentiment,
        ambiguity=Ambiguity(
            score=worst.score,
            kind=worst.kind,
            entropy=sum(part.sites.entropy for part in parts),
            sites=tuple(site for part in parts for site in _sites(part.sites)),
        ),
        readings=tuple(readings),
        omitted=parts[open_place].omitted,
        joined=True,
    )


def _join_options(stretches: Sequence[Sequence[TreeOption]]) -> tuple[TreeOption, ...]:
    """Join the trees of stretches as `_join` does."""
    if len(stretches) == 1:
        return tuple(stretches[0])
    open_place = min(range(len(stretches)), key=lambda place: stretches[place][0].prob)
    return tuple(
        TreeOption(
            tree=join_stretches(
                [
                    (option if place == open_place else own[0]).tree
                    for place, own in enumerate(stretches)
                ]
            ),
            prob=option.prob,
        )
        for option in stretches[open_place]
    )
