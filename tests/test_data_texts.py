"""Labelled texts by name: the reviews, and folders that a real ``datasets`` reads."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pytest

from treenlp.data import texts as texts_module
from treenlp.data.hub import hub_parts
from treenlp.data.sentiment import RawReview, join_reviews
from treenlp.data.texts import read_texts
from treenlp.errors import DataError
from treenlp.experiment.lab.texts import choose_texts


@pytest.fixture(autouse=True)
def _no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub-cache")


def write_lines(folder: Path, **parts: list[dict[str, object]]) -> Path:
    folder.mkdir(exist_ok=True)
    for part, rows in parts.items():
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
        (folder / f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def rows(*pairs: tuple[object, object]) -> list[dict[str, object]]:
    return [{"words": text, "side": label} for text, label in pairs]


def test_a_folder_of_json_lines_keeps_its_parts(tmp_path: Path) -> None:
    folder = write_lines(
        tmp_path / "tea",
        train=rows(("茶很香。", "good"), ("太淡了。", "bad"), (" ", "bad"), ("没有标签", None)),
        validation=rows(("还可以", "good")),
        test=rows(("Too weak.", "bad")),
    )
    found = read_texts(f"datasets:{folder}", text="words", label="side")
    assert found.classes == ("bad", "good")
    assert [(text.text, text.label) for text in found.parts["train"]] == [
        ("茶很香。", 1),
        ("太淡了。", 0),
    ]
    assert [len(found.parts[part]) for part in ("dev", "test")] == [1, 1]


def test_class_labels_are_called_by_their_names(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["贬", "褒"])}
    )
    made = datasets.Dataset.from_dict(
        {"text": ["好", "坏", "?"], "label": [1, 0, -1]}, features=features
    )
    datasets.DatasetDict({"train": made, "test": made}).save_to_disk(str(tmp_path / "saved"))
    assert hub_parts(str(tmp_path / "saved"), ("label", "text"))["test"] == [
        ("褒", "好"),
        ("贬", "坏"),
        (None, "?"),
    ]


def test_missing_parts_are_cut_from_the_training_texts(tmp_path: Path) -> None:
    pairs = [(f"第{n}杯茶{'很好' if n % 2 else '不好'}", str(n % 2)) for n in range(300)]
    copies = [(f"{text}！", label) for text, label in pairs[:50]]
    folder = write_lines(tmp_path / "tea", train=rows(*pairs, *copies))
    found = read_texts(f"datasets:{folder}", text="words", label="side")
    sizes = {part: len(texts) for part, texts in found.parts.items()}
    assert sum(sizes.values()) == 350
    assert 15 < sizes["dev"] < 65
    assert 15 < sizes["test"] < 65
    part_of = {text.text: part for part, texts in found.parts.items() for text in texts}
    assert all(part_of[text] == part_of[f"{text}！"] for text, _ in pairs[:50])


def test_a_part_without_answers_is_cut_from_the_training_texts(tmp_path: Path) -> None:
    pairs = [(f"cup {n}", n % 2) for n in range(200)]
    folder = write_lines(
        tmp_path / "tea",
        train=rows(*pairs),
        validation=rows(("e f", 1), ("7", 0)),
        test=rows(("g h", -1)),
    )
    found = read_texts(f"datasets:{folder}", text="words", label="side")
    assert found.classes == ("0", "1")
    assert len(found.parts["train"]) + len(found.parts["test"]) == 200
    assert 5 < len(found.parts["test"]) < 45
    assert [text.text for text in found.parts["dev"]] == ["e f", "7"]


def test_minus_one_is_a_class_where_it_is_learned_from(tmp_path: Path) -> None:
    folder = write_lines(
        tmp_path / "tea",
        train=rows(("a", -1), ("b", 0), ("c", 1)),
        validation=rows(("d", -1)),
        test=rows(("e", 1)),
    )
    found = read_texts(f"datasets:{folder}", text="words", label="side")
    assert found.classes == ("-1", "0", "1")
    assert [text.label for text in found.parts["train"]] == [0, 1, 2]
    assert len(found.parts["dev"]) == 1


def test_errors_name_place_and_remedy(tmp_path: Path) -> None:
    folder = write_lines(
        tmp_path / "tea",
        train=rows(("茶", "good"), ("水", "bad")),
        test=rows(("x", "odd")),
    )
    with pytest.raises(DataError, match="test: found the label 'odd', expected one .*: bad, good"):
        read_texts(f"datasets:{folder}", text="words", label="side")
    with pytest.raises(DataError, match="found no column 'label', expected one of: words, side"):
        read_texts(f"datasets:{folder}", text="words")


def test_a_corpus_needs_classes_and_a_training_part(tmp_path: Path) -> None:
    one = write_lines(tmp_path / "one", train=rows(("茶", "good")))
    with pytest.raises(DataError, match=r"found the classes \('good',\) in 'side'"):
        read_texts(f"datasets:{one}", text="words", label="side")
    none = write_lines(tmp_path / "none", test=rows(("茶", "good")))
    with pytest.raises(DataError, match="found the splits test, expected one that is called train"):
        read_texts(f"datasets:{none}", text="words", label="side")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found the source 'hotels', expected one of: chnsentic"):
        read_texts("hotels")
    with pytest.raises(DataError, match="cannot be read as a corpus on the hub, and there is no s"):
        read_texts("datasets:nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="cannot be read as a folder"):
        read_texts(f"datasets:{tmp_path / 'empty'}")


def test_reviews_keep_their_joint_split(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = [
        RawReview(
            text=f"第{n}间房{'好' if n % 3 else '差'}",
            label=int(bool(n % 3)),
            source="ChnSentiCorp" if n % 2 else "online_shopping_10_cats",
            category="酒店",
        )
        for n in range(200)
    ]
    reviews = join_reviews(raw)
    monkeypatch.setattr(texts_module, "read_reviews", lambda: reviews)
    found = read_texts("chnsenticorp")
    hotels = [review for review in reviews if "ChnSentiCorp" in review.sets]
    for part, own in {"train": "train", "tune": "dev", "held_out": "test"}.items():
        texts = [review.text for review in hotels if review.part == part]
        assert [text.text for text in found.parts[own]] == texts  # type: ignore[index]


def test_so_many_texts_are_drawn(tmp_path: Path) -> None:
    pairs = [(f"{n} cups of tea", n % 2) for n in range(100)]
    folder = write_lines(tmp_path / "tea", train=rows(*pairs), validation=rows(*pairs[:9]))
    parts = read_texts(f"datasets:{folder}", text="words", label="side").parts
    chosen = choose_texts(parts, items=20)
    assert len(chosen["train"]) == len({text.text for text in chosen["train"]}) == 20
    assert chosen["dev"] == list(parts["dev"])
    assert chosen == choose_texts(parts, items=20)
    assert len(choose_texts(parts, items=1_000)["train"]) == len(parts["train"])
