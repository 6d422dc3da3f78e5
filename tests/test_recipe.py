"""The recipe on a trunk of seven tiny layers: its notes, and what a model says of itself."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from standins import SENTENCES
from tiny import write_tiny_model

from treenlp import load
from treenlp.data.registry import get_dataset
from treenlp.data.treebanks import spell_english
from treenlp.encoder import Trunk, TrunkConfig, save_weights
from treenlp.experiment import recipe
from treenlp.experiment.agreement import AgreementPairs
from treenlp.experiment.parser_data import ParserData
from treenlp.experiment.parser_stage import tree_target
from treenlp.experiment.recipe import (
    ENGLISH_RANK,
    TRUNK_VERSION,
    RecipeConfig,
    pack,
    run_recipe,
    with_english_view,
    without_views,
)
from treenlp.parsing.atoms import AtomBatch
from treenlp.parsing.parser import ChartParser, load_parser
from treenlp.parsing.targets import ChartTarget
from treenlp.text import Sentence
from treenlp.trees.brackets import parse_brackets


def strict_json(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture
def trunk_folder(tiny: Path, tmp_path: Path) -> Path:
    """What experiments/trunk/convert.py writes, with random weights."""
    folder = tmp_path / "trunk"
    folder.mkdir()
    tokenizer = (tiny / "tokenizer.json").read_text(encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    config = TrunkConfig(
        vocab_size=load_parser(tiny).tokenizer.vocab_size,
        hidden_size=32,
        num_layers=7,
        num_heads=2,
        intermediate_size=32,
        max_positions=64,
    )
    torch.manual_seed(5)
    save_weights(folder / "trunk.safetensors", Trunk(config).state_dict(), version=TRUNK_VERSION)
    (folder / "trunk.json").write_text(json.dumps({"trunk": asdict(config)}), encoding="utf-8")
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the recipe asks of its data; the data are the stand-ins' few sentences."""
    seen: dict[str, Any] = {"runs": 0}
    trees = {
        lang: tuple(
            parse_brackets(brackets)
            for text, options in SENTENCES.items()
            if (text[0] < "\u4e00") == (lang == "en")
            for brackets, _ in options
            for _ in range(6)
        )
        for lang in ("zh", "en")
    }

    def read(generated: object, *, free: bool, **more: object) -> ParserData:
        seen.update(free=free, runs=seen["runs"] + 1)
        return ParserData(
            chinese=trees["zh"],
            english=trees["en"],
            automatic_english=(),
            gold=(),
            generated=(),
            agreement=AgreementPairs(counted={("位", "老师"): 1, ("所", "大学"): 1}, objects={}),
        )

    class NoTexts:
        @classmethod
        def read(cls, own: Mapping[str, object]) -> NoTexts:
            seen["own"] = own
            return cls()

        def holds(self, text: str) -> bool:
            return False

    def held_out(parser: ChartParser) -> dict[str, list[ChartTarget]]:
        found = (
            tree_target(spell_english(tree), parser.scorer.grammars["en"], "en")
            for tree in trees["en"]
        )
        return {"en": [target for target in found if target is not None]}

    monkeypatch.setattr(recipe, "calibration_targets", held_out)
    monkeypatch.setattr(recipe.ParserData, "read", read)
    monkeypatch.setattr(recipe, "MeasuredTexts", NoTexts)
    monkeypatch.setattr(recipe, "generate", lambda **sizes: seen.update(sizes))
    return seen


def test_a_free_model_parses_and_says_so(
    tmp_path: Path, trunk_folder: Path, asked: dict[str, Any]
) -> None:
    said: list[str] = []
    config = RecipeConfig(parser_steps=2, english_steps=2, generated=7, free=True)
    output = tmp_path / "mine-1"
    for _ in range(2):  # the second time the trained parser is there
        assert run_recipe(
            tmp_path / "work", output, config, trunk_folder=trunk_folder, say=said.append
        )
    assert (asked["runs"], asked["free"], asked["n"], asked["split"]) == (1, True, 7, "train")
    assert len(asked["own"]["natural cases"]) > 10
    assert "一个来自北大，一个来自清华。" in asked["own"]["contexts"]
    for stage in ("parser", "english"):
        note = strict_json(tmp_path / "work" / stage / "done.json")
        assert note == {**asdict(config), "minutes": None}
    assert any("no free set teaches sentiment" in line for line in said)
    written = strict_json(output / "config.json")
    assert written["licence"].startswith("CC BY-SA 4.0")
    assert {"ud_beginner", "wsj_sample", "sst"}.isdisjoint(written["data"])
    assert "meaning" not in written
    assert written["parser"]["english_rank"] == ENGLISH_RANK
    assert written["parser"]["temperature_en"] != 1.0 == written["parser"]["temperature_zh"]
    nlp = load(str(output), trees_only=True)
    (outcome,) = nlp.pipe_trees(["两个大学的老师"])
    assert outcome.value is not None
    assert "".join(outcome.value[0][0].tree.leaves) == "两个大学的老师"


