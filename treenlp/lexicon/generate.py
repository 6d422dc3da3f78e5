"""Generation of Chinese phrases and sentences whose trees are known by construction.

An item's structure follows from the lexicon: which of two nouns a classifier counts, what can
be done to what and by whom, whether a measure measures the action or the thing. Items come in
groups (`pair_id`) over the same words or the same nouns and in the same carrier sentence, and
both structures are drawn in equal numbers for every classifier, so that no word tells the
structure by itself; only the words that must agree do. Where the evidence is balanced the item
has two trees of equal weight.

The brackets follow the Penn Chinese Treebank as automatic parsers write it: a numeral and its
classifier are a QP beside the modifier and the head noun, all flat under one NP; a clause before
的 is (CP (IP ...) (DEC 的)); a duration or a count of actions is a sister of the verb.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from treenlp.errors import LexiconError
from treenlp.lexicon.entries import (
    Carrier,
    Frequency,
    Lexicon,
    Noun,
    Split,
    TimedNoun,
    Verb,
    choices,
    load_lexicon,
    load_natural_cases,
)
from treenlp.trees.tree import Tree

__all__ = ["DEFAULT_MIX", "GeneratedItem", "Generator", "generate"]

Node = tuple[object, ...]
"""A label followed by its children: nodes, or one string under a preterminal."""

DEFAULT_MIX: Mapping[str, float] = {
    "classifier": 0.20,
    "localizer": 0.17,
    "verb_object": 0.19,
    "duration": 0.15,
    "frequency": 0.07,
    "relative": 0.12,
    "segmentation": 0.04,
    "coordination": 0.06,
}
"""Share of each construction in what `generate` returns, unless told otherwise."""

_NUMBERS = ("两", "两", "三", "三", "四", "五", "几", "六", "十", "一", "好几", "十几")
_SMALL_NUMBERS = ("一", "两", "三", "几")
_PRONOUNS = ("他", "她", "我", "我们", "他们", "你", "大家", "她们")
_NAMES = ("小王", "小李", "老张", "小明", "李华", "王芳")
_ADJECTIVES = ("普通", "著名", "新式", "大型", "老式", "陌生")
_CONJUNCTIONS = ("和", "和", "和", "与", "及", "跟")
_PERSON_HEADS = frozenset({"person"})
_MASS_CLASSES = frozenset(
    {"drink", "material", "quantity", "time", "illness", "bodypart", "belonging", "part"}
)
_OWNABLE = frozenset(
    {
        "vehicle", "building", "room", "device", "tool", "container", "clothing", "furniture",
        "document", "work", "plant", "food", "drink", "part", "material", "idea",
    }
)  # fmt: skip
_OWNERS = frozenset({"person", "institution"})
_PERSON_ENDINGS = frozenset("人员工者家手师夫兵民长商客匠妇孩徒官贼匪生婆汉爷娘士友农童女妈")
_PLACE_NAMES = frozenset(
    "北京 上海 台湾 香港 南京 西藏 新疆 中国 美国 日本 长城 长江 黄河 故宫 泰山 鲁迅 岳飞 诸葛亮 "
    "孔子 李白 关羽 曹操 武则天 秦始皇 杜甫 屈原 荆州 长安 朝鲜 印度 法国 英国 月球 火星".split()
)
_MAX_ATTEMPTS_PER_ITEM = 400
_CANDIDATES = 12
_MAX_EXCESS = 8
_SOFT = "~"


@dataclass(frozen=True, kw_only=True)
class GeneratedItem:
    """A text with its tree, or with two trees where nothing in it decides.

    Attributes:
        text: a bare phrase or a sentence; the leaves of every tree join to it.
        tree: the right tree; of a toss-up, one of the two.
        alternatives: the other tree of a toss-up (each has weight one half), else empty.
        kind: the construction, a key of `DEFAULT_MIX`.
        pair_id: items with the same number were made together from the same nouns.
        member: the structure, one of a few names for each kind; "either" for a toss-up.
        words: the leaves of `tree`.
        content: the words of the lexicon that the item is about; of a validation item, all
            kept out of training.
        cues: pairs of words that agree and so decide the structure.
    """

    text: str
    tree: Tree
    alternatives: tuple[Tree, ...]
    kind: str
    pair_id: int
    member: str
    words: tuple[str, ...]
    content: tuple[str, ...]
    cues: tuple[tuple[str, str], ...]

    @property
    def trees(self) -> tuple[Tree, ...]:
        """All trees of the item, of equal weight."""
        return (self.tree, *self.alternatives)


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """One member of a group before it is put into its carrier sentence."""

    nodes: tuple[Node, ...]
    member: str
    content: tuple[str, ...]
    cues: tuple[tuple[str, str], ...]
    measures: tuple[tuple[str, int], ...] = ()  # (classifier, +1 low or -1 high) to balance


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Drafts that share a carrier sentence, drawn from the carriers of one use."""

    drafts: tuple[_Draft, ...]
    uses: tuple[str, ...]


