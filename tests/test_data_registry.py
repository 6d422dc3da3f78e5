"""The registry of reference sets, without the sets."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from treenlp.data import registry
from treenlp.data.dependencies import UD_ZH_PARTS
from treenlp.data.registry import DATASETS, check, checksums, get_dataset
from treenlp.data.treebanks import MCTB_DOMAINS, SILVER_EN_PARTS, SILVER_ZH_PARTS
from treenlp.errors import DataError


def test_every_file_has_one_checksum_and_one_set() -> None:
    files = [file for dataset in DATASETS.values() for file in dataset.files]
    assert sorted(files) == sorted(checksums())
    assert all(len(digest) == 64 and int(digest, 16) for digest in checksums().values())


def test_nothing_is_left_unsaid() -> None:
    for name, dataset in DATASETS.items():
        assert dataset.name == name
        for text in (dataset.title, dataset.source, dataset.licence, dataset.citation, dataset.use):
            assert text.strip(), name
        if "NC" in dataset.licence or "none stated" in dataset.licence:
            assert not dataset.is_free, name


def test_the_files_that_are_read_are_registered() -> None:
    read = {f"ud_zh/{part.file}" for part in UD_ZH_PARTS}
    read |= {f"mctb_en/{domain}.txt" for domain in MCTB_DOMAINS}
    read |= {f"silver_en/{part}.txt" for part in SILVER_EN_PARTS}
    read |= {f"silver_zh/{part}.trees.txt.gz" for part in SILVER_ZH_PARTS}
    read |= {f"text_zh/{part}.sentences.txt.gz" for part in SILVER_ZH_PARTS}
    assert read <= set(checksums())


def test_check_tells_same_changed_and_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = {f"sst/{part}.txt": hashlib.sha256(b"(2 (2 a) (2 b))").hexdigest()
                for part in ("train", "dev", "test")}  # fmt: skip
    monkeypatch.setattr(registry, "checksums", lambda: recorded)
    (tmp_path / "sst").mkdir()
    (tmp_path / "sst" / "train.txt").write_bytes(b"(2 (2 a) (2 b))")
    (tmp_path / "sst" / "test.txt").write_bytes(b"(2 (2 a) (2 c))")
    states = {found.file: found.state for found in check("sst", root=tmp_path)}
    assert states == {"sst/train.txt": "ok", "sst/dev.txt": "missing", "sst/test.txt": "changed"}


def test_unknown_sets_are_refused() -> None:
    with pytest.raises(DataError, match=r"unknown data set 'SST'; expected one of sst, sick"):
        get_dataset("SST")
