"""Getting a reference set: from where its owner publishes it, a mirror, or a folder.

A file is written beside its place, compared with the recorded checksum and only then renamed, so
that what is there stays whole whatever happens. Files that are as recorded are left alone.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from treenlp.data.paths import DATA_VARIABLE, data_root
from treenlp.data.registry import check, get_dataset
from treenlp.errors import DataError

__all__ = ["Fetched", "fetch", "public_addresses"]

_NLTK = "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora/"
_UD = "https://raw.githubusercontent.com/UniversalDependencies/"
_ADDRESSES: Mapping[str, str] = {
    # what stands behind # is a member of a zip file
    **{
        f"sst/{part}.txt": "https://nlp.stanford.edu/sentiment/trainDevTestTrees_PTB.zip"
        f"#trees/{part}.txt"
        for part in ("train", "dev", "test")
    },
    **{
        f"nltk_data/corpora/{name}.zip": f"{_NLTK}{name}.zip"
        for name in ("treebank", "sinica_treebank", "ppattach")
    },
    **{
        f"ud_zh/{treebank}-ud-{part}.conllu": f"{_UD}UD_Chinese-{name}/master/"
        f"{treebank}-ud-{part}.conllu"
        for name, treebank, part in (
            ("GSDSimp", "zh_gsdsimp", "dev"),
            ("GSDSimp", "zh_gsdsimp", "test"),
            ("HK", "zh_hk", "test"),
            ("Beginner", "zh_beginner", "test"),
        )
    },
}
_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What became of one file.

    Attributes:
        file: path below the data root.
        state: "kept" if it was there and as recorded, "new" if it was written.
        source: where it came from; None if it was kept.
    """

    file: str
    state: Literal["kept", "new"]
    source: str | None


def public_addresses(name: str) -> Mapping[str, str]:
    """Return where the files of a set can be had as they are, by path; others have no place.

    Raises:
        DataError: if there is no such set.

    Example:
        >>> public_addresses("ppattach")["nltk_data/corpora/ppattach.zip"].rsplit("/", 1)[1]
        'ppattach.zip'
    """
    return {file: _ADDRESSES[file] for file in get_dataset(name).files if file in _ADDRESSES}


def fetch(
    name: str,
    *,
    source: str | None = None,
    root: Path | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> list[Fetched]:
    """Get the files of a set that are missing or changed.

    Args:
        name: of the set.
        source: a folder, or the address (http, https, file) of one, that holds the sets as this
            root does; None means where the owners publish them. Proxies are those of the
            environment (``https_proxy``).
        root: folder that holds the sets; `data_root` by default.
        report: gets the name of each file before it is fetched.

    Returns:
        What became of each file.

    Raises:
        DataError: if there is no such set, a file cannot be had, or is not the one recorded. Files
            fetched before that stay.
    """
    base = data_root() if root is None else root
    dataset, public = get_dataset(name), public_addresses(name)
    found = []
    for one in check(name, root=base):
        if one.state == "ok":
            found.append(Fetched(file=one.file, state="kept", source=None))
            continue
        if source is not None:
            address = f"{source.rstrip('/')}/{one.file}"
        elif one.file in public:
            address = public[one.file]
        else:
            raise DataError(
                f"{one.file} of {name!r} is published nowhere as it is recorded; its source: "
                f"{dataset.source}. Make it from there, or give --from a folder or mirror that "
                f"holds it; it belongs under {base} (see {DATA_VARIABLE})"
            )
        report(f"{one.file} from {address}")
        content = _read(address)
        digest = hashlib.sha256(content).hexdigest()
        if digest != one.expected:
            raise DataError(
                f"{address}: found SHA-256 {digest}, expected {one.expected}; it is another "
                f"edition, or was damaged on the way. {base / one.file} is left as it was"
            )
        _write(base / one.file, content)
        found.append(Fetched(file=one.file, state="new", source=address))
    return found


def _read(address: str) -> bytes:
    """Read a file by address or path; with ``#member``, that member of a zip file."""
    where, _, member = address.partition("#")
    try:
        if urlsplit(where).scheme in ("http", "https", "file"):
            with urllib.request.urlopen(where, timeout=_SECONDS) as answer:
                content: bytes = answer.read()
        else:
            content = Path(where).expanduser().read_bytes()
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise DataError(
            f"{where} cannot be read ({error}); check the address, the connection and the proxy "
            "(https_proxy), or give --from a folder or mirror"
        ) from error
    if not member:
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read(member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(
            f"{where}: found no member {member} ({error}), expected it there"
        ) from error


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            shutil.copyfileobj(io.BytesIO(content), file)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DataError(f"{path} cannot be written ({error}); nothing was changed") from error