@dataclass(kw_only=True)
class _Balance:
    """How often each measure stood low minus how often it stood high."""

    excess: Counter[str] = field(default_factory=Counter)

    def cost(self, group: _Group) -> int:
        before = after = 0
        change: Counter[str] = Counter()
        for draft in group.drafts:
            for measure, sign in draft.measures:
                change[measure] += sign
        for measure, amount in change.items():
            before += abs(self.excess[measure])
            after += abs(self.excess[measure] + amount)
        return after - before

    def admits(self, group: _Group) -> bool:
        """Return whether no classifier by itself comes to tell the structure."""
        return all(
            abs(self.excess[measure] + sign) <= max(_MAX_EXCESS, abs(self.excess[measure]))
            for draft in group.drafts
            for measure, sign in draft.measures
            if not measure.startswith(_SOFT)
        )

    def add(self, group: _Group) -> None:
        for draft in group.drafts:
            for measure, sign in draft.measures:
                self.excess[measure] += sign


def generate(
    *,
    split: Split,
    n: int,
    seed: int,
    lexicon: Lexicon | None = None,
    mix: Mapping[str, float] | None = None,
    excluded_texts: Iterable[str] | None = None,
) -> list[GeneratedItem]:
    """Make items of all constructions, in a random order.

    Args:
        split: "train" or "validation"; the `content` words of validation items occur in no
            training item.
        n: number of items.
        seed: the same seed, lexicon and arguments give the same items.
        lexicon: the lexicon; None for `load_lexicon()`.
        mix: share of each construction; None for `DEFAULT_MIX`.
        excluded_texts: texts that no item may contain, equal or be part of; None for those of
            `load_natural_cases()`.

    Returns:
        `n` items with distinct texts. Members of a group may end up far apart.

    Raises:
        LexiconError: if the lexicon holds too little for so many distinct items.
    """
    lexicon = load_lexicon() if lexicon is None else lexicon
    if excluded_texts is None:
        excluded_texts = [case.text for case in load_natural_cases()]
    generator = Generator(lexicon, split=split, seed=seed, excluded_texts=excluded_texts)
    return generator.items(n, mix=DEFAULT_MIX if mix is None else mix)