def test_a_model_gone_on_from_another_keeps_its_licence(
    tiny: Path, tmp_path: Path, trunk_folder: Path, asked: dict[str, Any]
) -> None:
    config = RecipeConfig(parser_steps=2, english_steps=2, free=True, minutes=30.0)
    own = tmp_path / "own-1"
    run_recipe(tmp_path / "one", own, config, trunk_folder=trunk_folder)
    assert strict_json(tmp_path / "one" / "parser" / "done.json")["minutes"] == 30.0
    following = tmp_path / "own-2"
    assert run_recipe(tmp_path / "two", following, config, trunk_folder=trunk_folder, initial=own)
    assert strict_json(following / "config.json")["licence"].startswith("CC BY-SA 4.0")
    values = strict_json(own / "config.json")
    (own / "config.json").write_text(
        json.dumps({**values, "licence": "CC BY-NC-SA 4.0"}), encoding="utf-8"
    )
    assert run_recipe(tmp_path / "two", following, config, trunk_folder=trunk_folder, initial=own)
    assert strict_json(following / "config.json")["licence"] == "CC BY-NC-SA 4.0"


def test_english_learns_a_view_of_the_trunk_that_is_packed(tiny: Path) -> None:
    parser = load_parser(tiny)
    shared = without_views(parser.scorer, parser.trunk)
    assert not shared.views
    trunk = copy.deepcopy(parser.trunk)
    viewed = with_english_view(shared, trunk)
    learned = {name for name, value in viewed.named_parameters() if value.requires_grad}
    assert learned
    assert all(name.startswith(("views.en.", "heads.en.")) for name in learned)
    kept = viewed.state_dict()
    for name, value in shared.state_dict().items():
        assert name.startswith("heads.en.") or torch.equal(kept[name], value)
    sentence = Sentence.from_text("The cat runs.", lang="en")
    assert sentence is not None
    batch = AtomBatch.build([sentence], parser.tokenizer, max_positions=64)
    with torch.no_grad():
        before = viewed.contextualize(trunk, batch)
        trunk.layers[-1].get_parameter("outer.weight").add_(1.0)
        assert not torch.equal(viewed.contextualize(trunk, batch), before)


def test_time_running_out_leaves_no_model_and_no_note(
    tmp_path: Path, trunk_folder: Path, asked: dict[str, Any]
) -> None:
    config = RecipeConfig(parser_steps=3, free=True, minutes=0.0)
    output = tmp_path / "mine-1"
    assert not run_recipe(tmp_path / "work", output, config, trunk_folder=trunk_folder)
    assert not output.exists()
    assert not (tmp_path / "work" / "parser" / "done.json").exists()


def test_a_packed_model_names_its_licence_and_its_sets(tmp_path: Path, tiny: Path) -> None:
    whole = strict_json(tiny / "config.json")
    assert whole["licence"] == "CC BY-NC-SA 4.0"
    assert {"ud_beginner", "sick", "sst", "chnsenticorp", "pku_199801"} < set(whole["data"])
    parser = load_parser(tiny)
    pack(
        tmp_path / "free",
        name="free",
        trunk=parser.trunk,
        frozen_layers=1,
        scorer=parser.scorer,
        tokenizer_file=tiny / "tokenizer.json",
        free=True,
    )
    free = strict_json(tmp_path / "free" / "config.json")
    assert set(free["data"]) < set(whole["data"])
    assert set(whole["data"]) == {get_dataset(name).name for name in whole["data"]}
    left_out = set(whole["data"]) - set(free["data"])
    assert not any(get_dataset(name).is_free for name in left_out)


def test_equal_models_are_written_equally(tiny: Path, tmp_path: Path) -> None:
    again = write_tiny_model(tmp_path / "again")
    for name in ("trunk", "parser", "meaning", "whole_text"):
        one, other = (load_file(folder / f"{name}.safetensors") for folder in (tiny, again))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
