"""Getting reference sets, from folders and over a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from treenlp.cli.app import app
from treenlp.data import fetch as fetching
from treenlp.data import registry
from treenlp.data.fetch import fetch, public_addresses
from treenlp.data.registry import DATASETS, check
from treenlp.errors import DataError

PARTS = {f"sst/{part}.txt": f"(2 (2 {part}) (2 b))\n".encode() for part in ("train", "dev", "test")}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *ignored: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A registry that expects `PARTS` of sst; the root that sets are looked for under."""
    sums = {file: "0" * 64 for dataset in DATASETS.values() for file in dataset.files}
    sums.update({file: hashlib.sha256(content).hexdigest() for file, content in PARTS.items()})
    monkeypatch.setattr(registry, "checksums", lambda: sums)
    monkeypatch.setenv("TREENLP_DATA", str(tmp_path / "root"))
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    return tmp_path / "root"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder that holds the sets, and the zip file that sst is published in."""
    folder = tmp_path / "mirror"
    for file, content in PARTS.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
    with zipfile.ZipFile(folder / "sst.zip", "w") as archive:
        for file, content in PARTS.items():
            archive.writestr(f"trees/{Path(file).name}", content)
    return folder


@pytest.fixture
def address(mirror: Path) -> Iterator[str]:
    """The mirror, served over HTTP."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(mirror))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def states(root: Path) -> set[str]:
    return {one.state for one in check("sst", root=root)}


def test_a_set_comes_from_a_folder_or_a_mirror(mirror: Path, address: str, tmp_path: Path) -> None:
    for n, source in enumerate((str(mirror), mirror.as_uri(), address, address + "/")):
        root = tmp_path / f"root{n}"
        assert {one.state for one in fetch("sst", source=source, root=root)} == {"new"}
        assert states(root) == {"ok"}
        assert sorted(path.name for path in (root / "sst").iterdir()) == [
            "dev.txt",
            "test.txt",
            "train.txt",
        ]


def test_whole_files_are_kept_and_others_replaced(mirror: Path, recorded: Path) -> None:
    (recorded / "sst").mkdir(parents=True)
    (recorded / "sst" / "dev.txt").write_bytes(PARTS["sst/dev.txt"])
    (recorded / "sst" / "test.txt").write_bytes(b"half")
    said: list[str] = []
    found = fetch("sst", source=str(mirror), report=said.append)
    assert {one.file: one.state for one in found} == {
        "sst/train.txt": "new",
        "sst/dev.txt": "kept",
        "sst/test.txt": "new",
    }
    assert len(said) == 2
    assert states(recorded) == {"ok"}