class Generator:
    """Draws groups of items from a lexicon; see `generate`."""

    def __init__(
        self,
        lexicon: Lexicon,
        *,
        split: Split,
        seed: int,
        excluded_texts: Iterable[str] = (),
    ) -> None:
        """Keep the lexicon and sort out the words that belong to the split.

        Args:
            lexicon: the lexicon.
            split: which words to use.
            seed: of the random draws.
            excluded_texts: see `generate`.
        """
        self._lexicon = lexicon
        self._split: Split = split
        self._random = random.Random(seed)
        self._excluded = tuple(excluded_texts)
        self._seen: set[str] = set()
        self._balances: dict[str, _Balance] = {}
        self._pairs = 0
        self._round = (0.0, 0.0)  # which variant of a construction all candidates share
        self._carriers: dict[str, list[Carrier]] = {}
        for carrier in lexicon.carriers:
            self._carriers.setdefault(carrier.use, []).append(carrier)
        self._nouns: dict[str, list[tuple[Noun, tuple[str, ...]]]] = {}
        self._counted: dict[str, tuple[str, ...]] = {}
        for noun in lexicon.nouns.values():
            if lexicon.split_of(noun.text) != split:
                continue
            names = tuple(
                name for name in noun.classifiers if lexicon.classifiers[name].split == split
            )
            self._nouns.setdefault(noun.noun_class, []).append((noun, names))
            if names:
                self._counted[noun.text] = names
        self._relations = [
            (relation, form, relation.weight / len(relation.forms))
            for relation in lexicon.relations
            for form in relation.forms
            if relation.first in self._nouns and relation.second in self._nouns
            if form == "的" or lexicon.localizers[form].split == split
        ]
        self._verbs = [
            verb for verb in (self._own_words(verb) for verb in lexicon.verbs) if verb is not None
        ]
        self._durations = [row for row in lexicon.durations if row.split == split]
        self._frequencies = [row for row in lexicon.frequencies if row.split == split]
        self._timed = [row for row in lexicon.timed_nouns if row.split == split]
        self._either = [row for row in lexicon.either if row.split == split]
        self._segmentations = [row for row in lexicon.segmentations if row.split == split]
        self._makers: Mapping[str, Callable[[], _Group | None]] = {
            "classifier": lambda: self._classifier(localizer=False),
            "localizer": lambda: self._classifier(localizer=True),
            "verb_object": self._verb_object,
            "duration": self._duration,
            "frequency": self._frequency,
            "relative": self._relative,
            "segmentation": self._segmentation,
            "coordination": self._coordination,
        }

    def items(self, n: int, *, mix: Mapping[str, float]) -> list[GeneratedItem]:
        """Return `n` items with distinct texts, in a random order.

        Args:
            n: number of items.
            mix: share of each construction; the shares need not add up to 1.

        Raises:
            LexiconError: if a construction is unknown or its words are used up.
        """
        for kind in mix:
            if kind not in self._makers:
                raise LexiconError(
                    f"found the construction {kind!r}; expected one of {sorted(self._makers)}"
                )
        total = sum(mix.values())
        wanted = {kind: int(n * share / total) for kind, share in mix.items()}
        first = max(mix, key=lambda kind: mix[kind])
        made: list[GeneratedItem] = []
        for kind, number in wanted.items():
            if kind != first:
                made.extend(self._some(kind, number))
        last = self._some(first, n - len(made))
        if len(made) + len(last) < n:
            raise LexiconError(
                f"found words for {len(made) + len(last)} distinct items of the split "
                f"{self._split!r}; expected {n}: ask for fewer or extend the lexicon"
            )
        made.extend(last)
        self._random.shuffle(made)
        return made

    def _some(self, kind: str, number: int) -> list[GeneratedItem]:
        """Make items of one construction: as many as asked for, or as there are."""
        made: list[GeneratedItem] = []
        failures = 0
        while len(made) < number and failures < _MAX_ATTEMPTS_PER_ITEM:
            balance = self._balances.setdefault(kind, _Balance())
            group = self._balanced(self._makers[kind], balance)
            new = [] if group is None else self._finish(group, kind)
            if group is not None and new:
                balance.add(group)
            failures = 0 if new else failures + 1
            made.extend(new)
        return made[:number]

    def _balanced(self, maker: Callable[[], _Group | None], balance: _Balance) -> _Group | None:
        """Draw a few groups and keep the one that best evens out the measures."""
        self._round = (self._random.random(), self._random.random())
        groups = [group for group in (maker() for _ in range(_CANDIDATES)) if group is not None]
        if not groups:
            return None
        best = min(groups, key=balance.cost)
        return best if balance.admits(best) else None

    def _finish(self, group: _Group, kind: str) -> list[GeneratedItem]:
        """Put the drafts of a group into one carrier sentence and make items of them."""
        carrier = self._carrier(group)
        subject = self._subject()
        finished: list[GeneratedItem] = []
        for draft in group.drafts:
            trees = tuple(
                _tree(node if carrier is None else _carry(carrier, node, subject))
                for node in draft.nodes
            )
            text = "".join(trees[0].leaves)
            if text in self._seen or self._is_excluded(text):
                return []
            if any("".join(tree.leaves) != text for tree in trees):
                raise LexiconError(
                    f"found two trees over different texts, {text!r} and "
                    f"{''.join(trees[-1].leaves)!r}; expected one: check the {kind} rows"
                )
            finished.append(
                GeneratedItem(
                    text=text,
                    tree=trees[0],
                    alternatives=trees[1:],
                    kind=kind,
                    pair_id=self._pairs,
                    member=draft.member,
                    words=trees[0].leaves,
                    content=draft.content,
                    cues=draft.cues,
                )
            )
        if len({item.text for item in finished}) != len(finished):
            return []
        self._seen.update(item.text for item in finished)
        self._pairs += 1
        return finished

    def _carrier(self, group: _Group) -> Carrier | None:
        """Draw a carrier sentence of one of the group's uses; None where it has none."""
        pool = [carrier for use in group.uses for carrier in self._carriers[use]]
        return self._random.choice(pool) if pool else None

    def _is_excluded(self, text: str) -> bool:
        bare = text.rstrip("。？")
        return any(case in text or bare in case for case in self._excluded)

    def _subject(self) -> Node:
        if self._random.random() < 0.25:
            return ("NP", ("NR", self._random.choice(_NAMES)))
        return ("NP", ("PN", self._random.choice(_PRONOUNS)))

    def _owns(self, word: str) -> bool:
        return self._lexicon.split_of(word) == self._split

    def _own_words(self, verb: Verb) -> Verb | None:
        """Return the verb with only those nouns that belong to the split, or None."""
        if not self._owns(verb.text):
            return None
        objects = tuple(word for word in verb.objects if self._owns(word))
        agents = tuple(word for word in verb.agents if self._owns(word))
        belongings = tuple(word for word in verb.belongings if self._owns(word))
        if not objects:
            return None
        return Verb(
            text=verb.text,
            objects=objects,
            agents=agents,
            belongings=belongings,
            frequency_ok=verb.frequency_ok,
            duration_ok=verb.duration_ok,
        )

    def _class_of(self, word: str) -> str | None:
        noun = self._lexicon.nouns.get(word)
        return None if noun is None else noun.noun_class

    def _is_owner(self, word: str) -> bool:
        """Return whether things can belong to what the noun names; by its end if unlisted."""
        noun_class = self._class_of(word)
        return noun_class in _OWNERS or (noun_class is None and word[-1] in _PERSON_ENDINGS)

    def _measure(self, word: str, *, against: str | None = None) -> str | None:
        """Draw a classifier that counts one noun and cannot count the other."""
        names = [
            name
            for name in self._counted.get(word, ())
            if against is None or not self._lexicon.may_count(name, against)
        ]
        return self._random.choice(names) if names else None

    def _counting(self, measure: str) -> Node:
        """Return the QP of a numeral or the DP of a demonstrative with a classifier."""
        draw = self._random.random()
        classifier = ("CLP", ("M", measure))
        if draw < 0.80:
            return ("QP", ("CD", self._random.choice(_NUMBERS)), classifier)
        pronoun = self._random.choice(("这", "那"))
        if draw < 0.92:
            return ("DP", ("DT", pronoun), classifier)
        number = ("CD", self._random.choice(_SMALL_NUMBERS))
        return ("DP", ("DT", pronoun), ("QP", number, classifier))

    def _classifier(self, *, localizer: bool) -> _Group | None:
        """Num CL N1 (localizer) 的 N2: the classifier counts N1 (low) or N2 (high)."""
        pool = [row for row in self._relations if (row[1] != "的") == localizer]
        if not pool:
            return None
        relation, form, _ = self._random.choices(pool, weights=[row[2] for row in pool])[0]
        first = self._random.choice(self._nouns[relation.first])[0].text
        second = self._random.choice(self._nouns[relation.second])[0].text
        if first == second:
            return None
        tag = None if form == "的" else self._lexicon.localizers[form].tag
        adjective = self._random.choice(_ADJECTIVES) if self._random.random() < 0.06 else None
        place = self._random.choice(("first", "second"))

        def low(counting: Node) -> Node:
            return _modified(
                first, second, form, tag, low=counting, adjective=adjective, place=place
            )

        def high(counting: Node) -> Node:
            return _modified(
                first, second, form, tag, high=counting, adjective=adjective, place=place
            )

        uses = self._nominal_uses(relation.second)
        shared = set(self._counted.get(first, ())) & set(self._counted.get(second, ()))
        if shared and self._random.random() < 0.12:
            measure = self._random.choice(sorted(shared))
            counting = self._counting(measure)
            draft = _Draft(
                nodes=(low(counting), high(counting)),
                member="either",
                content=(measure, first, second),
                cues=(),
            )
            return _Group(drafts=(draft,), uses=uses)
        of_first = self._measure(first, against=second)
        of_second = self._measure(second, against=first)
        if of_first is None or of_second is None:
            return None
        counting = self._counting(of_first)
        other = _replace_leaf(counting, of_first, of_second)
        drafts = (
            _Draft(
                nodes=(low(counting),),
                member="low",
                content=(of_first, first, second),
                cues=((of_first, first),),
                measures=self._measures(of_first, second, form, 1),
            ),
            _Draft(
                nodes=(high(other),),
                member="high",
                content=(of_second, first, second),
                cues=((of_second, second),),
                measures=self._measures(of_second, first, form, -1),
            ),
        )
        return _Group(drafts=drafts, uses=uses)

    def _measures(
        self, measure: str, other: str, link: str, sign: int
    ) -> tuple[tuple[str, int], ...]:
        """Return what to balance: the classifier, alone and with what stands near it.

        That is the class of the other noun, and the localizer or verb between the two; the last
        is only preferred to be even, since a verb or localizer chooses its noun, too.
        """
        kind = self._class_of(other)
        return ((measure, sign), (f"{measure}+{kind}", sign), (f"{_SOFT}{measure}+{link}", sign))

    def _nominal_uses(self, noun_class: str) -> tuple[str, ...]:
        own = "person" if noun_class in _PERSON_HEADS else "thing"
        return ("np", "np.", "any", "any", own)

    def _verb_object(self) -> _Group | None:
        """V N1 的 N2: N2 does it to N1 (clause), or it is done to N1's N2 (object)."""
        draw, force = self._round
        if self._either and draw < 0.05:
            row = self._random.choice(self._either)
            verb = self._random.choice(row.verbs)
            first, second = self._random.choice(row.pairs)
            if not all(self._owns(word) for word in (verb, first, second)):
                return None
            draft = _Draft(
                nodes=(_clause_noun(verb, _np(first), second), _verb_of(verb, first, second)),
                member="either",
                content=(verb, first, second),
                cues=(),
            )
            return _Group(drafts=(draft,), uses=("either", "either."))
        row_verb = self._random.choice(self._verbs)
        if not row_verb.agents:
            return None
        verb, thing = row_verb.text, self._random.choice(row_verb.objects)
        agent = self._random.choice(row_verb.agents)
        belonging = self._random.choice(row_verb.belongings) if row_verb.belongings else None
        particle = self._random.choice(("了", "过", "着")) if self._random.random() < 0.06 else None
        if draw < 0.29:
            if belonging is None:
                return None
            pair = (
                (verb, thing, agent, "clause"),
                (verb, thing, belonging, "object"),
            )
        elif draw < 0.66:
            if self._class_of(thing) not in _OWNABLE:
                return None
            if not self._is_owner(agent):
                return None
            pair = ((verb, thing, agent, "clause"), (verb, agent, thing, "object"))
        else:
            if belonging is None or not self._is_owner(agent):
                return None
            pair = ((verb, belonging, agent, "clause"), (verb, agent, belonging, "object"))
        if force < 0.07:
            chosen = self._random.choice(pair)
            draft = self._verb_draft(*chosen, particle=None)
            return _Group(
                drafts=(draft,), uses=("nominal",) if chosen[3] == "clause" else ("verbal",)
            )
        drafts = tuple(self._verb_draft(*member, particle=particle) for member in pair)
        return _Group(drafts=drafts, uses=("either", "either."))

    def _verb_draft(
        self, verb: str, first: str, second: str, member: str, *, particle: str | None
    ) -> _Draft:
        if member == "clause":
            node = _clause_noun(verb, _np(first), second, particle=particle)
        else:
            node = _verb_of(verb, first, second, particle=particle)
        sign = 1 if member == "clause" else -1
        return _Draft(
            nodes=(node,),
            member=member,
            content=(verb, first, second),
            cues=((verb, second), (first, second)),
            measures=((f"{_SOFT}{second}", sign), (f"{_SOFT}{first}", sign)),
        )

    def _duration(self) -> _Group | None:
        """V 了 duration N (verb) against V 了 Num CL N (noun); and nouns measured in time."""
        if not self._durations:
            return None
        row = self._random.choice(self._durations)
        number = self._random.choice(row.numbers) if row.numbers else ""
        duration = _duration_node(row.unit, row.form, number)
        particle = self._random.choice(("了", "了", "了", "过"))
        if self._random.random() < 0.3:
            return self._timed_group(self._random.choice(self._timed), duration, particle, row.unit)
        verbs = [verb for verb in self._verbs if verb.duration_ok]
        if not verbs:
            return None
        verb = self._random.choice(verbs)
        thing = self._random.choice(verb.objects)
        measure = self._measure(thing)
        if measure is None:
            return None
        counting: Node = (
            "QP",
            ("CD", self._random.choice(_NUMBERS)),
            ("CLP", ("M", measure)),
        )
        drafts = (
            _Draft(
                nodes=(_vp(verb.text, particle, duration, _np(thing)),),
                member="verb",
                content=(verb.text, row.unit, thing),
                cues=((verb.text, row.unit), (row.unit, thing)),
            ),
            _Draft(
                nodes=(_vp(verb.text, particle, ("NP", counting, _np(thing))),),
                member="noun",
                content=(verb.text, measure, thing),
                cues=((measure, thing),),
            ),
        )
        return _Group(drafts=drafts, uses=("vp",))

    def _timed_group(self, timed: TimedNoun, duration: Node, particle: str, unit: str) -> _Group:
        own = self._random.choice(timed.verbs)
        noun = _np(timed.text)
        drafts = [
            _Draft(
                nodes=(_vp(own, particle, ("NP", duration, noun)),),
                member="noun",
                content=(unit, timed.text),
                cues=((own, timed.text), (unit, timed.text)),
            )
        ]
        if timed.waiting:
            waiting = self._random.choice(timed.waiting)
            drafts.append(
                _Draft(
                    nodes=(_vp(waiting, particle, duration, noun),),
                    member="verb",
                    content=(unit, timed.text),
                    cues=((waiting, timed.text), (waiting, unit)),
                )
            )
        return _Group(drafts=tuple(drafts), uses=("vp",))

    def _frequency(self) -> _Group | None:
        """V 了 Num times N (verb) against V 了 Num CL N (noun)."""
        if not self._frequencies:
            return None
        row: Frequency = self._random.choice(self._frequencies)
        use_rows = row.measure in ("次", "遍", "回", "一下") and self._random.random() < 0.6
        verbs = [verb for verb in self._verbs if verb.frequency_ok] if use_rows else []
        if verbs:
            from_verbs = self._random.choice(verbs)
            verb, thing = from_verbs.text, self._random.choice(from_verbs.objects)
        else:
            verb = self._random.choice(row.verbs)
            thing = self._random.choice(row.objects)
            if not (self._owns(verb) and self._owns(thing)):
                return None
        if not self._owns(row.measure):
            return None
        number = self._random.choice(row.numbers)
        if number == "AD":
            times: Node = ("ADVP", ("AD", row.measure))
        else:
            times = ("QP", ("CD", number), ("CLP", ("M", row.measure)))
        particle = self._random.choice(("了", "了", "了", "过"))
        drafts = [
            _Draft(
                nodes=(_vp(verb, particle, times, _np(thing)),),
                member="verb",
                content=(row.measure, thing),
                cues=((verb, row.measure), (row.measure, thing)),
            )
        ]
        measure = self._measure(thing)
        if measure is not None and measure != row.measure:
            counting: Node = (
                "QP",
                ("CD", "两" if number == "AD" else number),
                ("CLP", ("M", measure)),
            )
            drafts.append(
                _Draft(
                    nodes=(_vp(verb, particle, ("NP", counting, _np(thing))),),
                    member="noun",
                    content=(measure, thing),
                    cues=((measure, thing),),
                )
            )
        return _Group(drafts=tuple(drafts), uses=("vp",))

    def _relative(self) -> _Group | None:
        """Clauses with classifiers: Num CL N1 V 的 N2, and V Num CL N1 的 N2."""
        if self._random.random() < 0.7:
            drawn = self._clause_words()
            if drawn is None:
                return None
            verb, thing, agent = drawn
            of_agent = self._measure(agent, against=thing)
            of_thing = self._measure(thing, against=agent)
            return self._subject_clause(verb, thing, agent, of_agent, of_thing)
        row = self._random.choice(self._verbs)
        if not row.agents:
            return None
        verb, thing = row.text, self._random.choice(row.objects)
        agent = self._random.choice(row.agents)
        if self._class_of(thing) is None or self._class_of(agent) is None or thing == agent:
            return None
        of_agent = self._measure(agent, against=thing)
        of_thing = self._measure(thing, against=agent)
        return self._object_clause(verb, thing, agent, of_agent, of_thing)

    def _clause_words(self) -> tuple[str, str, str] | None:
        """Draw a verb, what it is done to and who does it, in two ways."""
        if self._random.random() < 0.35:
            row = self._random.choice(self._verbs)
            if not row.agents:
                return None
            agent, thing = self._random.choice(row.agents), self._random.choice(row.objects)
            verb = row.text
        else:
            classes = self._random.choice(self._lexicon.clause_verbs)
            verbs = [word for word in classes.verbs if self._owns(word)]
            agents = self._nouns.get(self._random.choice(classes.agents))
            things = self._nouns.get(self._random.choice(classes.objects))
            if not (verbs and agents and things):
                return None
            verb = self._random.choice(verbs)
            agent = self._random.choice(agents)[0].text
            thing = self._random.choice(things)[0].text
        if self._class_of(agent) is None or self._class_of(thing) is None or agent == thing:
            return None
        return verb, thing, agent

    def _subject_clause(
        self, verb: str, thing: str, agent: str, of_agent: str | None, of_thing: str | None
    ) -> _Group | None:
        """两位老师写的书 (low) against 两本老师写的书 (high)."""

        def low(counting: Node) -> Node:
            clause = ("IP", ("NP", counting, _np(agent)), ("VP", ("VV", verb)))
            return ("NP", ("CP", clause, ("DEC", "的")), _np(thing))

        def high(counting: Node) -> Node:
            clause = ("IP", _np(agent), ("VP", ("VV", verb)))
            return ("NP", counting, ("CP", clause, ("DEC", "的")), _np(thing))

        uses = self._nominal_uses(self._class_of(thing) or "tool")
        shared = set(self._counted.get(agent, ())) & set(self._counted.get(thing, ()))
        if shared and self._random.random() < 0.25:
            measure = self._random.choice(sorted(shared))
            counting = self._counting(measure)
            draft = _Draft(
                nodes=(low(counting), high(counting)),
                member="either",
                content=(measure, agent, verb, thing),
                cues=(),
            )
            return _Group(drafts=(draft,), uses=uses)
        if of_agent is None or of_thing is None:
            return None
        counting = self._counting(of_agent)
        return _Group(
            drafts=(
                _Draft(
                    nodes=(low(counting),),
                    member="low",
                    content=(of_agent, agent, verb, thing),
                    cues=((of_agent, agent),),
                    measures=self._measures(of_agent, thing, verb, 1),
                ),
                _Draft(
                    nodes=(high(_replace_leaf(counting, of_agent, of_thing)),),
                    member="high",
                    content=(of_thing, agent, verb, thing),
                    cues=((of_thing, thing),),
                    measures=self._measures(of_thing, agent, verb, -1),
                ),
            ),
            uses=uses,
        )

    def _object_clause(
        self, verb: str, thing: str, agent: str, of_agent: str | None, of_thing: str | None
    ) -> _Group | None:
        """修两辆车的工人, 两位修车的工人 (clauses); 修两位工人的车, 修两辆工人的车 (objects)."""
        if of_thing is None or of_agent is None or self._class_of(thing) not in _OWNABLE:
            return None
        if self._class_of(agent) not in _OWNERS:
            return None
        number = ("CD", self._random.choice(_NUMBERS))
        particle = self._random.choice((None, "了"))
        count_thing: Node = ("QP", number, ("CLP", ("M", of_thing)))
        count_agent: Node = ("QP", number, ("CLP", ("M", of_agent)))
        owner: Node = ("NP", count_agent, _np(agent))
        modifier: Node = ("DNP", _np(agent), ("DEG", "的"))
        plain = ("CP", ("IP", _vp(verb, particle, _np(thing))), ("DEC", "的"))
        members: tuple[tuple[str, Node, str, str, str], ...] = (
            (
                "clause-low",
                _clause_noun(verb, ("NP", count_thing, _np(thing)), agent, particle=particle),
                of_thing,
                thing,
                agent,
            ),
            ("clause-high", ("NP", count_agent, plain, _np(agent)), of_agent, agent, agent),
            (
                "object-low",
                _vp(verb, particle, ("NP", ("DNP", owner, ("DEG", "的")), _np(thing))),
                of_agent,
                agent,
                thing,
            ),
            (
                "object-high",
                _vp(verb, particle, ("NP", count_thing, modifier, _np(thing))),
                of_thing,
                thing,
                thing,
            ),
        )
        drafts = tuple(
            _Draft(
                nodes=(node,),
                member=member,
                content=(measure, verb, thing, agent),
                cues=((measure, counted), (verb, head)),
            )
            for member, node, measure, counted, head in members
        )
        return _Group(drafts=drafts, uses=("either", "either."))

    def _segmentation(self) -> _Group | None:
        """Strings of overlapping words in contexts that decide, or that do not."""
        if not self._segmentations:
            return None
        case = self._random.choice(self._segmentations)
        draws = [self._random.random() for _ in range(8)]
        subject = self._subject()
        nodes = tuple(_fill(_parse(template), draws, subject) for template in case.trees)
        draft = _Draft(
            nodes=nodes,
            member="either" if len(nodes) > 1 else case.reading.rstrip("0123456789"),
            content=(),
            cues=(),
        )
        return _Group(drafts=(draft,), uses=())

    def _coordination(self) -> _Group | None:
        """A 和 B 的 C: [A 和 B] 的 C where A is like B, A 和 [B 的 C] where A is like C."""
        pool = [
            row for row in self._relations if row[1] == "的" and row[0].first not in _MASS_CLASSES
        ]
        relation, _, _ = self._random.choices(pool, weights=[row[2] for row in pool])[0]
        conjunction = self._random.choice(_CONJUNCTIONS)
        like_first = self._random.choice(self._nouns[relation.first])[0].text
        like_second = self._random.choice(self._nouns[relation.second])[0].text
        first = self._random.choice(self._nouns[relation.first])[0].text
        second = self._random.choice(self._nouns[relation.second])[0].text
        if len({like_first, like_second, first, second}) != 4:
            return None
        uses = ("np", "np.", "any")
        if relation.first == relation.second:
            nodes = (
                _joint_owner(like_first, conjunction, first, second),
                _owner_of_last(like_first, conjunction, first, second),
            )
            draft = _Draft(
                nodes=nodes, member="either", content=(like_first, first, second), cues=()
            )
            return _Group(drafts=(draft,), uses=uses)
        if self._random.random() < 0.6:
            members = (
                (like_first, "low", _joint_owner(like_first, conjunction, first, second)),
                (like_second, "high", _owner_of_last(like_second, conjunction, first, second)),
            )
        else:
            members = (
                (like_second, "low", _joint_owned(first, second, conjunction, like_second)),
                (like_first, "high", _owned_first(first, second, conjunction, like_first)),
            )
        drafts = tuple(
            _Draft(
                nodes=(node,),
                member=member,
                content=(other, first, second),
                cues=((other, first), (other, second)),
            )
            for other, member, node in members
        )
        return _Group(drafts=drafts, uses=uses)


