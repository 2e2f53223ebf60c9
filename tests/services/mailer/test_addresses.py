"""Reading one address."""

from __future__ import annotations

import random

import pytest

from quorum.errors import Rejected
from quorum.services.mailer.mime.addresses import Address, address, addresses


@pytest.mark.parametrize(
    ("text", "name", "spec"),
    [
        ("ana@example.org", "", "ana@example.org"),
        ("  ana@example.org ", "", "ana@example.org"),
        ("<ana@example.org>", "", "ana@example.org"),
        ("Ana <ana@example.org>", "Ana", "ana@example.org"),
        ("Ana<ana@example.org>", "Ana", "ana@example.org"),
        ('"Silva, Ana" <ana@example.org>', "Silva, Ana", "ana@example.org"),
        ('"Ana \\"A\\" S" <ana@example.org>', 'Ana "A" S', "ana@example.org"),
        ("Ana M. Silva (home) <ana@example.org>", "Ana M. Silva (home)", "ana@example.org"),
        ("José <jose@example.org>", "José", "jose@example.org"),
        ("josé@example.org", "", "josé@example.org"),
        ('"ana silva"@example.org', "", '"ana silva"@example.org'),
        ('"a@b"@example.org', "", '"a@b"@example.org'),
        ("ana+tag@sub.example.org", "", "ana+tag@sub.example.org"),
        ("ana@localhost", "", "ana@localhost"),
        ("ana@[127.0.0.1]", "", "ana@[127.0.0.1]"),
        ("ana@[IPv6:::1]", "", "ana@[IPv6:::1]"),
        ("ana@bücher.example", "", "ana@xn--bcher-kva.example"),
        ("=?utf-8?q?Ana?= <ana@example.org>", "=?utf-8?q?Ana?=", "ana@example.org"),
    ],
)
def test_an_address_is_read(text: str, name: str, spec: str) -> None:
    """Name and mailbox are told apart, as RFC 5322 and RFC 6531 write them."""
    assert address("to", text) == Address(name, spec)


def test_the_domain_follows_the_last_at() -> None:
    """A quoted local part may hold an @ of its own."""
    assert address("to", '"a@b"@example.org').domain == "example.org"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "ana",
        "ana@",
        "@example.org",
        '"',
        "<>",
        "ana@example..org",
        "ana@.example.org",
        "ana@example.org.",
        ".ana@example.org",
        "ana.@example.org",
        "a..b@example.org",
        "ana silva@example.org",
        "ana @example.org",
        "ana@example.org eva@example.org",
        "ana@example.org, eva@example.org",
        "ana@example.org,",
        "ana@example.org; eva@example.org",
        "Silva, Ana <ana@example.org>",
        "friends: ana@example.org;",
        "mailto:ana@example.org",
        "<ana@example.org",
        "ana@example.org>",
        "<ana@example.org> eva",
        "<ana@example.org> <eva@example.org>",
        "Ana <@relay.example:ana@example.org>",
        "ana@example.org:25",
        "ana@example.org/x",
        'Ana "x <ana@example.org>',
        "(" * 4000,
        f"{'x' * 65}@example.org",
    ],
)
def test_what_is_not_one_address_is_refused(text: str) -> None:
    """The error names the field and the form, not a parser's trouble."""
    with pytest.raises(Rejected, match="reply_to is not one address"):
        address("reply_to", text)


@pytest.mark.parametrize("domain", [f"{'ü' * 64}.example", "ü..example", "x." * 127 + "example"])
def test_a_domain_that_cannot_be_is_refused(domain: str) -> None:
    """International or long, a domain keeps the limits of the DNS."""
    with pytest.raises(Rejected):
        address("to", f"ana@{domain}")


def test_several_are_read_in_order() -> None:
    """A sequence gives as many; one text gives one; an empty text none."""
    assert [each.spec for each in addresses("to", ["a@x.org", "b@x.org"])] == ["a@x.org", "b@x.org"]
    assert [each.spec for each in addresses("to", "a@x.org")] == ["a@x.org"]
    assert addresses("to", "") == ()


def test_no_text_at_all_raises_anything_else() -> None:
    """Of ten thousand texts of what addresses are made of, each is read or is Rejected."""
    chance = random.Random(7)
    pieces = ['"', "\\", "<", ">", "@", ",", ";", ":", ".", " ", "(", ")", "[", "]", "a", "é"]
    pieces += ["=?utf-8?q?", "?=", "\t", "\r\n", "\0", "\udcff", "ana@example.org", "xn--", "-"]
    for _ in range(10_000):
        text = "".join(chance.choices(pieces, k=chance.randrange(1, 14)))
        try:
            found = address("to", text)
        except Rejected:
            continue
        assert found.spec.count("@") >= 1
        assert not set("\r\n\0") & set(found.name + found.spec)
