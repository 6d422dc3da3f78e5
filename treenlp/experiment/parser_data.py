"""What the parser learns from: readers of corpora turned into training targets.

Chinese: automatic trees, with unknown regions where their teacher is not believed and with gold
dependencies as barriers where there are any; gold dependencies alone as partial brackets; generated
phrases of known structure. English: gold and automatic trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from treenlp.data.dependencies import GoldSentence, counted_phrases, read_ud_zh
from treenlp.data.masking import distrusted_spans, has_general_count
from treenlp.data.pku import TaggedText, read_pku
from treenlp.data.treebanks import (
    SILVER_ZH_PARTS,
    SpelledTree,
    read_mctb_en,
    read_silver_en,
    read_silver_zh,
    read_wsj_sample,
    spell_english,
    spell_tokens,
)
from treenlp.errors import TreeFormatError
from treenlp.experiment.agreement import AgreementPairs, tag_as_pku
from treenlp.experiment.parser_stage import Source, tree_target
from treenlp.lexicon import GeneratedItem, Lexicon, load_lexicon
from treenlp.parsing.grammar import Grammar
from treenlp.parsing.targets import ChartTarget
from treenlp.text import Lang, Sentence
from treenlp.trees.transforms import collapse_unary
from treenlp.trees.tree import Tree

__all__ = ["ParserData", "bare_text", "collect_agreement", "generated_targets", "partial_target"]

MAX_ATOMS = 64
MAX_WORD_UNITS = 8
_GENERAL_CLASSIFIER = "个"
_NOT_FREE = ("reviews", "beginner_first")
"""Parts of silver_zh and ud_zh whose texts are for research or non-commercial use."""


@dataclass(frozen=True, kw_only=True)
class ParserData:
    """Trees and dependencies of one training run, everything measured left out.

    Attributes:
        chinese: automatic trees.
        english: gold trees.
        automatic_english: trees of an automatic parser.
        gold: Chinese sentences with gold dependencies.
        generated: phrases with known structure; each entry holds the trees of one text.
        agreement: words seen to agree in running text; no pair of two words that the lexicon
            keeps for validation.
    """

    chinese: tuple[Tree, ...]
    english: tuple[Tree, ...]
    automatic_english: tuple[Tree, ...]
    gold: tuple[GoldSentence, ...]
    generated: tuple[GeneratedItem, ...]
    agreement: AgreementPairs

    @classmethod
    def read(
        cls,
        generated: Iterable[GeneratedItem],
        *,
        measured: Callable[[str], bool],
        free: bool = False,
        on_skip: Callable[[TreeFormatError], None] | None = None,
    ) -> ParserData:
        """Read the reference data.

        Args:
            generated: items of the generator.
            measured: whether a sentence is measured on: such sentences are left out.
            free: leave out what is for research or non-commercial use only: the WSJ sample, the
                sentences of UD Beginner, reviews.
            on_skip: gets every malformed tree that is left out.
        """

        def unmeasured(trees: Iterable[Tree], space: str) -> tuple[Tree, ...]:
            return tuple(tree for tree in trees if not measured(space.join(tree.leaves)))

        def english() -> Iterator[Tree]:
            yield from read_mctb_en("train", on_skip=on_skip)
            if not free:
                yield from read_wsj_sample()

        def automatic_chinese() -> Iterator[Tree]:
            parts = [part for part in SILVER_ZH_PARTS if not (free and part in _NOT_FREE)]
            for tree in read_silver_zh(parts, on_skip=on_skip):
                if bare_text("".join(tree.leaves)) not in not_free:
                    yield tree

        dependencies = [s for s in read_ud_zh(use="train") if not measured(s.text)]
        not_free = {bare_text(s.text) for s in dependencies if free and s.part in _NOT_FREE}
        chinese = unmeasured(automatic_chinese(), "")
        newspaper = (text for text in read_pku() if not measured(text.text))
        return cls(
            chinese=chinese,
            english=unmeasured(english(), " "),
            automatic_english=unmeasured(read_silver_en(on_skip=on_skip), " "),
            gold=tuple(s for s in dependencies if not (free and s.part in _NOT_FREE)),
            generated=tuple(generated),
            agreement=collect_agreement(chain(newspaper, map(tag_as_pku, chinese)), load_lexicon()),
        )

    def grammars(self) -> dict[Lang, Grammar]:
        """Labels of both languages; rare ones are left out."""
        chinese = [collapse_unary(tree) for tree in self.chinese]
        return {
            "zh": Grammar.from_trees(
                chinese, lang="zh", max_word_units=MAX_WORD_UNITS, min_count=5
            ),
            "en": Grammar.from_trees(
                map(collapse_unary, self.english + self.automatic_english),
                lang="en",
                max_word_units=1,
                min_count=3,
            ),
        }

    def sources(self, grammars: dict[Lang, Grammar]) -> list[Source]:
        """Training targets by source, with their shares of what is learned from."""
        zh, en = grammars["zh"], grammars["en"]
        gold = {bare_text(sentence.text): sentence for sentence in self.gold}
        automatic: list[ChartTarget] = []
        general: list[ChartTarget] = []
        checked: list[ChartTarget] = []
        for tree in self.chinese:
            spelled = spell_tokens(tree)
            sentence = gold.get(bare_text(spelled.text))
            barriers = () if sentence is None else _barriers(sentence, spelled)
            target = tree_target(
                spelled,
                zh,
                "zh",
                unknown=distrusted_spans(tree),
                barriers=barriers,
                max_atoms=MAX_ATOMS,
            )
            if target is not None:
                (automatic if sentence is None else checked).append(target)
                if has_general_count(tree):  # rare: they come once more, as a source of their own
                    general.append(target)
        partial = [t for t in (partial_target(s, zh) for s in self.gold) if t is not None]
        english, automatic_english = (
            [
                target
                for tree in trees
                if (target := tree_target(spell_english(tree), en, "en", max_atoms=MAX_ATOMS))
            ]
            for trees in (self.english, self.automatic_english)
        )
        generated = generated_targets(self.generated, zh)
        decided = [target for target in generated if isinstance(target, ChartTarget)]
        toss_ups = [target for target in generated if not isinstance(target, ChartTarget)]
        found = [
            Source(name="automatic zh", lang="zh", targets=automatic, share=0.15),
            Source(name="checked zh", lang="zh", targets=checked, share=0.07),
            Source(name="general classifiers zh", lang="zh", targets=general, share=0.04),
            Source(name="dependencies zh", lang="zh", targets=partial, share=0.10),
            Source(name="generated zh", lang="zh", targets=decided, share=0.20, hide=0.2),
            Source(name="toss-ups zh", lang="zh", targets=toss_ups, share=0.06),
            Source(name="gold en", lang="en", targets=english, share=0.18, hide=0.1, dropout=0.1),
            Source(
                name="automatic en",
                lang="en",
                targets=automatic_english,
                share=0.24,
                hide=0.1,
                dropout=0.1,
            ),
        ]
        return [source for source in found if source.targets]


def collect_agreement(texts: Iterable[TaggedText], lexicon: Lexicon) -> AgreementPairs:
    """Count the pairs of words that agree, but those of two words kept for validation.

    Pairs of 个 are left out, too: it counts nearly everything, so that a noun it was not seen with
    is no counter-example, and learning from it would decide what is a toss-up.
    """

    def is_left_out(one: str, other: str) -> bool:
        is_measured = lexicon.split_of(one) == lexicon.split_of(other) == "validation"
        return is_measured or one == _GENERAL_CLASSIFIER

    return AgreementPairs.collect(texts, leave_out=is_left_out)


def bare_text(text: str) -> str:
    """A text without white space, to compare spellings by."""
    return "".join(text.split())


def _barriers(sentence: GoldSentence, spelled: SpelledTree) -> tuple[tuple[int, int], ...]:
    """Subtrees of a gold sentence as spans of the spelled tree's text."""
    return sentence.subtrees if sentence.text == spelled.text else ()


