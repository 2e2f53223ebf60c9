"""Names that no storage takes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from quorum.errors import Rejected
from quorum.services.storage.names import check_name, check_prefix

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0), 0xFFFE, 0xFFFF)]
FORBIDDEN = [*CONTROLS, "\ud800", "\udfff", "\udc80"]


def hostile(count: int) -> list[str]:
    """Make names of which each breaks at least one rule; the same ones every time."""
    pick = random.Random(7)
    good = ["a", "etc", "passwd", "%2e", "日本", "é", "...", "x" * 50]

    def path(*bad: str) -> str:
        parts = pick.choices(good, k=pick.randint(1, 4))
        for each in bad:
            parts.insert(pick.randint(0, len(parts)), each)
        return "/".join(parts)

    def spoiled() -> str:
        text = path()
        place = pick.randint(0, len(text))
        return text[:place] + pick.choice(FORBIDDEN) + text[place:]

    kinds: list[Any] = [
        lambda: path(".."),
        lambda: path(".", ".."),
        lambda: path("."),
        lambda: "/" + path(),
        lambda: path() + "/",
        lambda: path("", "x"),
        lambda: "../" * pick.randint(1, 20) + "etc/passwd",
        spoiled,
        lambda: "x" * pick.randint(1025, 3000),
        lambda: "é" * pick.randint(513, 900),
        lambda: "/".join(["日本"] * pick.randint(200, 400)),
    ]
    return ["", "/", ".", "..", "//", *(pick.choice(kinds)() for _ in range(count - 5))]


def test_a_thousand_hostile_names_store_nothing(storage: Any) -> None:
    """Every verb that takes a name refuses each of them, before anything is done."""
    names = hostile(1000)
    storage.put("good", b"x")
    for name in names:
        for call in (
            lambda name: storage.put(name, b"evil"),
            storage.get,
            storage.open,
            lambda name: storage.download(name, "target"),
            storage.exists,
            storage.delete,
            storage.stat,
            lambda name: storage.copy(name, "b"),
            lambda name: storage.copy("good", name),
            storage.url,
        ):
            with pytest.raises(Rejected):
                call(name)
    assert list(storage.names()) == ["good"]


@pytest.mark.parametrize("name", [None, 7, b"bytes", ["a"], object()])
def test_what_is_not_text_is_no_name(name: Any) -> None:
    """Bytes are none either: they could be read in many ways."""
    with pytest.raises(Rejected, match="a name is text"):
        check_name(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "the name is empty"),
        ("/etc/passwd", "'/etc/passwd' starts with /"),
        ("a//b", "has an empty part"),
        ("a/", "has an empty part"),
        ("a/../b", "has a part . or .."),
        ("a\0b", r"the name 'a\\x00b' has a control character"),
        ("a\ud800", "half a character"),
        ("x" * 1025, "has 1025 bytes of UTF-8; 1024 are the most"),
    ],
)
def test_the_error_says_what_is_wrong(name: str, told: str) -> None:
    """One sentence, with the name in plain ASCII."""
    with pytest.raises(Rejected, match=told) as caught:
        check_name(name)
    assert str(caught.value).isascii() or "…" in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["a", "...", "a..b", ".a", "a b", "x" * 1024, "é" * 512, "%00"])
def test_other_names_are_good(name: str) -> None:
    """They come back as they are."""
    assert check_name(name) == name


@pytest.mark.parametrize("prefix", ["", "a/", "/", "../", "a//"])
def test_a_prefix_need_not_be_a_name(prefix: str) -> None:
    """What no name starts with finds nothing; it is no error."""
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["\0", "a\n", "\ud800", "x" * 1025, None, b"a"], ids=ascii)
def test_a_prefix_is_text_without_control_characters(storage: Any, prefix: Any) -> None:
    """Neither listed nor cleared: a mistake must not clear everything."""
    storage.put("a", b"x")
    with pytest.raises(Rejected):
        storage.clear(prefix)
    with pytest.raises(Rejected):
        storage.names(prefix)
    assert list(storage.names()) == ["a"]
