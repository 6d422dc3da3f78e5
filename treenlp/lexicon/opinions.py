"""Generation of Chinese phrases whose sentiment is known by construction, on every part.

A word's class comes from the lexicon (opinions.tsv); what 不, 虽然 … 但是 or 极了 make of it
follows from a few rules. Each construction is drawn with either outcome equally often, and so is
each side of the words in it, so that neither the construction nor a word gives the outcome away:
only both together do. Plain facts about things are neutral.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from treenlp.errors import LexiconError
from treenlp.lexicon.entries import Lexicon, Split, default_folder, load_lexicon, read_rows

__all__ = [
    "OPINION_MIX",
    "Opinion",
    "OpinionItem",
    "Opinions",
    "generate_opinions",
    "load_opinions",
]

Part = Literal["adjective", "noun", "event", "verb", "feeling", "closing"]
"""很 A; 有 N; 老是 E; 我 V 它; 让人 F; a remark that stands for itself."""

OPINION_MIX: Mapping[str, float] = {
    "degree": 0.17,
    "negation": 0.31,
    "contrast": 0.22,
    "joint": 0.09,
    "comparison": 0.07,
    "fact": 0.14,
}
"""Share of each construction in what `generate_opinions` returns."""

ANY_FIELD = "*"
_NEGATIVE, _NEUTRAL, _POSITIVE = 1, 2, 3
_STRONGER = {1: 0, 3: 4, 0: 0, 4: 4}
_OPPOSITE = {1: 3, 3: 1, 4: 1, 0: 3}


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """A word with a sentiment.

    Attributes:
        text: the word.
        label: 0, 1, 3 or 4: very negative, negative, positive, very positive.
        part: how it is used.
        fields: what it is said of; `ANY_FIELD` for everything.
    """

    text: str
    label: int
    part: Part
    fields: frozenset[str]

    @property
    def split(self) -> Split:
        """One in five is kept out of training, by the CRC-32 of its UTF-8 bytes."""
        return "validation" if zlib.crc32(self.text.encode("utf-8")) % 5 == 0 else "train"

    @property
    def is_graded(self) -> bool:
        """Whether it takes 很 or 不 before it, as set phrases and strong words do not."""
        return self.label in (_NEGATIVE, _POSITIVE) and len(self.text) <= 3


@dataclass(frozen=True, kw_only=True)
class Opinions:
    """The words with a sentiment, and the nouns that they are said of, by field."""

    words: tuple[Opinion, ...]
    topics: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class OpinionItem:
    """A phrase with its class and those of its parts.

    Attributes:
        text: the phrase.
        label: class of the whole, 0 (very negative) to 4 (very positive).
        labels: class of each known part by its half-open code-point span, the whole included.
        kind: the construction, a key of `OPINION_MIX`.
        content: the words with a sentiment in it.
    """

    text: str
    label: int
    labels: Mapping[tuple[int, int], int]
    kind: str
    content: tuple[str, ...]


def load_opinions(folder: Path | None = None) -> Opinions:
    """Read ``opinions.tsv`` and ``topics.tsv`` of the lexicon.

    Args:
        folder: of the lexicon; None for `default_folder()`.

    Raises:
        LexiconError: if a file is missing or a row is malformed; the message names file and line.
    """
    folder = default_folder() if folder is None else folder
    topics: dict[str, list[str]] = {}
    for noun, where in read_rows(folder / "topics.tsv", ("noun", "field"), lambda cells: cells):
        topics.setdefault(where, []).append(noun)

    def opinion(cells: tuple[str, ...]) -> Opinion:
        word, label, part, fields = cells
        if label not in ("0", "1", "3", "4"):
            raise ValueError(f"found the class {label!r}; expected 0, 1, 3 or 4")
        if part not in get_args(Part):
            raise ValueError(f"found the part {part!r}; expected one of {get_args(Part)}")
        unknown = set(fields.split(",")) - set(topics) - {ANY_FIELD}
        if unknown:
            raise ValueError(f"found the field {min(unknown)!r}; expected one of {sorted(topics)}")
        return Opinion(
            text=word,
            label=int(label),
            part=cast(Part, part),
            fields=frozenset(fields.split(",")),
        )

    words = tuple(read_rows(folder / "opinions.tsv", ("word", "class", "part", "fields"), opinion))
    twice = {(word.text, word.part) for word in words}
    if len(twice) != len(words):
        raise LexiconError(f"{folder / 'opinions.tsv'}: a word stands there twice; keep one row")
    return Opinions(words=words, topics={name: tuple(found) for name, found in topics.items()})


@dataclass(frozen=True)
class _Said:
    """Text with the classes of its parts."""

    text: str
    label: int
    labels: Mapping[tuple[int, int], int]
    content: tuple[str, ...] = ()


def _said(label: int, *parts: str | _Said) -> _Said:
    """Join parts; plain strings are words that say nothing by themselves, empty ones vanish."""
    text = ""
    content: tuple[str, ...] = ()
    labels: dict[tuple[int, int], int] = {}
    for part in parts:
        if not part:
            continue
        piece = part if isinstance(part, _Said) else _Said(part, _NEUTRAL, {})
        start = len(text)
        text += piece.text
        content += piece.content
        if piece.text.isalpha():
            labels[start, len(text)] = piece.label
        labels |= {(start + a, start + b): found for (a, b), found in piece.labels.items()}
    labels[0, len(text)] = label
    return _Said(text, label, labels, content)


def generate_opinions(
    *,
    split: Split,
    n: int,
    seed: int,
    opinions: Opinions | None = None,
    lexicon: Lexicon | None = None,
) -> list[OpinionItem]:
    """Make phrases with the classes of all their parts.

    Args:
        split: which words; those of the other part do not occur.
        n: number of items; all texts differ.
        seed: of the draws.
        opinions: the words; None reads them.
        lexicon: whose nouns plain facts are about; None reads it.

    Returns:
        The items in random order.

    Raises:
        LexiconError: if the words do not suffice for `n` different texts.
    """
    maker = _Maker(
        load_opinions() if opinions is None else opinions,
        load_lexicon() if lexicon is None else lexicon,
        split,
        random.Random(seed),
    )
    items: dict[str, OpinionItem] = {}
    for kind, share in OPINION_MIX.items():
        wanted, attempts = round(share * n), 0
        sides = [_NEUTRAL] if kind == "fact" else [_NEGATIVE, _POSITIVE]
        count = 0
        while count < wanted:
            attempts += 1
            if attempts > 50 * wanted + 1_000:
                raise LexiconError(
                    f"found {count} different phrases of the kind {kind}, expected {wanted}; ask "
                    "for fewer or add words to opinions.tsv"
                )
            said = maker.make(kind, sides[count % len(sides)])
            if said.text not in items:
                items[said.text] = OpinionItem(
                    text=said.text,
                    label=said.label,
                    labels=said.labels,
                    kind=kind,
                    content=said.content,
                )
                count += 1
    found = list(items.values())
    maker.rng.shuffle(found)
    return found


_STRONG_BEFORE = ("非常", "极其", "特别", "格外", "十分", "异常", "极为", "无比", "相当之", "尤其")
_MILD_BEFORE = (
    "很",
    "挺",
    "蛮",
    "相当",
    "比较",
    "真",
    "确实很",
    "还算",
    "越来越",
    "更加",
    "显得很",
)
_FAINT_BEFORE = ("有点儿", "有点", "有些", "稍微有点", "略显", "略微", "多少有些", "稍稍有点儿")
_NOT = (
    "不", "不", "不", "并不", "不太", "不够", "不怎么", "算不上", "谈不上", "称不上", "说不上",
    "不是很", "并不算", "不再", "一直不", "不见得", "未必", "看不出有多", "没有多",
)  # fmt: skip
_NOT_BAD = (
    "不", "不", "不", "并不", "不算", "一点儿也不", "一点都不", "毫不", "绝不", "从不", "丝毫不",
    "没有那么", "没有传闻中那么", "不再", "不至于", "谈不上", "不怎么", "没有我担心的那么",
)  # fmt: skip
_NOT_AT_ALL = ("一点儿也不", "一点都不", "根本不", "完全不", "丝毫不", "毫不", "压根儿不")
_LESS = (
    "没有想象中那么",
    "没有宣传的那么",
    "没有以前",
    "远不如别处",
    "不如从前",
    "不及上回",
    "没有图上",
)
_RIVALS = ("别处的", "上一次", "同类的", "老款", "隔壁的", "去年", "另外几家", "我原来的")
_PEOPLE = ("我", "我们", "大家", "顾客", "家人", "同事们", "老人", "孩子们", "朋友们", "周围的人")
_OPENINGS = (
    "说实话，",
    "总的来说，",
    "我觉得",
    "个人认为",
    "老实讲，",
    "怎么说呢，",
    "用了一阵子，",
)
_ENDINGS = ("。", "。", "！", "", "", "", "", "")

_TURNS: tuple[tuple[str, str], ...] = (
    ("虽然", "，但是"), ("虽然", "，但"), ("虽然", "，却"), ("虽说", "，可是"), ("虽说", "，可"),
    ("尽管", "，但"), ("尽管", "，还是"), ("尽管", "，依然"), ("", "，但是"), ("", "，但"),
    ("", "，可是"), ("", "，可"), ("", "，不过"), ("", "，然而"), ("", "，却"), ("固然", "，但"),
    ("原以为", "，没想到"), ("本以为", "，谁知"), ("看上去", "，其实"), ("表面上", "，实际上"),
    ("以前", "，现在"), ("过去", "，如今"), ("刚开始", "，后来"), ("头一回", "，第二回"),
    ("除了", "，其他都"), ("都说", "，我却觉得"), ("与其说", "，不如说"), ("白天", "，一到晚上就"),
)  # fmt: skip
_TURNS_TO = {
    _NEGATIVE: (("", "，可惜"), ("", "，只是"), ("", "，就是"), ("", "，偏偏"), ("", "，遗憾的是")),
    _POSITIVE: (("", "，好在"), ("", "，幸好"), ("", "，幸亏"), ("", "，所幸"), ("", "，还好")),
}
_AFTERTHOUGHTS = ("，虽然", "，尽管", "，即使", "，哪怕")
_BOTH = (
    ("", "，"), ("", "，也"), ("", "，而且"), ("", "，并且"), ("不但", "，而且"), ("不仅", "，还"),
    ("既", "又"), ("又", "又"), ("不光", "，还"), ("", "，再说"), ("", "，何况"),
    ("因为", "，所以"),
)  # fmt: skip
_EITHER = (
    ("有的", "，有的"), ("有时", "，有时"), ("一半", "，一半"), ("谈不上", "，也谈不上"),
    ("不能说", "，也不能说"), ("算不上", "，也算不上"), ("有人嫌它", "，有人觉得它"),
)  # fmt: skip

_FACTS = (
    "{room}里有{number}{counted}", "{furniture}上放着{counted}", "{building}一共有{number}层",
    "{counted}的长度是{number}米", "{document}一共{number}页", "我带了{number}{counted}",
    "{vehicle}从{place}开往{place}", "{building}对面是{building}", "{institution}在{place}的东边",
    "{counted}放在{container}里", "{person}在{institution}工作", "{time}在{building}集合",
    "{vehicle}{time}出发", "{document}{time}出版", "{institution}{time}开门",
    "{person}{time}去了{place}", "他买了{number}{counted}", "{counted}是{color}的",
    "{room}在{number}楼", "{clothing}有{number}种颜色", "{device}的重量是{number}公斤",
    "{place}离{place}有{number}公里", "{person}正在看{document}", "我们{time}到{place}",
    "这是{number}{counted}", "{counted}由{material}制成", "{food}装在{container}里",
    "{person}把{counted}放进{container}", "请在{building}门口等车", "{institution}有{number}名员工",
    "{device}需要{number}节电池", "{document}放在{furniture}上", "{person}住在{place}",
    "{number}{counted}和{number}{counted}", "从{place}到{place}要坐{vehicle}",
    "{plant}种在{building}旁边", "{time}到{time}休息", "{person}穿着{color}的{clothing}",
    "{room}朝{side}", "{clothing}的号码是{number}", "{document}的作者住在{place}",
)  # fmt: skip
_NUMBERS = ("两", "三", "四", "五", "六", "八", "十", "十二", "二十", "三十", "几")
_TIMES = (
    "昨天", "明天", "下周", "上个月", "星期五", "早上七点", "中午", "晚上九点", "三月", "去年夏天",
    "周末", "下午四点半", "明年", "二十号", "前天夜里", "国庆期间",
)  # fmt: skip
_COLORS = ("红色", "蓝色", "白色", "深绿色", "灰色", "棕色", "黄色", "浅紫色")
_SIDES = ("东", "西", "北", "东南", "西北")
_COUNTED = ("document", "tool", "clothing", "furniture", "container", "device", "food", "plant")


class _Maker:
    """Draws phrases from the words of one part."""

    def __init__(
        self, opinions: Opinions, lexicon: Lexicon, split: Split, rng: random.Random
    ) -> None:
        self.rng = rng
        self.topics = opinions.topics
        self.words = [word for word in opinions.words if word.split == split]
        self.nouns: dict[str, list[str]] = {}
        for noun in lexicon.nouns.values():
            self.nouns.setdefault(noun.noun_class, []).append(noun.text)
        self.nouns["person"] = list(opinions.topics["person"])  # others may be praise or blame
        self.measures = {noun.text: noun.classifiers for noun in lexicon.nouns.values()}

    def make(self, kind: str, side: int) -> _Said:
        """Make a phrase of a kind whose outcome is on a side."""
        if kind == "fact":
            said = self._fact()
        else:
            making: dict[str, Callable[[int, str], _Said]] = {
                "degree": self._clause_plain,
                "negation": self._clause_negated,
                "contrast": self._contrast,
                "joint": self._joint,
                "comparison": self._comparison,
            }
            said = making[kind](side, self._field())
            if self.rng.random() < 0.15:
                said = _said(said.label, self.rng.choice(_OPENINGS), said)
        return _said(said.label, said, self.rng.choice(_ENDINGS))

    # Words

    def _field(self) -> str:
        return self.rng.choice(sorted(self.topics))

    def _topic(self, field: str) -> _Said:
        return _Said(self.rng.choice(self.topics[field]), _NEUTRAL, {})

    def _word(
        self, part: Part, labels: Sequence[int], field: str, *, graded: bool = False
    ) -> _Said:
        """Draw a word, four times in five one of the field's own where it has any."""
        found = [
            word
            for word in self.words
            if word.part == part and word.label in labels and (word.is_graded or not graded)
        ]
        own = [word for word in found if field in word.fields]
        found = [word for word in found if ANY_FIELD in word.fields] or found
        if own and self.rng.random() < 0.8:
            found = own
        if not found:
            raise LexiconError(
                f"found no {part} of the classes {labels} in this part; add one to opinions.tsv"
            )
        word = self.rng.choice(found)
        return _Said(word.text, word.label, {}, (word.text,))

    def _with_topic(self, predicate: _Said, field: str) -> _Said:
        """Say it of something, or leave open of what."""
        draw = self.rng.random()
        if draw < 0.3:
            return predicate
        topic = self._topic(field)
        if draw < 0.45:
            topic = _said(
                _NEUTRAL, self.rng.choice(("这家的", "他们的", "这里的", "这次的")), topic
            )
        return _said(predicate.label, topic, predicate)

    # Plain opinions

    def _clause_plain(self, side: int, field: str) -> _Said:
        """An opinion without a negation."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.12:
            return self._said_of_noun(side, field)
        if draw < 0.24:
            feeling = self._word("feeling", (side, _STRONGER[side]), field)
            cause = rng.choice(("让人", "令人", "叫人", "使人"))
            extra = rng.choice(("", "", "很", "十分", "非常"))
            strong = extra in ("十分", "非常")
            label = _STRONGER[feeling.label] if strong else feeling.label
            return self._with_topic(_said(label, cause, _said(label, extra, feeling)), field)
        if draw < 0.36:
            verb = self._word("verb", (side, _STRONGER[side]), field)
            adverb = rng.choice(("很", "一直", "都", "十分", "向来", "非常"))
            who = rng.choice(_PEOPLE)
            label = _STRONGER[verb.label] if adverb in ("十分", "非常") else verb.label
            return _said(label, who, _said(label, _said(label, adverb, verb), self._topic(field)))
        if draw < 0.44:
            return self._event(side, field)
        if draw < 0.50:
            return self._word("closing", (side, _STRONGER[side]), field)
        return self._with_topic(self._graded(side, field), field)

    def _graded(self, side: int, field: str) -> _Said:
        """An adjective, bare or with its degree."""
        rng = self.rng
        draw = rng.random()
        if draw < 0.22:
            return self._word("adjective", (side, _STRONGER[side]), field)
        word = self._word("adjective", (side,), field, graded=True)
        strong = _STRONGER[side]
        if draw < 0.48:
            return _said(side, rng.choice(_MILD_BEFORE), word)
        if draw < 0.62:
            if side == _NEGATIVE:
                return _said(side, rng.choice(_FAINT_BEFORE), word)
            return _said(side, rng.choice(("还算", "比较", "挺", "蛮")), word)
        if draw < 0.80:
            return _said(strong, rng.choice(_STRONG_BEFORE), word)
        before, after, label = rng.choice(
            (
                ("太", "了", strong), ("实在太", "了", strong), ("", "极了", strong),
                ("", "得不得了", strong), ("", "透顶" if side == _NEGATIVE else "至极", strong),
                ("", "得很", side), ("真", "", side), ("挺", "的", side),
                ("", "得要命" if side == _NEGATIVE else "得让人惊讶", strong),
            )
        )  # fmt: skip
        return _said(label, before, word, after)

    def _said_of_noun(self, side: int, field: str) -> _Said:
        """An adjective before 的 and the noun that it is said of."""
        rng = self.rng
        predicate = self._graded(side, field)
        if predicate.text.endswith(("了", "的")):
            predicate = self._word("adjective", (side, _STRONGER[side]), field)
        phrase = _said(predicate.label, _said(predicate.label, predicate, "的"), self._topic(field))
        before = rng.choice(("", "", "真是", "是", "一直是"))
        return _said(phrase.label, before, phrase)

    def _event(self, side: int, field: str) -> _Said:
        rng = self.rng
        event = self._word("event", (side,), field)
        if side == _NEGATIVE:
            adverb = rng.choice(("老是", "经常", "总", "又", "动不动就", "三天两头", "已经"))
            after = "了" if adverb in ("又", "已经") else ""
        else:
            adverb, after = rng.choice(("总是", "每次都", "都能", "一直", "每回都")), ""
        return self._with_topic(_said(side, adverb, event, after), field)

    # Negation

    def _clause_negated(self, side: int, field: str) -> _Said:
        """An opinion on `side` that is said with a negation."""
        draw = self.rng.random()
        if draw < 0.44:
            return self._with_topic(self._negated_adjective(side, field), field)
        if draw < 0.56:
            return self._with_topic(self._negated_noun(side, field), field)
        if draw < 0.68:
            return self._negated_event(side, field)
        if draw < 0.78:
            return self._negated_feeling(side, field)
        if draw < 0.88:
            return self._negated_verb(side, field)
        return self._nothing_more(side, field)

    def _negated_adjective(self, side: int, field: str) -> _Said:
        rng = self.rng
        if side == _POSITIVE:
            word = self._word("adjective", (_NEGATIVE,), field, graded=True)
            return _said(side, rng.choice(_NOT_BAD), word)
        draw = rng.random()
        if draw < 0.12:
            word = self._word("adjective", (_STRONGER[_POSITIVE],), field)
            return _said(
                side, rng.choice(("算不上", "谈不上", "并不", "称不上", "远远谈不上")), word
            )
        word = self._word("adjective", (_POSITIVE,), field, graded=True)
        if draw < 0.26:
            return _said(_STRONGER[side], rng.choice(_NOT_AT_ALL), word)
        if draw < 0.40:
            return _said(side, rng.choice(_LESS), word)
        if draw < 0.46:
            return _said(side, word, "什么", word)  # "comfortable? not at all"
        if draw < 0.52:
            return _said(side, "哪里", word, "了")
        return _said(side, rng.choice(_NOT), word)

    def _negated_noun(self, side: int, field: str) -> _Said:
        rng = self.rng
        noun = self._word("noun", (_OPPOSITE[side],), field)
        before = ("没有", "毫无", "没有任何", "没有一点儿", "没有半点", "看不到什么", "没什么")
        if side == _NEGATIVE:
            return _said(
                side, rng.choice((*before, "缺乏", "缺少", "失去了", "谈不上有什么")), noun
            )
        return _said(side, rng.choice((*before, "没发现", "找不到", "不存在", "没出现")), noun)

    def _negated_event(self, side: int, field: str) -> _Said:
        rng = self.rng
        event = self._word("event", (_OPPOSITE[side],), field)
        if side == _NEGATIVE:
            adverb = rng.choice(("从来不", "没有", "没能", "一次也没", "从不", "总也不", "并没有"))
            return self._with_topic(_said(side, adverb, event), field)
        before, after = rng.choice(
            (
                ("从不", ""),
                ("从来没", "过"),
                ("没有", "过"),
                ("不会", ""),
                ("一次也没", "过"),
                ("再也不", "了"),
            )
        )
        return self._with_topic(_said(side, before, event, after), field)

    def _negated_feeling(self, side: int, field: str) -> _Said:
        rng = self.rng
        feeling = self._word("feeling", (_OPPOSITE[side],), field)
        before = rng.choice(
            (
                "不会让人",
                "没有让人",
                "并不让人",
                "很难让人",
                "从不让人",
                "一点儿也不令人",
                "没让我",
                "不再叫人",
            )
        )
        return self._with_topic(_said(side, before, feeling), field)

    def _negated_verb(self, side: int, field: str) -> _Said:
        rng = self.rng
        if rng.random() < 0.35:  # two negations
            verb = self._word("verb", (side,), field)
            before = rng.choice(("不得不", "不能不", "很难不", "没有理由不", "没有人不", "不会不"))
        else:
            verb = self._word("verb", (_OPPOSITE[side],), field)
            before = rng.choice(
                ("不", "不太", "从来不", "并不", "很难", "没有人", "不会", "没有理由", "不再")
            )
        predicate = _said(side, before, verb)
        who = "" if before.startswith("没有人") else rng.choice(_PEOPLE)
        inner = _said(side, predicate, "这样的", self._topic(field))
        return _said(side, who, inner)

    def _nothing_more(self, side: int, field: str) -> _Said:
        """A negation that makes it stronger: nothing is more so."""
        rng = self.rng
        word = self._word("adjective", (side,), field, graded=True)
        strong = _STRONGER[side]
        topic = self._topic(field)
        draw = rng.randrange(5)
        if draw == 0:
            return self._with_topic(_said(strong, "再", word, "不过了"), field)
        if draw == 1:
            return _said(strong, "没有比这更", word, "的", topic, "了")
        if draw == 2:
            return _said(
                strong, rng.choice(("从没见过这么", "从来没有遇到过这样")), word, "的", topic
            )
        if draw == 3:
            return self._with_topic(
                _said(side, rng.choice(("不能不说", "不可谓不", "不得不说")), word), field
            )
        return self._with_topic(_said(strong, "没有一处不", word), field)

    # Several opinions

    def _clause(self, side: int, field: str) -> _Said:
        """An opinion within a larger one."""
        negated = self.rng.random() < 0.25
        return self._clause_negated(side, field) if negated else self._clause_plain(side, field)

    def _contrast(self, side: int, field: str) -> _Said:
        """Two opinions on different sides, of which one weighs more."""
        rng = self.rng
        main, other = self._clause(side, field), self._clause(_OPPOSITE[side], field)
        draw = rng.random()
        if draw < 0.10:
            return _said(side, main, rng.choice(_AFTERTHOUGHTS), other)
        if draw < 0.18:
            word = self._word("adjective", (_OPPOSITE[side],), field, graded=True)
            joint = rng.choice((("是", "，就是"), ("归", "，但"), ("是", "，可"), ("归", "，")))
            first = _said(word.label, word, joint[0], word)
            return _said(side, first, joint[1], main)
        turns = _TURNS_TO[side] if draw < 0.34 else _TURNS
        before, between = rng.choice(turns)
        return _said(side, _said(other.label, before, other), between, main)

    def _joint(self, side: int, field: str) -> _Said:
        """Two opinions on one side; or of both sides, without weight on either."""
        rng = self.rng
        if rng.random() < 0.3:
            both = [
                self._word("adjective", (label,), field, graded=True)
                for label in (_NEGATIVE, _POSITIVE)
            ]
            rng.shuffle(both)
            before, between = rng.choice(_EITHER)
            return _said(_NEUTRAL, before, both[0], between, both[1])
        before, between = rng.choice(_BOTH)
        if before in ("既", "又"):
            first, second = (self._word("adjective", (side,), field, graded=True) for _ in range(2))
        else:
            first, second = self._clause(side, field), self._clause(side, field)
        strong = first.label == second.label == _STRONGER[side]
        label = _STRONGER[side] if strong else side
        return _said(label, before, first, between, second)

    def _comparison(self, side: int, field: str) -> _Said:
        rng = self.rng
        rival = rng.choice(_RIVALS)
        draw = rng.random()
        if draw < 0.5:
            word = self._word("adjective", (side,), field, graded=True)
            before, after = rng.choice(
                (("更", ""), ("还", ""), ("", "多了"), ("", "一些"), ("", "得多"), ("要", ""))
            )
            inner = _said(side, before, word, after)
            return self._with_topic(_said(side, "比", rival, inner), field)
        word = self._word("adjective", (_OPPOSITE[side],), field, graded=True)
        before = rng.choice(("不比", "没有", "并不比"))
        between = "那么" if before == "没有" else ""
        return self._with_topic(_said(side, before, rival, between, word), field)

    # Facts

    def _fact(self) -> _Said:
        rng = self.rng
        parts: list[str | _Said] = []
        for piece in rng.choice(_FACTS).replace("}", "{").split("{"):
            if piece == "counted":
                noun = rng.choice(self.nouns[rng.choice(_COUNTED)])
                number = "" if parts and parts[-1] in _NUMBERS else rng.choice(("那", "这"))
                parts += [part for part in (number, rng.choice(self.measures[noun]), noun) if part]
            elif piece in self.nouns:
                parts.append(rng.choice(self.nouns[piece]))
            elif piece in ("number", "time", "color", "side"):
                drawn = {"number": _NUMBERS, "time": _TIMES, "color": _COLORS, "side": _SIDES}
                parts.append(rng.choice(drawn[piece]))
            elif piece:
                parts.append(piece)
        return _said(_NEUTRAL, *parts)
