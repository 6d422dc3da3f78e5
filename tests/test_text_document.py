"""Documents, sentences, Chinese atoms and the text that the model reads."""

from __future__ import annotations

import dataclasses
import pickle
from importlib.resources import files
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from treenlp.errors import InputError
from treenlp.text import (
    Document,
    Lang,
    Sentence,
    chinese_atoms,
    normalize,
    to_simplified,
)
from treenlp.text.characters import is_visible
from treenlp.text.normalize import traditional_table

PIECES = [
    "两所大学", "的", "老師", "著", "。", "，", "MP3", "１２", "3.14", "%", "The dog", "isn't",
    ". ", "❤️", "👨‍👩‍👧", "\ud800", "\u200b", "\x00", "\u0301", " ", "\u3000", "\n", "http://a.cn",
    "；", "、",
]  # fmt: skip
TEXTS = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
LANGS: st.SearchStrategy[Lang] = st.sampled_from(["zh", "en"])


def only(text: str, *, tokenized: bool = False, lang: str = "auto") -> Sentence:
    (sentence,) = Document.from_text(text, tokenized=tokenized, lang=lang)
    return sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("两所大学的老师", "两 所 大 学 的 老 师"),
        ("MP3卖了1,000个", "MP 3 卖 了 1,000 个"),
        ("涨了12.5%，约１／３", "涨 了 12.5% ， 约 １／３"),
        ("8：30见，3，4个人", "8：30 见 ， 3 ， 4 个 人"),
        ("Ｔ恤 naïve 好", "Ｔ 恤 naïve 好"),
        ("看https://a.cn/b?c=1。", "看 https://a.cn/b?c=1 。"),
        ("写信给a.b@c.cn吧", "写 信 给 a.b@c.cn 吧"),
        ("赞👍🏽❤️……", "赞 👍🏽 ❤️ … …"),
        ("好\u200b的\u3000\x00\ufeff吗", "好 的 吗"),
        ("\U00020000\ud800ど", "\U00020000 \ud800 ど"),
    ],
)
def test_chinese_atoms(text: str, expected: str) -> None:
    assert [text[i:j] for i, j in chinese_atoms(text)] == expected.split(" ")


def test_sentences_keep_the_callers_offsets() -> None:
    text = "  他来了。 It isn't late. "
    first, second = Document.from_text(text)
    assert first.text is text
    assert second.text is text
    assert (first.start, first.end, first.lang) == (2, 6, "zh")
    assert (second.surface, second.lang) == ("It isn't late.", "en")
    assert second.atom_texts == ("It", "is", "n't", "late", ".")
    assert second.span(1, 3) == (10, 15)
    assert text[slice(*second.span(1, 3))] == "isn't"
    assert not first.is_tokenized
    assert first.words is None


@given(TEXTS, st.sampled_from(["auto", "zh", "en"]), st.booleans())
def test_any_text_becomes_a_document(text: str, lang: str, tokenized: bool) -> None:
    document = Document.from_text(text, lang=lang, tokenized=tokenized)
    place = 0
    for sentence in document:
        assert lang in ("auto", sentence.lang)
        assert sentence.is_tokenized is tokenized
        assert (sentence.start, sentence.end) == sentence.span(0, sentence.num_atoms)
        for start, end in sentence.atoms:
            assert place <= start < end
            assert not is_visible(text[place:start])
            place = end
        assert len(sentence.model_text) == len(sentence.surface)
        sentence.model_text.encode("utf-8")
        assert pickle.loads(pickle.dumps(sentence)) == sentence
    assert not is_visible(text[place:])


@given(TEXTS, st.integers(1, 9), st.booleans())
def test_stretches_keep_every_atom(text: str, max_atoms: int, tokenized: bool) -> None:
    whole = Document.from_text(text, tokenized=tokenized)
    parts = [part for sentence in whole for part in sentence.stretches(max_atoms)]
    assert [atom for part in parts for atom in part.atoms] == [
        atom for sentence in whole for atom in sentence.atoms
    ]
    assert all(1 <= part.num_atoms <= max_atoms for part in parts)
    assert Document.from_text(text, tokenized=tokenized, max_atoms=max_atoms).sentences == tuple(
        parts
    )