def _np(word: str) -> Node:
    """Return the noun phrase of one noun or name."""
    return ("NP", ("NR" if word in _PLACE_NAMES else "NN", word))


def _modified(
    first: str,
    second: str,
    form: str,
    tag: str | None,
    *,
    low: Node | None = None,
    high: Node | None = None,
    adjective: str | None,
    place: str,
) -> Node:
    """Return (counted) first (localizer) 的 second, the count inside (low) or outside (high)."""
    adjp: tuple[Node, ...] = () if adjective is None else (("ADJP", ("JJ", adjective)),)
    inside, outside = (adjp, ()) if place == "first" else ((), adjp)
    noun: Node = _np(first)
    if tag == "NN":
        noun = ("NP", ("NN", first), ("NN", form))
    owner: Node = noun
    if low is not None:
        owner = ("NP", low, *inside, noun)
    elif inside:
        owner = ("NP", *inside, noun)
    if tag == "LC":
        owner = ("LCP", owner, ("LC", form))
    modifier = ("DNP", owner, ("DEG", "的"))
    if high is None:
        return ("NP", modifier, *outside, _np(second))
    return ("NP", high, modifier, *outside, _np(second))


def _clause_noun(verb: str, thing: Node, head: str, *, particle: str | None = None) -> Node:
    """Return the noun phrase `V thing 的 head`, a relative clause."""
    return ("NP", ("CP", ("IP", _vp(verb, particle, thing)), ("DEC", "的")), _np(head))