def partial_target(sentence: GoldSentence, grammar: Grammar) -> ChartTarget | None:
    """Gold dependencies as partial brackets.

    Everything is open but may cross no subtree, and counted nouns form phrases.

    Args:
        sentence: with gold dependencies.
        grammar: of Chinese labels.
    """
    found = Sentence.from_text(sentence.text, lang="zh")
    if found is None or not 1 < found.num_atoms <= MAX_ATOMS:
        return None
    starts = {start: n for n, (start, _) in enumerate(found.atoms)}
    ends = {end: n + 1 for n, (_, end) in enumerate(found.atoms)}
    walls = [
        (starts[s], ends[e])
        for s, e in sentence.subtrees
        if s in starts and e in ends and ends[e] - starts[s] > 1
    ]
    if not walls:
        return None
    labels = {label: n for n, label in enumerate(grammar.phrase_labels)}
    required = {
        (starts[s], ends[e]): labels[label]
        for s, e, label in counted_phrases(sentence)
        if s in starts and e in ends and label in labels
    }
    return ChartTarget(
        sentence=found,
        free=((0, found.num_atoms),),
        barriers=tuple(walls),
        required=tuple((s, e, label) for (s, e), label in required.items()),
    )


def generated_targets(
    items: Iterable[GeneratedItem], grammar: Grammar
) -> list[ChartTarget | tuple[ChartTarget, ...]]:
    """Targets of generated items: one tree, or several that are equally right."""
    found: list[ChartTarget | tuple[ChartTarget, ...]] = []
    for item in items:
        targets = [
            tree_target(spell_tokens(tree), grammar, "zh", max_atoms=MAX_ATOMS)
            for tree in (item.tree, *item.alternatives)
        ]
        kept = tuple(target for target in targets if target is not None)
        if len(kept) == len(targets):
            found.append(kept if len(kept) > 1 else kept[0])
    return found