def test_stretches_end_at_the_best_mark() -> None:
    sentence = only("我来，你走；他在、我不在，好")
    assert [part.surface for part in sentence.stretches(8)] == ["我来，你走；", "他在、我不在，好"]
    assert [part.surface for part in sentence.stretches(20)] == [sentence.surface]
    assert [part.surface for part in only("一二三四五六七").stretches(3)] == [
        "一二三",
        "四五六",
        "七",
    ]
    english = only("He came, she went; they stayed here")
    assert [part.surface for part in english.stretches(6)] == [
        "He came, she went;",
        "they stayed here",
    ]


def test_stretches_do_not_cut_given_words() -> None:
    sentence = only("两 所 大学 的 老师", tokenized=True)
    assert [part.surface for part in sentence.stretches(3)] == ["两 所", "大学 的", "老师"]
    assert [part.words for part in sentence.stretches(3)] == [
        ((0, 1), (1, 2)),
        ((0, 2), (2, 3)),
        ((0, 2),),
    ]
    # A word that is longer than a stretch has to be.
    long = Sentence.from_words(["奥林匹克"], lang="zh")
    assert [(part.surface, part.words) for part in long.stretches(3)] == [
        ("奥林匹", ((0, 3),)),
        ("克", ((0, 1),)),
    ]


def test_given_words() -> None:
    text = "两 所\u3000大学 的 MP3\nTwo (big)\u00a0dogs don't"
    chinese, english = Document.from_text(text, tokenized=True)
    assert chinese.atom_texts == ("两", "所", "大", "学", "的", "MP", "3")
    assert chinese.words == ((0, 1), (1, 2), (2, 4), (4, 5), (5, 7))
    assert english.atom_texts == ("Two", "(big)\u00a0dogs", "don't")
    assert english.words == ((0, 1), (1, 2), (2, 3))
    assert only("他 来 了 。 你 呢 ？", tokenized=True).num_atoms == 7


def test_from_words_keeps_neighbours_apart() -> None:
    chinese = Sentence.from_words(["他", "2008", "5", "New York"], lang="zh")
    assert chinese.text == "他20085New York"
    assert chinese.atom_texts == ("他", "2008", "5", "New", "York")
    assert chinese.words == ((0, 1), (1, 2), (2, 3), (3, 5))
    english = Sentence.from_words(["It", "'s", "2\u00a01/2"], lang="en")
    assert english.text == "It 's 2\u00a01/2"
    assert english.atom_texts == ("It", "'s", "2\u00a01/2")
    assert Sentence.from_words(["a", "b"], lang="en", separator="").text == "ab"


@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=6), LANGS)
def test_from_words_gives_the_words_back(words: list[str], lang: Lang) -> None:
    sentence = Sentence.from_words(words, lang=lang)
    assert sentence.words is not None
    assert len(sentence.words) == len(words)
    for word, (first, last) in zip(words, sentence.words, strict=True):
        start, end = sentence.span(first, last)
        assert sentence.text[start:end] in word
        assert is_visible(word) is is_visible(sentence.text[start:end])


def test_given_english_words_are_read_as_running_text() -> None:
    words = ["He", "ca", "n't", "say", "``", "no", "''", "(", "yet", ")", ",", "can", "he", "?"]
    running = Sentence.from_words(words, lang="en").running
    assert running.text == "He can't say ``no'' (yet), can he?"
    assert running.atom_texts == tuple(words)
    assert running.words == tuple((n, n + 1) for n in range(len(words)))
    assert running.running == running
    part = only("x ( y , z ) .", tokenized=True).part(1, 5).running
    assert part.text == "(y, z"


