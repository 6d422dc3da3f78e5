"""Contested places: their kinds, odds and spans."""

from __future__ import annotations

import pytest
from charts import forest_of

from treenlp.disambiguation.sites import Sites, find_sites
from treenlp.errors import InputError

LOW = "(NP (DNP (NP (QP (CD 两) (CLP (M 个))) (NP (NN 大学))) (DEG 的)) (NP (NN 老师)))"
HIGH = "(NP (QP (CD 两) (CLP (M 个))) (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师)))"
NESTED = "(NP (QP (CD 两) (CLP (M 个))) (NP (DNP (NP (NN 大学)) (DEG 的)) (NP (NN 老师))))"


def sites_of(text: str, *trees: tuple[str, float], lang: str = "zh") -> Sites:
    return find_sites(forest_of(text, trees, lang="zh" if lang == "zh" else "en"))


def test_attachment_of_a_number() -> None:
    found = sites_of("两个大学的老师", (LOW, 0.7), (HIGH, 0.3))
    assert found.score == pytest.approx(0.6)
    assert found.kind == "attachment"
    assert found.entropy > 0.5
    (site,) = found.sites
    assert (site.start, site.end, site.kind) == (0, 7, "attachment")
    assert [a.prob for a in site.alternatives] == pytest.approx([0.7, 0.3])
    assert [a.gloss for a in site.alternatives] == ["[两个大学]的|老师", "两个|[大学]的|老师"]
    assert [a.spans for a in site.alternatives] == [((0, 4),), ()]


def test_offsets_are_those_of_the_callers_text() -> None:
    found = sites_of(" 两 个大学的老师", (LOW, 0.7), (HIGH, 0.3))
    (site,) = found.sites
    assert (site.start, site.end) == (1, 9)
    assert site.alternatives[0].spans == ((1, 6),)


def test_balanced_evidence_scores_one() -> None:
    assert sites_of("两个大学的老师", (LOW, 0.5), (HIGH, 0.5)).score == pytest.approx(1.0)


def test_brackets_that_mean_the_same_are_no_site() -> None:
    found = sites_of("两个大学的老师", (HIGH, 0.5), (NESTED, 0.5))
    assert found.score == pytest.approx(0.0)
    assert found.kind is None
    assert found.sites == ()
    assert found.entropy > 0.5


def test_little_doubt_has_a_site_but_no_kind() -> None:
    found = sites_of("两个大学的老师", (LOW, 0.98), (HIGH, 0.02))
    assert found.score == pytest.approx(0.04)
    assert found.kind is None
    assert len(found.sites) == 1


def test_category() -> None:
    found = sites_of(
        "学习文件",
        ("(NP (NN 学习) (NN 文件))", 0.6),
        ("(IP (VP (VV 学习) (NP (NN 文件))))", 0.4),
    )
    (site,) = found.sites
    assert found.kind == site.kind == "category"
    assert (site.start, site.end) == (0, 4)
    assert [a.prob for a in site.alternatives] == pytest.approx([0.6, 0.4])


def test_category_with_equal_dependencies() -> None:
    found = sites_of(
        "经济发展",
        ("(NP (NN 经济) (NN 发展))", 0.6),
        ("(IP (NP (NN 经济)) (VP (VV 发展)))", 0.4),
    )
    assert found.kind == "category"
    assert found.score == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("text", "first", "second", "wanted"),
    [
        pytest.param(
            "他来听课",
            "(IP (NP (PN 他)) (VP (VV 来) (VP (VV 听) (NP (NN 课)))))",
            "(IP (NP (PN 他)) (VP (ADVP (AD 来)) (VP (VV 听) (NP (NN 课)))))",
            ["他|[来听课] (来: verbal)", "他|[来听课] (来: modifying)"],
            id="labels",
        ),
        pytest.param(
            "清朝挖的",
            "(NP (CP (IP (NP (NR 清朝)) (VP (VV 挖))) (SP 的)))",
            "(CP (IP (NP (NR 清朝)) (VP (VV 挖))) (SP 的))",
            ["清朝|挖 (挖: nominal)", "清朝|挖 (挖: clausal)"],
            id="what is around the place",
        ),
    ],
)
def test_alternatives_that_group_alike_are_told_apart(
    text: str, first: str, second: str, wanted: list[str]
) -> None:
    site = sites_of(text, (first, 0.6), (second, 0.4)).sites[0]
    assert [a.gloss for a in site.alternatives] == wanted