def _verb_of(verb: str, owner: str, thing: str, *, particle: str | None = None) -> Node:
    """Return the verb phrase `V [owner 的 thing]`."""
    return _vp(verb, particle, ("NP", ("DNP", _np(owner), ("DEG", "的")), _np(thing)))


def _vp(verb: str, particle: str | None, *rest: Node) -> Node:
    if particle is None:
        return ("VP", ("VV", verb), *rest)
    return ("VP", ("VV", verb), ("AS", particle), *rest)


def _duration_node(unit: str, form: str, number: str) -> Node:
    """Return the phrase of a duration; `form` as in `Duration`."""
    if form == "NN":
        return _np(unit)
    if form == "M":
        return ("QP", ("CD", number), ("CLP", ("M", unit)))
    if form == "个":
        return ("NP", ("QP", ("CD", number), ("CLP", ("M", "个"))), _np(unit))
    if form == "CD":
        return ("NP", ("QP", ("CD", number)), _np(unit))
    return ("QP", ("CD", number), ("ADJP", ("JJ", "整")), ("CLP", ("M", unit)))


def _joint_owner(other: str, conjunction: str, first: str, second: str) -> Node:
    both = ("NP", ("NN", other), ("CC", conjunction), ("NN", first))
    return ("NP", ("DNP", both, ("DEG", "的")), _np(second))