@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=6), LANGS)
def test_running_text_has_the_same_atoms(words: list[str], lang: Lang) -> None:
    sentence = Sentence.from_words(words, lang=lang)
    assert sentence.running.atom_texts == sentence.atom_texts
    assert sentence.running.words == sentence.words
    if lang == "zh":
        assert sentence.running is sentence


def test_what_was_typed_stays_as_it_is() -> None:
    sentence = Sentence.from_text("It 's   fine , is n't it ?", lang="en")
    assert sentence is not None
    assert sentence.running is sentence
    spaced = only("It  is \t fine .", tokenized=True).running
    assert spaced.text == "It  is \t fine."


def test_misuse_is_refused() -> None:
    with pytest.raises(InputError, match="found int, expected a str"):
        Document.from_text(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="found lang='fr', expected one of zh, en"):
        Document.from_text("a", lang="fr")
    with pytest.raises(InputError, match="found max_atoms=0"):
        Document.from_text("", max_atoms=0)
    with pytest.raises(InputError, match="found max_atoms=0"):
        only("a").stretches(0)
    with pytest.raises(InputError, match="found no word"):
        Sentence.from_words([], lang="zh")
    with pytest.raises(InputError, match="found an empty word"):
        Sentence.from_words(["a", ""], lang="en")
    with pytest.raises(InputError, match="without atoms"):
        Sentence(text="", start=0, end=0, lang="en", atoms=())
    with pytest.raises(InputError, match=r"found the atom \[1, 2\) after offset 2"):
        Sentence(text="ab", start=0, end=2, lang="en", atoms=((0, 2), (1, 2)))
    with pytest.raises(InputError, match="found atoms up to 2 in the sentence"):
        Sentence(text="ab", start=0, end=1, lang="en", atoms=((0, 2),))
    with pytest.raises(InputError, match="do not cover the 2 atoms"):
        Sentence(text="ab", start=0, end=2, lang="zh", atoms=((0, 1), (1, 2)), words=((0, 1),))


def test_values_are_frozen() -> None:
    sentence = only("a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="start"):
        sentence.start = 1  # type: ignore[misc]


def test_normalize() -> None:
    assert normalize("Ｔｅｓｔ：兩個\u3000人\x00\u200b", "zh") == "Test:两个 人  "
    assert normalize("“好”。\ud800❤️👨‍👩‍👧", "zh") == "“好”。\ufffd❤️👨‍👩‍👧"
    assert normalize("兩 co\u00adop\t１", "en") == "兩 co-op 1"


@pytest.mark.parametrize(
    ("traditional", "simplified"),
    [
        ("兩所大學的老師", "两所大学的老师"),
        ("之後我們瞭解這裡的麵", "之后我们了解这里的面"),
        ("他看著著名學者的著作", "他看着著名学者的著作"),
        ("鲁迅著《呐喊》，著名作家", "鲁迅著《呐喊》，著名作家"),
        ("乾淨的乾隆年間", "干净的乾隆年间"),
        ("妳和牠", "你和它"),
        ("简体字不变", "简体字不变"),
    ],
)
def test_to_simplified(traditional: str, simplified: str) -> None:
    assert to_simplified(traditional) == simplified


@given(TEXTS)
def test_normalizing_twice_is_normalizing_once(text: str) -> None:
    for lang in ("zh", "en"):
        once = normalize(text, lang)  # type: ignore[arg-type]
        assert len(once) == len(text)
        assert normalize(once, lang) == once  # type: ignore[arg-type]


def test_the_table_is_sorted_one_to_one_and_licensed() -> None:
    path = files("treenlp").joinpath("models").joinpath("traditional.tsv")
    lines = path.read_text(encoding="utf-8").splitlines()
    header = [line for line in lines if line.startswith("#")]
    assert any("OpenCC" in line for line in header)
    assert any("Apache License 2.0" in line for line in header)
    keys = [line[0] for line in lines[len(header) + 1 :]]
    assert all(left < right for left, right in pairwise(keys))
    table = traditional_table()
    assert len(table) == len(keys) > 2500
    assert not {key for key, value in table.items() if key == value}
