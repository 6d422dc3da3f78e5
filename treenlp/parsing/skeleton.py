"""What of a tree matters to its meaning: the skeleton that two trees of one reading share.

Two trees are the same reading when they agree on the words (splitting a compound into its parts is
no difference), on which word each word depends, on what a coordination joins, and on the coarse
class of the constituents. So that nothing else makes a difference,

- marks, particles (的, 了, 吧), conjunctions and English auxiliaries are transparent: a word
  depends on the nearest word of content, and where a particle hangs is no matter;
- a word's class is that of the largest constituent it heads with something else in it (a row of
  brackets with one head, flat or nested, is one projection), and of words that stand alone it is
  left open;
- Chinese clauses in a row with commas and no conjunction are a chain, each hanging on the next,
  however they are bracketed, and what stands before the row goes with its first clause;
- a predicate is clausal with a subject of its own and verbal without, whatever its brackets
  say, and an adjective without one is modifying, in 很 新 的 书 as a clause or as a phrase.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from treenlp.text import Lang
from treenlp.trees.heads import base_label as _uncached_base_label
from treenlp.trees.heads import head_leaves
from treenlp.trees.tree import Tree

__all__ = ["CoarseClass", "Joint", "Skeleton", "coarse_class", "is_function_tag"]

Span = tuple[int, int]
CoarseClass = Literal["nominal", "verbal", "clausal", "modifying"]

base_label = lru_cache(maxsize=4096)(_uncached_base_label)

_FUNCTION: dict[Lang, frozenset[str]] = {
    "zh": frozenset("PU AS SP DEC DEG DER DEV MSP ETC CC".split()),
    "en": frozenset(", : `` '' . -LRB- -RRB- HYPH NFP CC POS TO MD".split()),
}
_AUXILIARIES = frozenset(
    "be am is are was were been being 's 're 'm have has had having 've 'd do does did".split()
)
_CLASSES: dict[Lang, dict[str, CoarseClass]] = {
    "zh": {
        **dict.fromkeys("NP QP DP CLP NN NR NT PN CD OD M DT FW".split(), "nominal"),
        **dict.fromkeys("VP VRD VCD VSB VPT VNV VCP VV VC VE BA LB SB".split(), "verbal"),
        **dict.fromkeys("IP CP".split(), "clausal"),
    },
    "en": {
        **dict.fromkeys(
            "NP NX NML NAC QP WHNP NN NNS NNP NNPS PRP CD DT EX FW WP".split(), "nominal"
        ),
        **dict.fromkeys("VP VB VBD VBG VBN VBP VBZ MD".split(), "verbal"),
        **dict.fromkeys("S SBAR SINV SQ SBARQ".split(), "clausal"),
    },
}
_ADJECTIVES = frozenset("VA JJ JJR JJS".split())
_CLAUSES = frozenset("IP S SINV SQ".split())
_IN_ROWS = frozenset("IP CP VP".split())
_SUBJECTS = frozenset("NP QP DP NX NML NN NR PN NNS NNP PRP".split())
_TEMPORAL = "NT"
_JOINING = frozenset("CC CONJP".split())
_LIST_MARKS = frozenset("、﹑")


@lru_cache(maxsize=4096)
def coarse_class(label: str, lang: Lang) -> CoarseClass:
    """Coarse class of a phrase label or a tag; what is no other is modifying."""
    return _CLASSES[lang].get(base_label(label), "modifying")


@lru_cache(maxsize=4096)
def is_function_tag(tag: str, lang: Lang) -> bool:
    """Whether words of this part of speech are transparent to dependency."""
    return base_label(tag) in _FUNCTION[lang]


@dataclass(frozen=True, kw_only=True, slots=True)
class Joint:
    """What one conjunction or list mark joins.

    Attributes:
        mark: first atom of the mark.
        left: first atom of the conjunct before it.
        right: atom past the conjunct after it.
    """

    mark: int
    left: int
    right: int


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Words, dependencies, classes and coordinations of a tree; places are atoms.

    Attributes:
        words: span of every word.
        tags: coarse class of every word's part of speech; None for a function word.
        heads: per word the number of the content word it depends on; -1 for the root and for
            function words.
        classes: per word the coarse class of its projection, None where it has no dependents.
        joints: what each conjunction joins, from left to right.
    """

    words: tuple[Span, ...]
    tags: tuple[CoarseClass | None, ...]
    heads: tuple[int, ...]
    classes: tuple[CoarseClass | None, ...]
    joints: tuple[Joint, ...]

    @classmethod
    def of(cls, tree: Tree, words: Sequence[Span], lang: Lang) -> Skeleton:
        """Take the skeleton of a tree whose leaves cover the given spans of atoms."""
        return _Builder(tree, words, lang).build()

    @cached_property
    def facts(self) -> frozenset[tuple[Span, Span | None, CoarseClass | None]]:
        """Span, head's span and class of every content word."""
        return frozenset(
            (span, None if head < 0 else self.words[head], own)
            for span, head, own, tag in zip(
                self.words, self.heads, self.classes, self.tags, strict=True
            )
            if tag is not None
        )

    @cached_property
    def key(self) -> Hashable:
        """Equal for trees that mean the same and have the same words of content."""
        return (self.facts, self.joints)

    def agrees(self, other: Skeleton) -> bool:
        """Whether the two mean the same, some compounds being split in one of them.

        A compound is a stretch that is one word here and several there, of which one word alone
        depends on a word outside, and which has the same coarse class in both.
        """
        if self.key == other.key:
            return True
        if self.words == other.words:
            return False
        blocks = _common_blocks(self.words, other.words)
        if blocks is None:
            return False
        mine, others = self._in_blocks(blocks), other._in_blocks(blocks)
        if mine is None or others is None:
            return False
        if not all(one.agrees(two) for one, two in zip(mine, others, strict=True)):
            return False
        return self._joints_between(blocks) == other._joints_between(blocks)

    def difference(self, other: Skeleton) -> Span | None:
        """Smallest stretch of atoms with all words that the two read differently."""
        facts = self.facts ^ other.facts
        heads = [(word, head) for word, head, _ in facts]
        spans = [span for pair in heads for span in pair if span is not None]
        # A class is a matter of the word with all that depends on it.
        classes = {word for word, head in heads if heads.count((word, head)) > 1}
        spans += [word for word, head, _ in self.facts if head in classes]
        spans += [(j.left, j.right) for j in set(self.joints) ^ set(other.joints)]
        if not spans:
            return None
        return min(start for start, _ in spans), max(end for _, end in spans)

    def subtree(self, word: int) -> Span:
        """Atoms from the first to the last content word that depends on a word, itself included."""
        start, end = self.words[word]
        for other, head in enumerate(self.heads):
            while head >= 0 and other != word:
                if head == word:
                    start = min(start, self.words[other][0])
                    end = max(end, self.words[other][1])
                    break
                head = self.heads[head]
        return start, end

    def _in_blocks(self, blocks: Sequence[Span]) -> list[_Block] | None:
        """See every stretch as one word; None if one of several words is no compound."""
        block_of: list[int] = []
        members: list[list[int]] = [[] for _ in blocks]
        block = 0
        for word, (start, _) in enumerate(self.words):
            while blocks[block][1] <= start:
                block += 1
            block_of.append(block)
            if self.tags[word] is not None:
                members[block].append(word)
        found: list[_Block] = []
        for block, content in enumerate(members):
            tops = [w for w in content if self.heads[w] < 0 or block_of[self.heads[w]] != block]
            if len(tops) > 1:
                return None
            if not tops:
                found.append(_Block(head=None, own=None, tag=None, is_merged=False))
                continue
            (top,) = tops
            head = self.heads[top]
            found.append(
                _Block(
                    head=-1 if head < 0 else block_of[head],
                    own=self.classes[top],
                    tag=self.tags[top],
                    is_merged=len(content) > 1,
                )
            )
        return found

    def _joints_between(self, blocks: Sequence[Span]) -> tuple[Joint, ...]:
        """Joints that are not inside one compound."""
        return tuple(
            joint
            for joint in self.joints
            if not any(start <= joint.left and joint.right <= end for start, end in blocks)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """A stretch of words seen as one: its head's block (-1 at the root, None without content)."""

    head: int | None
    own: CoarseClass | None
    tag: CoarseClass | None
    is_merged: bool

    def agrees(self, other: _Block) -> bool:
        """Whether two trees see the same in it."""
        if self.head != other.head:
            return False
        if self.is_merged == other.is_merged:
            return self.own == other.own
        classes = {self.own or self.tag, other.own or other.tag}
        return len(classes) == 1 or classes == {"verbal", "clausal"}


def _common_blocks(one: Sequence[Span], other: Sequence[Span]) -> list[Span] | None:
    """Finest stretches that both cut at their ends; None if words cross."""
    blocks: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        (start, end), (other_start, other_end) = one[i], other[j]
        if start != other_start:
            return None
        first_i, first_j = i, j
        while end != other_end:
            if end < other_end:
                i += 1
                end = one[i][1]
            else:
                j += 1
                other_end = other[j][1]
        if i > first_i and j > first_j:
            return None
        blocks.append((start, end))
        i, j = i + 1, j + 1
    return blocks


class _Builder:
    """Collects the parts of a skeleton from the arrays of a tree."""

    def __init__(self, tree: Tree, words: Sequence[Span], lang: Lang) -> None:
        self.words = tuple(words)
        self.lang = lang
        self.labels = tree.node_labels
        self.sizes = tree.node_sizes
        self.spans = tree.node_spans()
        self.leaves = tree.leaves
        self.tags = [base_label(tag) for tag in tree.tags]
        self.node_heads = head_leaves(tree, lang)
        # First and last head word of each node: two only where clauses stand in a row.
        self.first = list(self.node_heads)
        self.last = list(self.node_heads)
        self.heads = [-1] * len(self.leaves)
        self.children = tree.node_children()
        for node in range(len(self.sizes) - 1, -1, -1):
            self._hang_children(node)
        self.is_content = self._find_content()
        # Content word that stands for each word: itself, or for a function word one below it.
        self.stand_ins = self._find_stand_ins()

    def build(self) -> Skeleton:
        heads = tuple(
            self._content_head(word) if content else -1
            for word, content in enumerate(self.is_content)
        )
        return Skeleton(
            words=self.words,
            tags=tuple(
                coarse_class(tag, self.lang) if content else None
                for tag, content in zip(self.tags, self.is_content, strict=True)
            ),
            heads=heads,
            classes=self._classes(heads),
            joints=self._joints(),
        )

    def _hang_children(self, node: int) -> None:
        """Find on what each child of a node hangs, and the node's own head words."""
        children = self.children[node]
        if not children:
            return
        clauses = self._row_of_clauses(children)
        if clauses:
            anchors = clauses
        else:
            anchors = [c for c in children if self.node_heads[c] == self.node_heads[node]]
        self.first[node], self.last[node] = self.first[anchors[0]], self.last[anchors[-1]]
        waiting = list(anchors)
        for child in children:
            if waiting and child == waiting[0]:
                waiting.pop(0)
                if waiting:
                    self.heads[self.last[child]] = self.first[waiting[0]]
            elif waiting:
                self.heads[self.last[child]] = self.first[waiting[0]]
            else:
                self.heads[self.last[child]] = self.last[anchors[-1]]

    def _row_of_clauses(self, children: Sequence[int]) -> list[int]:
        """The children that are clauses, if marks alone join two or more of them."""
        if self.lang != "zh" or len(children) < 3:
            return []
        tops = [self.labels[child].split("::")[0] for child in children]
        clauses = [
            place
            for place, (child, top) in enumerate(zip(children, tops, strict=True))
            if top in _IN_ROWS and self.tags[self.spans[child][1] - 1] != "DEC"
        ]
        if len(clauses) < 2 or "CC" in tops:
            return []
        if any("PU" not in tops[i:j] for i, j in zip(clauses, clauses[1:], strict=False)):
            return []
        return [children[place] for place in clauses]

    def _find_content(self) -> list[bool]:
        function = _FUNCTION[self.lang]
        content = [tag not in function for tag in self.tags]
        if self.lang == "en":
            for word, head in enumerate(self.heads):
                # An auxiliary has a verb to its right that depends on it.
                if (
                    0 <= head < word
                    and (self.tags[word].startswith("VB") or self._is_infinitive(word, head))
                    and self.tags[head].startswith("VB")
                    and self.leaves[head].lower() in _AUXILIARIES
                ):
                    content[head] = False
        return content

    def _is_infinitive(self, word: int, head: int) -> bool:
        """Whether a word is the "to" of "have to" or "is to"."""
        return self.tags[word] == "TO" and word == head + 1

    def _find_stand_ins(self) -> list[int]:
        depth_first = self._top_down()
        stand_ins = [word if content else -1 for word, content in enumerate(self.is_content)]
        below: list[list[int]] = [[] for _ in stand_ins]
        for word in reversed(depth_first):
            if stand_ins[word] < 0 and below[word]:
                stand_ins[word] = self._choose(word, below[word])
            if stand_ins[word] >= 0 and self.heads[word] >= 0:
                below[self.heads[word]].append(stand_ins[word])
        return stand_ins

    def _top_down(self) -> list[int]:
        """Words in an order that puts each after its head."""
        below: list[list[int]] = [[] for _ in self.heads]
        order = []
        for word, head in enumerate(self.heads):
            if head < 0:
                order.append(word)
            else:
                below[head].append(word)
        for word in order:
            order.extend(below[word])
        return order

    def _choose(self, word: int, below: list[int]) -> int:
        """Of an auxiliary its verb; of another function word the nearest before it, or after."""
        after = sorted(w for w in below if w > word)
        if self.lang == "en" and self.tags[word][:1] in ("V", "M", "T"):
            verbs = [w for w in after if self.tags[w].startswith("V")]
            if verbs or after:
                return (verbs or after)[0]
        before = [w for w in below if w < word]
        return max(before) if before else after[0]

    def _content_head(self, word: int) -> int:
        head = self.heads[word]
        while head >= 0:
            stand_in = self.stand_ins[head]
            if stand_in >= 0 and stand_in != word:
                return stand_in
            head = self.heads[head]
        return -1

    def _classes(self, heads: tuple[int, ...]) -> tuple[CoarseClass | None, ...]:
        has_dependents = set(heads)
        found: dict[int, CoarseClass] = {}
        with_subject: set[int] = set()
        for node, label in enumerate(self.labels):
            if self.sizes[node] == 1:
                continue
            base = base_label(label)
            if base in _CLAUSES:
                with_subject.update(self._words_with_subject(node))
            word = self.stand_ins[self.last[node]]
            if word not in has_dependents:
                continue
            own = coarse_class(base, self.lang)
            # Preorder: the largest comes first; a modifier's own brackets do not count if
            # there is anything else.
            if word not in found or (found[word] == "modifying" != own):
                found[word] = own
        classes: list[CoarseClass | None] = []
        for word, content in enumerate(self.is_content):
            if not content or word not in has_dependents:
                classes.append(None)
                continue
            own = found.get(word, coarse_class(self.tags[word], self.lang))
            if own in ("verbal", "clausal"):
                own = "clausal" if word in with_subject else "verbal"
                if own == "verbal" and self.tags[word] in _ADJECTIVES:
                    own = "modifying"
            classes.append(own)
        return tuple(classes)

    def _words_with_subject(self, node: int) -> list[int]:
        """Predicate of a clause with a nominal child before it, if any."""
        for child in self.children[node]:
            top = base_label(self.labels[child].split("::")[0])
            if coarse_class(top, self.lang) in ("verbal", "clausal"):
                return []
            if top in _SUBJECTS and self.tags[self.last[child]] != _TEMPORAL:
                head = self.heads[self.last[child]]
                return [self.stand_ins[head]] if head >= 0 and head > self.last[child] else []
        return []

    def _joints(self) -> tuple[Joint, ...]:
        found = []
        for node, size in enumerate(self.sizes):
            if size < 4:
                continue
            children = self.children[node]
            marks = [i for i, child in enumerate(children) if self._is_joining(child)]
            if marks:
                found.extend(self._joints_of(node, children, marks))
        return tuple(sorted(found, key=lambda joint: joint.mark))

    def _is_joining(self, node: int) -> bool:
        label = base_label(self.labels[node])
        if label in _JOINING:
            return True
        return label == "PU" and self.leaves[self.spans[node][0]] in _LIST_MARKS

    def _joints_of(self, node: int, children: Sequence[int], marks: list[int]) -> list[Joint]:
        """Conjuncts of one phrase, which its marks cut into segments of children."""
        edges = [-1, *marks, len(children)]
        segments = [
            [child for child in children[start + 1 : end] if self._content_span(child)]
            for start, end in zip(edges, edges[1:], strict=False)
        ]
        kept = [i for i, segment in enumerate(segments) if segment]
        joints = []
        for left, right in zip(kept, kept[1:], strict=False):
            before, after = segments[left], segments[right]
            # One flat row: what goes with the first conjunct only cannot be told from what goes
            # with all, so the shorter side says how much a conjunct takes.
            if left == kept[0] and len(after) == 1:
                before = before[-1:]
            is_verbal = coarse_class(self.labels[node], self.lang) in ("verbal", "clausal")
            if right == kept[-1] and is_verbal and len(before) == 1:
                after = after[:1]
            start, end = self._content_span(before[0]), self._content_span(after[-1])
            if start and end:
                mark = self.spans[children[marks[right - 1]]][0]
                joints.append(Joint(mark=self.words[mark][0], left=start[0], right=end[1]))
        return joints

    def _content_span(self, node: int) -> Span | None:
        """Atoms from the first to the last content word below a node."""
        start, end = self.spans[node]
        while start < end and not self.is_content[start]:
            start += 1
        while start < end and not self.is_content[end - 1]:
            end -= 1
        return (self.words[start][0], self.words[end - 1][1]) if start < end else None