def _owner_of_last(other: str, conjunction: str, first: str, second: str) -> Node:
    last = ("NP", ("DNP", _np(first), ("DEG", "的")), _np(second))
    return ("NP", _np(other), ("CC", conjunction), last)


def _joint_owned(first: str, second: str, conjunction: str, other: str) -> Node:
    both = ("NP", ("NN", second), ("CC", conjunction), ("NN", other))
    return ("NP", ("DNP", _np(first), ("DEG", "的")), both)


def _owned_first(first: str, second: str, conjunction: str, other: str) -> Node:
    owned = ("NP", ("DNP", _np(first), ("DEG", "的")), _np(second))
    return ("NP", owned, ("CC", conjunction), _np(other))


def _replace_leaf(node: Node, old: str, new: str) -> Node:
    """Return the node with one word exchanged wherever it is a leaf."""
    label, *children = node
    return (
        label,
        *(
            (new if child == old else child)
            if isinstance(child, str)
            else _replace_leaf(_as_node(child), old, new)
            for child in children
        ),
    )


def _as_node(value: object) -> Node:
    if not isinstance(value, tuple):
        raise LexiconError(f"found {value!r} inside a template; expected a bracketed node")
    return value


@cache
def _parse(template: str) -> Node:
    """Read a bracketed template; a slot such as <X> becomes the node ("<X>",)."""
    stack: list[list[object]] = [[]]
    for part in template.replace("(", " ( ").replace(")", " ) ").split():
        if part == "(":
            stack.append([])
        elif part == ")":
            done = tuple(stack.pop())
            stack[-1].append(done)
        elif part in ("<X>", "<X:IP>", "<X:VP>", "<S>"):
            stack[-1].append((part,))
        else:
            stack[-1].append(part)
    if len(stack) != 1 or len(stack[0]) != 1:
        raise LexiconError(f"found unbalanced brackets in {template!r}; close every bracket")
    return _as_node(stack[0][0])


