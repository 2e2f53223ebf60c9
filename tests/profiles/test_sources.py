"""Reading YAML, .env, secrets and quorum.json, and saying what is wrong with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from quorum.profiles import sources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from quorum.errors import Problem


@pytest.fixture
def problems() -> list[Problem]:
    """Gather what is wrong."""
    return []


@pytest.fixture
def yaml(tmp_path: Path, problems: list[Problem]) -> Callable[[str], dict[str, Any]]:
    """Read a text as the YAML file `a.yml`."""

    def read(text: str) -> dict[str, Any]:
        (tmp_path / "a.yml").write_text(text, encoding="utf-8")
        return sources.read_yaml(tmp_path / "a.yml", "a.yml", problems)

    return read


@pytest.fixture
def dotenv(tmp_path: Path, problems: list[Problem]) -> Callable[[str], dict[str, str]]:
    """Read a text as the file `.env`."""

    def read(text: str) -> dict[str, str]:
        (tmp_path / ".env").write_text(text, encoding="utf-8")
        return sources.read_dotenv(tmp_path / ".env", ".env", problems)

    return read


@pytest.mark.parametrize(
    "text",
    ["no", "NO", "on", "true", "010", "0o10", "0x1F", "1:30", "1e3", "1_000", "3.10", "2026-11-22"],
)
def test_yaml_scalars_stay_text(yaml, text: str):
    """What YAML 1.1 takes for a boolean, an octal, a clock or a date stays what was written."""
    assert yaml(f"a: {text}") == {"a": text}


@pytest.mark.parametrize("tag", ["int", "float", "bool", "timestamp", "binary"])
def test_yaml_tags_leave_text(yaml, problems, tag: str):
    """A value with a tag of another type is text too, and cannot fail as one of that type."""
    assert yaml(f"a: !!{tag} abc") == {"a": "abc"}
    assert problems == []


@pytest.mark.parametrize("text", ["", "~", "null", "# only a comment", "---"])
def test_an_empty_yaml_file_sets_nothing(yaml, problems, text: str):
    """A file with nothing in it is no error."""
    assert (yaml(text), problems) == ({}, [])


@pytest.mark.parametrize("text", ["a:", "a: ~", "a: null"])
def test_yaml_null_is_none(yaml, text: str):
    """A key without a value has none, rather than the text null."""
    assert yaml(text) == {"a": None}


def test_a_missing_yaml_file_sets_nothing(tmp_path: Path, problems):
    """Without the file there is nothing, and nothing is wrong."""
    assert (sources.read_yaml(tmp_path / "a.yml", "a.yml", problems), problems) == ({}, [])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("level: INFO\nlevel: DEBUG", 2),
        ("mailer:\n  host: a\n  port: 1\n  host: b", 4),
        ("mailer: {host: a, host: b}", 1),
        ("a:\n  b:\n    - c: 1\n      c: 2", 4),
    ],
)
def test_a_duplicate_key_is_refused(yaml, problems, text: str, line: int):
    """A key that stands twice in one mapping, however deep, is named with its line."""
    assert yaml(text) == {}
    assert str(problems[0]).startswith("a.yml: the key '")
    assert f"stands twice, again on line {line}" in str(problems[0])


def test_one_key_in_two_mappings_is_no_duplicate(yaml, problems):
    """The same key may stand in two groups."""
    assert yaml("a: {host: x}\nb: {host: y}") == {"a": {"host": "x"}, "b": {"host": "y"}}
    assert problems == []


def test_a_merge_overrides_without_being_a_duplicate(yaml, problems):
    """`<<` takes in another mapping whose keys may be overridden, in any order of building."""
    text = "p: {q: &x {<<: &b {k: 1}, k: 2}}\nr: {<<: *x, k: 3}"

    assert yaml(text) == {"p": {"q": {"k": "2"}}, "r": {"k": "3"}}
    assert problems == []


@pytest.mark.parametrize(
    "text",
    [
        "a: !marker",
        "a: *marker",
        "a: %marker",
        "a: @marker",
        "a: [marker",
        "a: marker: marker",
        "\tmarker: 1",
        "a: 'marker",
        "? [a, b]\n: marker",
        "a: 1\n---\na: marker",
        "a: !!python/object/apply:os.system [marker]",
        "a: mark\x07er",
    ],
)
def test_broken_yaml_is_told_without_its_text(yaml, problems, text: str):
    """What is no YAML is said once, with the repair, and not a word of the file."""
    assert yaml(text) == {}
    assert len(problems) == 1
    assert "is not YAML" in problems[0].rule
    assert "quote values" in problems[0].rule
    assert "marker" not in str(problems[0])


def test_broken_yaml_is_told_with_its_line(yaml, problems):
    """The line of the fault is named."""
    yaml("a: 1\nb: [")

    assert "on line 2" in problems[0].rule or "on line 3" in problems[0].rule


@pytest.mark.parametrize("text", ["- a\n- b", "only text"])
def test_yaml_must_be_a_mapping(yaml, problems, text: str):
    """A list or a text is no profile."""
    assert yaml(text) == {}
    assert "must be a mapping of settings" in str(problems[0])


def test_yaml_loads_no_python(yaml, problems, tmp_path: Path):
    """A tag that asks for Python objects builds none."""
    yaml(f"a: !!python/object/apply:os.mkdir ['{tmp_path}/made']")

    assert not (tmp_path / "made").exists()
    assert len(problems) == 1


def test_dotenv_reads_as_shells_do(dotenv):
    """Comments, quotes, `export` and blank lines mean in .env what they mean elsewhere."""
    text = "# a comment\n\nexport A=1\nB='two words'\nC=\"with \\n newline\"\nD=x # said\nE=\n"

    assert dotenv(text) == {
        "A": "1",
        "B": "two words",
        "C": "with \n newline",
        "D": "x",
        "E": "",
    }


def test_dotenv_does_not_interpolate(dotenv):
    """A password with a dollar stays what it is."""
    assert dotenv("A=pa$$${HOME}word") == {"A": "pa$$${HOME}word"}


@pytest.mark.parametrize("line", ["marker", "marker two", "=marker", "A='marker"])
def test_a_dotenv_line_that_sets_nothing_is_told(dotenv, problems, line: str):
    """A line without NAME=value is an error with its number, the others are read."""
    found = dotenv(f"A=1\n{line}\nB=2")

    assert found["A"] == "1"
    assert "line 2 is not NAME=value" in str(problems[0])
    assert "marker" not in str(problems[0])


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path, problems):
    """A .env, YAML or JSON file saved with a byte order mark is read as without."""
    for name, text in {".env": "A=1", "a.yml": "A: 1", "a.json": '{"A": "1"}'}.items():
        (tmp_path / name).write_text(text, encoding="utf-8-sig")

    assert sources.read_dotenv(tmp_path / ".env", "", problems) == {"A": "1"}
    assert sources.read_yaml(tmp_path / "a.yml", "", problems) == {"A": "1"}
    assert sources.read_json(tmp_path / "a.json", "", problems) == {"A": "1"}
    assert problems == []


def test_secrets_are_one_file_a_variable(tmp_path: Path, problems):
    """A file's name is the variable, its text without the last line end the value."""
    (tmp_path / "SMTP_PASSWORD").write_text(" pass\nword \n")

    found = sources.read_secrets(tmp_path, lambda _: True, problems)

    assert found == {"SMTP_PASSWORD": " pass\nword "}