def test_segmentation() -> None:
    found = sites_of(
        "乒乓球拍卖完了",
        ("(IP (NP (NN 乒乓球拍)) (VP (VRD (VV 卖) (VV 完)) (AS 了)))", 0.6),
        ("(IP (NP (NN 乒乓球)) (VP (VRD (VV 拍卖) (VV 完)) (AS 了)))", 0.4),
    )
    (site,) = found.sites
    assert found.kind == "segmentation"
    assert (site.start, site.end) == (0, 5)
    assert found.score == pytest.approx(0.8)


def test_split_compounds_are_no_site() -> None:
    found = sites_of(
        "乒乓球拍卖完了",
        ("(IP (NP (NN 乒乓球拍)) (VP (VRD (VV 卖) (VV 完)) (AS 了)))", 0.6),
        ("(IP (NP (NN 乒乓) (NN 球拍)) (VP (VRD (VV 卖) (VV 完)) (AS 了)))", 0.4),
    )
    assert found.sites == ()
    assert found.score == pytest.approx(0.0)


def test_coordination() -> None:
    found = sites_of(
        "大学和中学的老师",
        ("(NP (DNP (NP (NP (NN 大学)) (CC 和) (NP (NN 中学))) (DEG 的)) (NP (NN 老师)))", 0.7),
        ("(NP (NP (NN 大学)) (CC 和) (NP (DNP (NP (NN 中学)) (DEG 的)) (NP (NN 老师))))", 0.3),
    )
    assert found.kind == "coordination"
    (site,) = found.sites
    assert "[大学和中学]的|老师" in [a.gloss for a in site.alternatives]
    assert sum(a.prob for a in site.alternatives) == pytest.approx(1.0)


def test_places_far_apart_are_sites_of_their_own() -> None:
    def tree(first: str, second: str) -> str:
        return f"(IP {first} (VP (VC 是) {second}))"

    one = [LOW, HIGH]
    other = [x.replace("大学", "中学").replace("老师", "学生") for x in one]
    pairs = [(tree(a, b), 0.25) for a in one for b in other]
    # Each of the four has an equal share, so the two places know nothing of each other.
    found = sites_of("两个大学的老师是两个中学的学生", *pairs)
    assert [(s.start, s.end) for s in sorted(found.sites, key=lambda s: s.start)] == [
        (0, 7),
        (8, 15),
    ]
    assert found.score == pytest.approx(1.0)


def test_prepositional_phrase_in_english() -> None:
    text = "She saw the man with glasses"
    found = sites_of(
        text,
        (
            "(S (NP (PRP She)) (VP (VBD saw) (NP (DT the) (NN man)) "
            "(PP (IN with) (NP (NNS glasses)))))",
            0.6,
        ),
        (
            "(S (NP (PRP She)) (VP (VBD saw) (NP (NP (DT the) (NN man)) "
            "(PP (IN with) (NP (NNS glasses))))))",
            0.4,
        ),
        lang="en",
    )
    (site,) = found.sites
    assert site.kind == "attachment"
    assert text[site.start : site.end] == "saw the man with glasses"


def test_samples_stand_in_for_a_spread_posterior() -> None:
    view = forest_of("两个大学的老师", [(LOW, 0.6), (HIGH, 0.4)])
    drawn = find_sites(view, num_trees=1, seed=3)
    assert drawn.sites == ()
    # One tree holds too little, and so does one draw; many draws come near the odds.
    trees = view.sampled_interpretations(2000, seed=3)
    low = sum(str(t.tree) == LOW for t in trees) / len(trees)
    assert low == pytest.approx(0.6, abs=0.05)


def test_no_trees_to_look_at() -> None:
    view = forest_of("两个大学的老师", [(LOW, 1.0)])
    with pytest.raises(InputError, match="num_trees=0"):
        find_sites(view, num_trees=0)