def _carry(carrier: Carrier, node: Node, subject: Node) -> Node:
    """Put a noun or verb phrase into a carrier sentence."""
    label, *children = node
    is_verbal = label == "VP"
    if carrier.use in ("np", "np.", "either", "either.") and carrier.tree == "<X>":
        final = (("PU", "。"),) if carrier.use.endswith(".") else ()
        return ("IP", node, *final) if is_verbal else (label, *children, *final)
    wrapped: Node = ("IP", node) if is_verbal else node

    def put(part: Node) -> Node:
        if part == ("<X>",):
            return node
        if part == ("<X:IP>",):
            return wrapped
        if part == ("<X:VP>",):
            return node
        if part == ("<S>",):
            return subject
        head, *rest = part
        return (head, *(put(_as_node(c)) if isinstance(c, tuple) else c for c in rest))

    return put(_parse(carrier.tree))


def _fill(node: Node, draws: Sequence[float], subject: Node) -> Node:
    """Choose one alternative for every leaf of a template; equal draws choose alike."""
    position = 0

    def put(part: Node) -> Node:
        nonlocal position
        if part == ("<S>",):
            return subject
        head, *rest = part
        if len(rest) == 1 and isinstance(rest[0], str):
            options = choices(rest[0])[0]
            if len(options) == 1:
                return part
            draw = draws[position % len(draws)]
            position += 1
            return (head, options[int(draw * len(options))])
        return (head, *(put(_as_node(child)) for child in rest))

    return put(node)


def _tree(node: Node) -> Tree:
    """Return the immutable tree of a node."""
    labels: list[str] = []
    sizes: list[int] = []
    leaves: list[str] = []

    def visit(part: Node) -> None:
        here = len(labels)
        labels.append(str(part[0]))
        sizes.append(0)
        for child in part[1:]:
            if isinstance(child, tuple):
                visit(child)
            else:
                leaves.append(str(child))
        sizes[here] = len(labels) - here

    visit(node)
    return Tree.from_preorder(labels, sizes, leaves)