def test_secrets_that_are_not_wanted_are_not_read(tmp_path: Path, problems):
    """The folder may hold keys and certificates of others, of which only the name is looked at."""
    (tmp_path / "tls.key").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "..data").mkdir()

    found = sources.read_secrets(tmp_path, lambda name: name == "A", problems)

    assert found == {"tls.key": None, "..data": None}
    assert problems == []


def test_a_secret_may_be_a_link(tmp_path: Path, problems):
    """A mounted secret is a symbolic link into a folder beside it."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "A").write_text("1")
    (tmp_path / "A").symlink_to("..data/A")

    assert sources.read_secrets(tmp_path, {"A"}.__contains__, problems)["A"] == "1"


def test_a_missing_secrets_folder_is_told(tmp_path: Path, problems):
    """SECRETS_DIR without a folder is an error that names it."""
    assert sources.read_secrets(tmp_path / "no", lambda _: True, problems) == {}
    assert str(problems[0]) == f"SECRETS_DIR: there is no folder {tmp_path}/no; set SECRETS_DIR"


def test_a_secrets_folder_that_cannot_be_read_is_told(tmp_path: Path, problems):
    """A folder that is there and gives nothing out is an error that says why."""
    (tmp_path / "loop").symlink_to("loop")

    assert sources.read_secrets(tmp_path / "loop", lambda _: True, problems) == {}
    assert "SECRETS_DIR: cannot be read (Too many levels of symbolic" in str(problems[0])


def test_json_may_import_others(tmp_path: Path, problems):
    """quorum.json takes in the files it imports or includes, whose keys its own override."""
    one = {"$import": "two.json;three.json", "A": "1"}
    (tmp_path / "quorum.json").write_text(json.dumps(one))
    (tmp_path / "two.json").write_text(json.dumps({"A": "2", "B": "2", "C": "2"}))
    (tmp_path / "three.json").write_text(json.dumps({"$INCLUDE": ["quorum.json"], "C": "3"}))

    found = sources.read_json(tmp_path / "quorum.json", "quorum.json", problems)

    assert (found, problems) == ({"A": "1", "B": "2", "C": "3"}, [])


def test_a_missing_import_is_told(tmp_path: Path, problems):
    """A file that is imported and not there is an error."""
    (tmp_path / "quorum.json").write_text('{"$import": "two.json", "A": "1"}')

    assert sources.read_json(tmp_path / "quorum.json", "quorum.json", problems) == {"A": "1"}
    assert str(problems[0]) == "two.json: is included and does not exist"


@pytest.mark.parametrize(
    ("text", "rule"),
    [('{"A": marker}', "is not JSON: line 1, column 7"), ('["marker"]', "must be an object")],
)
def test_broken_json_is_told_without_its_text(tmp_path: Path, problems, text: str, rule: str):
    """What is no JSON object is said with its place, and none of the file."""
    (tmp_path / "quorum.json").write_text(text)

    assert sources.read_json(tmp_path / "quorum.json", "quorum.json", problems) == {}
    assert rule in str(problems[0])
    assert "marker" not in str(problems[0])


READERS = [sources.read_yaml, sources.read_dotenv, sources.read_json]


@pytest.mark.parametrize("read", READERS)
def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path, problems, read):
    """What is there and cannot be read is an error that says why."""
    (tmp_path / "place").mkdir()

    assert read(tmp_path / "place", "place", problems) == {}
    assert [str(each) for each in problems] == [
        "place: cannot be read (Is a directory); check that it is a file and its permissions"
    ]


@pytest.mark.parametrize("read", READERS)
def test_other_encodings_are_told(tmp_path: Path, problems, read):
    """A file that is not UTF-8 is an error that says so, and shows none of it."""
    (tmp_path / "place").write_bytes(b"A=marker\xe9")

    assert read(tmp_path / "place", "place", problems) == {}
    assert [str(each) for each in problems] == ["place: is not UTF-8 text; save it as UTF-8"]


def test_a_secret_that_cannot_be_read_is_told(tmp_path: Path, problems):
    """A wanted secret that is a folder, or no text, is an error with its name."""
    (tmp_path / "A").mkdir()
    (tmp_path / "B").write_bytes(b"\xff")

    assert sources.read_secrets(tmp_path, lambda _: True, problems) == {"A": None, "B": None}
    assert [problem.setting for problem in problems] == ["SECRETS_DIR/A", "SECRETS_DIR/B"]


def test_a_file_that_is_nested_too_deeply_is_told(yaml, problems, tmp_path: Path):
    """Neither YAML nor JSON of a thousand levels is a RecursionError."""
    assert yaml("level: " + "[" * 3000) == {}
    (tmp_path / "quorum.json").write_text("[" * 100_000)
    assert sources.read_json(tmp_path / "quorum.json", "quorum.json", problems) == {}
    assert [problem.setting for problem in problems] == ["a.yml", "quorum.json"]