def test_members_of_zip_files_are_found(
    address: str, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {file: f"{address}/sst.zip#trees/{Path(file).name}" for file in PARTS}
    monkeypatch.setattr(fetching, "_ADDRESSES", places)
    fetch("sst")
    assert states(recorded) == {"ok"}
    (recorded / "sst" / "dev.txt").unlink()
    monkeypatch.setattr(fetching, "_ADDRESSES", {**places, "sst/dev.txt": f"{address}/sst.zip#no"})
    with pytest.raises(DataError, match=r"sst.zip: found no member no .* expected it there"):
        fetch("sst")
    monkeypatch.setattr(
        fetching, "_ADDRESSES", {**places, "sst/dev.txt": f"{address}/sst/dev.txt#no"}
    )
    with pytest.raises(DataError, match="not a zip file"):
        fetch("sst")


def test_another_edition_is_refused_and_nothing_is_lost(mirror: Path, recorded: Path) -> None:
    (recorded / "sst").mkdir(parents=True)
    (recorded / "sst" / "dev.txt").write_bytes(b"mine")
    (mirror / "sst" / "dev.txt").write_bytes(b"another edition")
    with pytest.raises(DataError, match=r"found SHA-256 [0-9a-f]{64}, expected .* another edition"):
        fetch("sst", source=str(mirror))
    assert (recorded / "sst" / "dev.txt").read_bytes() == b"mine"
    assert (recorded / "sst" / "train.txt").read_bytes() == PARTS["sst/train.txt"]


def test_what_cannot_be_had_is_said(address: str, mirror: Path, recorded: Path) -> None:
    with pytest.raises(DataError, match=r"bq.dev.tsv of 'bq' is published nowhere .* give --from"):
        fetch("bq")
    with pytest.raises(DataError, match=r"bq.dev.tsv cannot be read .*404.*https_proxy"):
        fetch("bq", source=address)
    with pytest.raises(DataError, match=r"bq.dev.tsv cannot be read"):
        fetch("bq", source=str(mirror))
    with pytest.raises(DataError, match="unknown data set 'SST'"):
        fetch("SST")
    assert not recorded.exists()


def test_a_full_disk_leaves_the_old_file(
    mirror: Path, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recorded / "sst").mkdir(parents=True)
    (recorded / "sst" / "train.txt").write_bytes(b"old")

    def full(source: io.BytesIO, target: Any) -> None:
        target.write(source.read(3))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("treenlp.data.fetch.shutil.copyfileobj", full)
    with pytest.raises(DataError, match="cannot be written .*No space left"):
        fetch("sst", source=str(mirror))
    assert [path.name for path in (recorded / "sst").iterdir()] == ["train.txt"]
    assert (recorded / "sst" / "train.txt").read_bytes() == b"old"


def test_addresses_belong_to_files_of_the_registry() -> None:
    files = {file for dataset in DATASETS.values() for file in dataset.files}
    assert set(fetching._ADDRESSES) <= files
    assert all(place.startswith("https://") for place in fetching._ADDRESSES.values())
    assert set(public_addresses("ud_gsdsimp")) == set(DATASETS["ud_gsdsimp"].files)
    assert public_addresses("silver_zh") == {}


def test_commands_list_check_and_get(mirror: Path, recorded: Path) -> None:
    run = CliRunner()
    listed = run.invoke(app, ["data", "list", "sst", "bq"])
    assert listed.exit_code == 0
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert [row[:2] for row in rows] == [["sst", "0 of 3"], ["bq", "0 of 1"]]
    assert rows[1][2:] == ["research use", DATASETS["bq"].title]
    assert str(recorded) in listed.stderr
    assert len(run.invoke(app, ["data", "list"]).stdout.splitlines()) == len(DATASETS)

    missing = run.invoke(app, ["data", "check", "sst"])
    assert missing.exit_code == 1
    assert missing.stdout == "".join(f"missing\t{file}\n" for file in PARTS)
    assert "3 files are missing or changed" in missing.stderr

    got = run.invoke(app, ["data", "get", "bq", "sst", "--from", str(mirror)])
    assert got.exit_code == 1  # bq is not there, sst is had nevertheless
    assert got.stdout == "".join(f"new\t{file}\n" for file in PARTS)
    assert "bq.dev.tsv cannot be read" in got.stderr
    again = run.invoke(app, ["data", "get", "sst"])
    assert (again.exit_code, again.stdout) == (0, "".join(f"kept\t{file}\n" for file in PARTS))

    whole = run.invoke(app, ["data", "check", "sst", "--json"])
    assert whole.exit_code == 0
    assert {row["state"] for row in json.loads(whole.stdout)["files"]} == {"ok"}
    (row,) = map(json.loads, run.invoke(app, ["data", "list", "sst", "--json"]).stdout.splitlines())
    assert row["there"] == 3
    assert row["addresses"]["sst/dev.txt"].endswith("#trees/dev.txt")


def test_an_unknown_set_is_an_error_of_its_own() -> None:
    for command in ("list", "check", "get"):
        found = CliRunner().invoke(app, ["data", command, "sst2"])
        assert isinstance(found.exception, DataError)
        assert "unknown data set 'sst2'; expected one of sst, " in str(found.exception)
