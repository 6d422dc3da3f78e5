"""The commands: what they print, where, and with which exit status."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from standins import POISON, standin_pipeline
from typer.testing import CliRunner

from treenlp.analysis import Alternative, SiteView
from treenlp.cli.app import app
from treenlp.cli.show import Painter, show_analysis
from treenlp.pipeline import Pipeline

Golden = Callable[[str, str], None]
TEACHERS = "两个大学的老师"
FILM = "The film is not good. It is bad."
LINES = "\n".join([TEACHERS, "", "两所大学的老师", FILM, "乒乓球拍卖完了"]) + "\n"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process over the stand-ins: exit status, output, errors."""
    monkeypatch.setattr("treenlp.pipeline.load", lambda *_, **__: standin_pipeline())

    def invoke(*arguments: str, stdin: str | bytes = "") -> tuple[int, str, str]:
        result = CliRunner().invoke(app, list(arguments), input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return invoke


Run = Callable[..., tuple[int, str, str]]


def start(
    tiny: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start the real command with the model of random weights."""
    return subprocess.Popen(
        [sys.executable, "-m", "treenlp", *arguments, "--model", str(tiny)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
    )


def test_analyze_draws_trees_without_colour_in_a_pipe(run: Run, golden: Golden) -> None:
    status, output, errors = run("analyze", TEACHERS, FILM)
    assert (status, errors) == (0, "")
    golden("analyze.txt", output)


def test_analyze_jsonl(run: Run, golden: Golden) -> None:
    status, output, errors = run("analyze", "--jsonl", "-k", "5", stdin=LINES)
    assert (status, errors) == (0, "")
    golden("analyze.jsonl", output)
    assert [json.loads(line)["text"] for line in output.splitlines()] == LINES.splitlines()


def test_analyze_reads_files_one_after_another(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_bytes(b"It is bad.\r\nIt is\rgood.")
    second.write_bytes("a\u2028b\x0cc\u0085d\n".encode())
    _, output, _ = run("analyze", "--jsonl", "-f", str(first), "-f", str(second))
    texts = [json.loads(line)["text"] for line in output.split("\n") if line]
    assert texts == ["It is bad.", "It is\rgood.", "a\u2028b\x0cc\u0085d"]


def test_failed_lines_are_records_and_the_exit_status_is_one(run: Run, golden: Golden) -> None:
    lines = b"It is bad.\n\xe4\xb8\nthey " + POISON.encode() + b"\n\nIt is good.\n"
    status, output, errors = run("analyze", "--jsonl", stdin=lines)
    assert (status, errors) == (1, "")
    golden("failures.jsonl", output)
    found = [json.loads(line) for line in output.splitlines()]
    assert ["error" in value for value in found] == [False, True, True, False, False]
    assert "byte offset 0" in found[1]["error"]
    assert found[1]["text"] == "\ufffd"


def test_an_argument_that_is_no_utf8_fails_alone(run: Run) -> None:
    status, output, _ = run("analyze", "--jsonl", "caf\udce9", "It is good.")
    first, second = (json.loads(line) for line in output.splitlines())
    assert status == 1
    assert first["text"] == "caf\ufffd"
    assert "byte 0xe9 at byte offset 3" in first["error"]
    assert "error" not in second


def test_parse(run: Run, golden: Golden) -> None:
    status, output, errors = run("parse", stdin=LINES)
    assert (status, errors) == (0, "")
    golden("parse.txt", output)
    status, output, _ = run("parse", "-k", "5", TEACHERS, "两所大学的老师")
    assert status == 0
    golden("parse_k.txt", output)


def test_parse_keeps_a_line_for_each_tokenized_line(run: Run) -> None:
    lines = f"It is bad .\n\n{POISON} now\nIt is good .\n"
    status, output, errors = run("parse", "--tokenized", "--lang", "en", stdin=lines)
    assert status == 1
    rows = output.split("\n")
    assert [bool(row) for row in rows] == [True, False, False, True, False]
    assert errors == "treenlp: line 3: found the poison; expected none\n"


def test_sentiment(run: Run, golden: Golden) -> None:
    status, output, errors = run("sentiment", stdin=LINES)
    assert (status, errors) == (0, "")
    golden("sentiment.txt", output)
    _, output, _ = run("sentiment", "--phrases", FILM)
    golden("sentiment_phrases.txt", output)
    _, output, _ = run("sentiment", "--jsonl", FILM)
    assert set(json.loads(output)) == {"schema", "model", "text", "sentiment"}


def test_sentiment_of_a_line_that_fails(run: Run) -> None:
    status, output, errors = run("sentiment", POISON, "It is bad.")
    assert status == 1
    assert output.splitlines()[0] == f"nan\terror\t{POISON}"
    assert output.splitlines()[1].endswith("\tIt is bad.")
    assert errors == "treenlp: line 1: found the poison; expected none\n"


def test_similarity(run: Run) -> None:
    assert run("similarity", "It is good.", "It is good.") == (0, "1.0000\n", "")
    pairs = "a b\ta b\na b\nx\t\n\ta\n" + f"a\t{POISON}\na b c\ta b c\textra\nb a\ta b\n"
    status, output, errors = run("similarity", "--tsv", stdin=pairs)
    assert status == 1
    assert output.splitlines() == ["1.0000", "nan", "nan", "nan", "nan", "nan", "1.0000"]
    assert [line.split(":")[1] for line in errors.splitlines()] == [
        f" line {number}" for number in (2, 3, 4, 5, 6)
    ]
    assert "found 1 column, expected 2" in errors
    assert "found 3 columns, expected 2" in errors


def test_similarity_wants_two_texts_or_a_table(run: Run) -> None:
    for arguments in (["similarity", "one"], ["similarity", "--tsv", "a", "b"], ["similarity"]):
        status, output, errors = run(*arguments)
        assert (status, output) == (2, "")
        assert "two texts" in errors


def test_demo(run: Run, golden: Golden) -> None:
    status, output, errors = run("demo")
    assert (status, errors) == (0, "")
    golden("demo.txt", output)


def shown_site(*alternatives: tuple[str, float]) -> str:
    """The line of a contested place."""
    site = SiteView(
        start=0,
        end=9,
        kind="attachment",
        alternatives=tuple(Alternative(prob=p, gloss=gloss, spans=()) for gloss, p in alternatives),
    )
    analysis = standin_pipeline()(TEACHERS)
    (sentence,) = analysis.sentences
    sentence = replace(sentence, ambiguity=replace(sentence.ambiguity, sites=(site,)))
    shown = show_analysis(replace(analysis, sentences=(sentence,)), Painter(is_coloured=False))
    return next(line.strip() for line in shown.split("\n") if "attachment: " in line)


def test_long_parts_of_a_contested_place_show_their_ends() -> None:
    long, characters = "the man with the telescope in the park", "等了两个小时的学生家长和老师"
    assert shown_site((f"saw|[{long}]", 0.6), (f"[saw {long}]|{characters}", 0.4)) == (
        "attachment: saw|[the man with … in the park] (0.60) "
        "or [saw the man … in the park]|等了两个小时…生家长和老师 (0.40)"
    )


def test_long_parts_stay_whole_where_their_ends_are_alike() -> None:
    one, other = "saw a man in the park near a river", "saw a man at the park near a river"
    assert shown_site((one, 0.6), (other, 0.4)) == f"attachment: {one} (0.60) or {other} (0.40)"


def test_rare_alternatives_of_a_contested_place_are_added_up() -> None:
    assert shown_site(("a|b", 0.91), ("c", 0.03), ("d", 0.03), ("e", 0.02)) == (
        "attachment: a|b (0.91) or c (0.03) or rarer ones (0.05)"
    )
    assert shown_site(("a|b", 0.9), ("c", 0.098), ("d", 0.002)) == (
        "attachment: a|b (0.90) or c (0.10)"
    )


def test_colours_say_what_the_scores_say() -> None:
    shown = show_analysis(standin_pipeline()("It is bad."), Painter(is_coloured=True, width=80))
    assert "\x1b[1;31mvery negative -0.66\x1b[0m" in shown
    assert "NP\x1b[1;31m-0.66\x1b[0m" in shown
    plain = show_analysis(standin_pipeline()("It is bad."), Painter(is_coloured=False, width=80))
    assert "\x1b" not in plain


def test_control_characters_do_not_reach_the_terminal() -> None:
    nlp: Pipeline = standin_pipeline()
    shown = show_analysis(nlp("a\x1b]0;b\x07c\ud800"), Painter(is_coloured=False, width=80))
    assert "\x1b" not in shown
    assert "\ud800" not in shown


def test_help_is_fast_and_loads_no_torch() -> None:
    code = (
        "import sys; sys.argv = ['treenlp', '--help']\n"
        "from treenlp.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as done:\n    print(done.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("0 False\n")
    for command in ("analyze", "parse", "sentiment", "similarity", "models", "demo"):
        assert f"\n  {command} " in done.stdout


def test_a_missing_file_is_one_line_of_error(tiny: Path) -> None:
    process = start(tiny, "parse", "-f", "/nowhere/at/all")
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert output == b""
    assert errors.decode().startswith("treenlp: found no readable file '/nowhere/at/all'")
    assert len(errors.splitlines()) == 1


def test_a_missing_model_is_one_line_of_error() -> None:
    command = [sys.executable, "-m", "treenlp", "analyze", "x", "--model", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("treenlp: found no model 'nowhere'")
    assert len(done.stderr.splitlines()) == 1


def test_the_real_command_in_a_pipe_under_an_ascii_locale(tiny: Path) -> None:
    lines = f"{TEACHERS}\r\n\n".encode() + b"ab\xff\nThe film is good.\n"
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = start(tiny, "analyze", "--jsonl", environment=environment)
    output, errors = process.communicate(lines, timeout=120)
    assert process.returncode == 1
    assert errors == b""
    found = [json.loads(line) for line in output.decode("utf-8").split("\n")[:-1]]
    assert [value["text"] for value in found] == [TEACHERS, "", "ab\ufffd", "The film is good."]
    assert [value.get("error") is None for value in found] == [True, True, False, True]


def test_a_reader_that_goes_away_is_no_error(tiny: Path) -> None:
    process = start(tiny, "parse", "--batch-size", "1")
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(b"The film is good.\n" * 3000)
    process.stdin.close()
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(timeout=120) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_interrupting_is_silent(tiny: Path) -> None:
    process = start(tiny, "parse", "--batch-size", "1")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"The film is good.\n" * 3000)
    process.stdin.flush()
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors == b""
    del output


def test_progress_is_shown_only_to_a_person(tiny: Path) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "treenlp", "parse", "--model", str(tiny)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=slave,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm"},
    )
    os.close(slave)
    output, _ = process.communicate(b"The film is good.\n" * 3, timeout=120)
    shown = b""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(master)
    assert process.returncode == 0
    assert len(output.splitlines()) == 3
    assert b"3 lines" in shown


def test_the_version() -> None:
    from treenlp import __version__

    result = CliRunner().invoke(app, ["--version"])
    assert result.stdout == f"{__version__}\n"


def test_models_are_listed_with_licence_and_data(
    monkeypatch: pytest.MonkeyPatch, tiny: Path
) -> None:
    monkeypatch.setattr("treenlp.catalogue._SHIPPED", tiny.parent)
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 0
    name, size, licence, folder, data = result.stdout.rstrip("\n").split("\t")
    assert (name, licence, folder) == ("tiny", "CC BY-NC-SA 4.0", str(tiny))
    assert size.endswith(" MB")
    assert {"silver_zh", "sst"} < set(data.split(", "))


def test_a_model_that_does_not_say_points_to_its_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("treenlp.catalogue._SHIPPED", tmp_path)
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 1
    assert "no model is installed" in result.stderr
    (tmp_path / "old-1").mkdir()
    (tmp_path / "old-1" / "config.json").write_text("{}", encoding="utf-8")
    result = CliRunner().invoke(app, ["models"])
    assert result.stdout.split("\t")[2:] == [
        "see card.md",
        str(tmp_path / "old-1"),
        "see card.md\n",
    ]
