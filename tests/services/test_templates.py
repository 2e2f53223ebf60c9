"""Templates of a folder, for a container without an application."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from quorum import Container, Settings
from quorum.errors import Rejected
from quorum.services.templates import Templates, escapes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder that templates are in by default."""
    (tmp_path / "templates").mkdir()
    return tmp_path / "templates"


def test_the_folder_is_templates(folder: Path) -> None:
    """Unless told otherwise, templates are in `templates/` of the working directory."""
    (folder / "a.txt").write_text("Hello, {{ name }}")
    assert Templates()("a.txt", {"name": "Ana"}) == "Hello, Ana"
    assert Container(settings=Settings()).render()("a.txt", {"name": "Rui"}) == "Hello, Rui"


def test_a_changed_template_is_read_again(folder: Path) -> None:
    """The latest text counts."""
    render = Templates(folder)
    (folder / "a.txt").write_text("one")
    assert render("a.txt", {}) == "one"
    (folder / "a.txt").write_text("two")
    os.utime(folder / "a.txt", (1, 1))
    assert render("a.txt", {}) == "two"


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("a.html", True),
        ("a.HTM", True),
        ("a.xml", True),
        ("a.html.tpl", True),
        ("a.txt", False),
        ("a.txt.tpl", False),
        ("a.tpl", False),
        (None, True),
    ],
)
def test_markup_is_escaped(name: str | None, *, escaped: bool) -> None:
    """The name says whether values are escaped; a template without one is markup."""
    assert escapes(name) is escaped


def test_values_are_escaped_in_markup_alone(folder: Path) -> None:
    """A value cannot become an element of HTML."""
    for name in ("a.html.tpl", "a.txt.tpl"):
        (folder / name).write_text("{{ value }}")
    render = Templates(folder)
    assert render("a.html.tpl", {"value": "<b>"}) == "&lt;b&gt;"
    assert render("a.txt.tpl", {"value": "<b>"}) == "<b>"


@pytest.mark.parametrize("name", ["missing.txt", "../secret.txt", "", "a\0b", "folder"])
def test_a_missing_template_is_named(folder: Path, name: str) -> None:
    """The error names the template and where to put it; nothing outside the folder is read."""
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "folder").mkdir()
    with pytest.raises(Rejected, match="there is no template") as caught:
        Templates(folder)(name, {})
    assert repr(name) in str(caught.value)


def test_a_missing_folder_is_a_missing_template(tmp_path: Path) -> None:
    """Without the folder the error is the same."""
    with pytest.raises(Rejected, match=r"no template 'a\.txt'"):
        Templates(tmp_path / "nowhere")("a.txt", {})


def test_a_template_that_another_lacks_is_named(folder: Path) -> None:
    """Of an include the missing one is named, not the one that asks for it."""
    (folder / "a.txt").write_text("{% include 'b.txt' %}")
    with pytest.raises(Rejected, match=r"no template 'b\.txt'"):
        Templates(folder)("a.txt", {})


def test_a_malformed_template_is_named_with_its_line(folder: Path) -> None:
    """The error says where to look."""
    (folder / "a.txt").write_text("one\n{% if %}")
    with pytest.raises(Rejected, match=r"the template 'a\.txt' is wrong on line 2"):
        Templates(folder)("a.txt", {})


def test_a_template_that_is_not_utf8_is_named(folder: Path) -> None:
    """A file of another encoding is an error of ours."""
    (folder / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Rejected, match=r"the template 'a\.txt' cannot be read"):
        Templates(folder)("a.txt", {})


def test_an_error_of_the_templates_code_goes_through(folder: Path) -> None:
    """What a template computes wrongly is raised as it is."""
    (folder / "a.txt").write_text("{{ 1 // 0 }}")
    with pytest.raises(ZeroDivisionError):
        Templates(folder)("a.txt", {})


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_has_templates_of_its_own(folder: Path) -> None:
    """Nothing of the parent's cache, and so none of its locks, is used after a fork."""
    (folder / "a.txt").write_text("one")
    render = Templates(folder)
    before = render._environment()
    process = os.fork()
    if process == 0:
        good = render("a.txt", {}) == "one" and render._environment() is not before
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert render._environment() is before
