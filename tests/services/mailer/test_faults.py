"""The mail rows of the fault table, E1 to E14, each against a server that really fails."""

from __future__ import annotations

import base64
import logging
import re
import ssl
import threading
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from quorum.errors import Rejected, ServiceError, TimedOut, Unavailable, Unsupported
from tests.services.mailer.servers import PASSWORD, USER, SmtpServer, mail
from tests.waiting import BUDGET, RECOVERY, at_most, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.mailer.servers import Conversation, FaultyServer

STAGES = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "CONTENT")


def stall(conversation: Conversation) -> None:
    conversation.stall()


def hang_up(conversation: Conversation) -> None:
    conversation.hang_up()


# E1 · stall


def test_e1_a_stall_ends_within_six_seconds_by_default(misbehave: Any, connect: Any) -> None:
    """A server that says nothing costs at most 6 s with the default of SMTP_TIMEOUT."""
    mailer = connect(misbehave(CONNECT=stall))
    with at_most(BUDGET), pytest.raises(TimedOut, match="did not answer in time"):
        mail(mailer)


@pytest.mark.parametrize("stage", STAGES)
def test_e1_a_stall_at_any_stage_is_timed_out(misbehave: Any, connect: Any, stage: str) -> None:
    """Wherever the server stops answering, the call ends at its deadline."""
    mailer = connect(misbehave(**{stage: stall}), timeout=1)
    with at_most(1.5), pytest.raises(TimedOut):
        mail(mailer)


def test_e1_a_stall_in_the_tls_handshake_is_timed_out(misbehave: Any, connect: Any) -> None:
    """A server that accepts and never answers the TLS hello does not outlive the deadline."""
    mailer = connect(misbehave(CONNECT=stall), timeout=1, tls=True)
    with at_most(1.5), pytest.raises(TimedOut):
        mail(mailer)


def test_e1_a_slow_answer_before_the_handshake_does_not_lengthen_it(
    misbehave: Any, connect: Any
) -> None:
    """The handshake after STARTTLS has what is left of the deadline, not a time of its own."""

    def late(conversation: Conversation) -> None:
        conversation.server.ended.wait(0.7)
        conversation.say("220 go")
        conversation.stall()

    server = misbehave(EHLO="250-here\n250 STARTTLS", STARTTLS=late)
    with at_most(1.4), pytest.raises(TimedOut):
        mail(connect(server, timeout=1))


@pytest.mark.parametrize("size", [20_000, 1_000_000])
def test_e1_a_stalled_long_content_is_timed_out(misbehave: Any, connect: Any, size: int) -> None:
    """A mail above 64 KiB ends one time limit after the server took the last of it."""

    def stop_reading(conversation: Conversation) -> None:
        conversation.say("354 go on")
        conversation.read(1000)
        conversation.stall()

    mailer = connect(misbehave(DATA=stop_reading), timeout=1)
    with at_most(3), pytest.raises(TimedOut):
        mail(mailer, text="long line " * size)


def test_e1_the_same_mailer_works_after_a_stall(misbehave: Any, connect: Any) -> None:
    """When the server answers again, the same object sends again, at once."""
    server = misbehave(MAIL=stall)
    mailer = connect(server, timeout=1)
    with pytest.raises(TimedOut):
        mail(mailer)
    server.answers["MAIL"] = "250 OK"
    with at_most(RECOVERY):
        assert mail(mailer).accepted == ("ana@example.org",)


# E2 · trickle


@pytest.mark.parametrize("stage", STAGES)
def test_e2_a_trickled_answer_does_not_lengthen_the_deadline(
    misbehave: Any, connect: Any, stage: str
) -> None:
    """20 bytes a second are not progress: the whole call has one deadline."""

    def trickle(conversation: Conversation) -> None:
        conversation.trickle(f"250 {'slow ' * 40}")

    mailer = connect(misbehave(**{stage: trickle}), timeout=1)
    with at_most(1.5), pytest.raises(TimedOut):
        mail(mailer)


def test_e2_many_small_delays_add_up_to_one_deadline(misbehave: Any, connect: Any) -> None:
    """Each answer is in time, all together are not."""

    def slowly(conversation: Conversation) -> None:
        conversation.server.ended.wait(0.1)
        conversation.say("250 OK")

    mailer = connect(misbehave(RCPT=slowly), timeout=1)
    with at_most(1.5), pytest.raises(TimedOut):
        mail(mailer, to=[f"{number}@example.org" for number in range(40)])


def test_e2_a_slow_reader_of_a_long_mail_is_served(misbehave: Any, connect: Any) -> None:
    """A mail above 64 KiB takes longer than the time limit while the server takes it in."""
    seconds = 0.5

    def read_slowly(conversation: Conversation) -> None:
        conversation.say("354 go on")
        content = b""
        while not content.endswith(b"\r\n.\r\n"):
            content += conversation.read(16384)
            conversation.server.ended.wait(0.03)
        conversation.server.contents.append(content)
        conversation.say("250 OK")
        conversation.hang_up()

    server = misbehave(DATA=read_slowly)
    body = "long line " * 80_000
    mail(connect(server, timeout=seconds), text=body)
    assert len(server.contents[0]) > len(body)


# E3 · the answer to DATA is lost


@pytest.mark.parametrize("fault", [stall, hang_up])
def test_e3_a_lost_answer_to_the_content_is_an_unknown_outcome(
    misbehave: Any, connect: Any, fault: Any
) -> None:
    """After the content was handed over nothing is repeated, and the error says so."""
    server = misbehave(CONTENT=fault)
    mailer = connect(server, timeout=1)
    with pytest.raises((TimedOut, Unavailable), match="outcome is unknown"):
        mail(mailer)
    assert len(server.contents) == 1


def test_e3_the_error_names_the_message_id(misbehave: Any, connect: Any) -> None:
    """The mail that may have arrived can be told by its Message-ID."""
    server = misbehave(CONTENT=hang_up)
    with pytest.raises(Unavailable) as caught:
        mail(connect(server))
    (message_id,) = re.findall(rb"Message-ID: (\S+)", server.contents[0])
    assert message_id.decode() in str(caught.value)


def test_e3_a_lost_answer_on_a_kept_connection_is_not_repeated(
    misbehave: Any, connect: Any
) -> None:
    """A kept connection is no reason to send a content twice."""
    server = misbehave()
    mailer = connect(server)
    mail(mailer, text="first")
    server.answers["CONTENT"] = hang_up
    with pytest.raises(Unavailable, match="outcome is unknown"):
        mail(mailer, text="second")
    assert len(server.contents) == 2


def test_e3_half_an_answer_is_no_confirmation(misbehave: Any, connect: Any) -> None:
    """A reply that is cut off before its line end confirms nothing."""

    def half(conversation: Conversation) -> None:
        conversation.say_bytes(b"250 O")
        conversation.hang_up()

    with pytest.raises(Unavailable, match="outcome is unknown"):
        mail(connect(misbehave(CONTENT=half)))


@pytest.mark.parametrize("answer", ["HTTP/1.1 200 OK", "1 OK", f"250 {'x' * 9000}"])
def test_e3_an_answer_that_is_not_smtp_is_no_confirmation(
    misbehave: Any, connect: Any, answer: str
) -> None:
    """Nor does a reply without a code, or without an end."""
    with pytest.raises(Unavailable, match="outcome is unknown"):
        mail(connect(misbehave(CONTENT=answer)))


def test_e3_a_connection_lost_before_the_content_is_known_not_to_have_sent(
    misbehave: Any, connect: Any
) -> None:
    """Where the server cannot have the mail, the error does not say that it might."""
    server = misbehave(DATA=hang_up)
    with pytest.raises(Unavailable) as caught:
        mail(connect(server))
    assert "unknown" not in str(caught.value)


def test_e3_a_retry_of_the_user_can_keep_the_message_id(misbehave: Any, connect: Any) -> None:
    """With the header given, both copies have the same Message-ID."""
    server = misbehave(CONTENT=hang_up)
    mailer = connect(server)
    headers = {"Message-ID": "<order-1@example.org>"}
    with pytest.raises(Unavailable):
        mailer.send(to="ana@example.org", text="Hello", headers=headers)
    server.answers["CONTENT"] = "250 OK"
    assert (
        mailer.send(to="ana@example.org", text="Hello", headers=headers).message_id
        == "<order-1@example.org>"
    )
    assert all(b"Message-ID: <order-1@example.org>" in each for each in server.contents)


# E4 · the server closes idle connections


def test_e4_a_connection_closed_while_idle_costs_nothing(serve: Any, connect: Any) -> None:
    """The next mail goes over a new connection, and its sender does not notice."""
    server = serve()
    mailer = connect(server)
    mail(mailer)
    server.hang_up()
    mail(mailer)
    assert [len(server.deliveries), server.connections] == [2, 2]


def test_e4_a_goodbye_at_the_next_command_costs_nothing(misbehave: Any, connect: Any) -> None:
    """421 on a kept connection is answered by a new one."""
    server = misbehave()
    mailer = connect(server)
    mail(mailer)
    server.answers["MAIL"] = lambda conversation: conversation.say(
        "421 too many" if conversation.number == 1 else "250 OK"
    )
    mail(mailer)
    assert len(server.contents) == 2


@pytest.mark.parametrize("stage", ["CONNECT", "MAIL", "RCPT", "DATA", "CONTENT"])
def test_e4_a_goodbye_on_a_new_connection_is_unavailable(
    misbehave: Any, connect: Any, stage: str
) -> None:
    """421 to a first mail is told, at any stage: nothing was sent, and nothing is repeated."""
    server = misbehave(**{stage: "421 bye"})
    with pytest.raises(Unavailable) as caught:
        mail(connect(server))
    assert "unknown" not in str(caught.value)
    assert len(server.conversations) == 1


def test_e4_a_connection_with_too_many_mails_is_left(misbehave: Any, connect: Any) -> None:
    """A sender refused on a kept connection is tried once on a new one."""
    server = misbehave()
    mailer = connect(server)
    mail(mailer)
    server.answers["MAIL"] = lambda conversation: conversation.say(
        "452 too many mails" if conversation.number == 1 else "250 OK"
    )
    mail(mailer)
    assert len(server.contents) == 2


def test_e4_half_open_connections_cost_nothing_once_new_ones_work(
    misbehave: Any, connect: Any
) -> None:
    """However many kept connections are dead, the first call after the fault is served in time."""
    server = misbehave()
    mailer = connect(server, timeout=1.5)
    together = threading.Barrier(4)
    server.answers["MAIL"] = lambda conversation: (together.wait(5), conversation.say("250 OK"))
    threads = [threading.Thread(target=mail, args=(mailer,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.answers["MAIL"] = "250 OK"
    server.go_deaf()
    with at_most(1.5):
        mail(mailer)
    with at_most(0.5):
        mail(mailer)
    assert len(server.contents) == 6


def test_e4_a_restarted_server_is_found_again(connect: Any) -> None:
    """A server that was down and is back is used by the same object."""
    with SmtpServer() as server:
        mailer = connect(server)
        mail(mailer)
    with at_most(BUDGET), pytest.raises(Unavailable, match="cannot be used"):
        mail(mailer)
    with SmtpServer(port=server.port) as again, at_most(RECOVERY):
        mail(mailer)
        assert len(again.deliveries) == 1
        mailer.close()


# E5 · threads


def test_e5_threads_never_share_a_connection_at_once(serve: Any, connect: Any) -> None:
    """Eight threads and one mailer: each mail reaches its recipient, with its body."""
    server = serve()
    mailer = connect(server)

    def send_some(thread: int) -> None:
        for number in range(25):
            mail(mailer, to=f"{thread}-{number}@example.org", text=f"for {thread}-{number}")

    threads = [threading.Thread(target=send_some, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = {each.recipients[0]: each.message.get_content().strip() for each in server.deliveries}
    assert len(server.deliveries) == len(got) == 200
    assert all(body == f"for {to.partition('@')[0]}" for to, body in got.items())
    assert server.connections <= 8


# E6 · certificates


@pytest.mark.parametrize("tls", [False, True])
def test_e6_an_unknown_certificate_is_refused(
    serve: Any, connect: Any, certificate: Any, *, tls: bool
) -> None:
    """A certificate of no known authority ends the call, with STARTTLS as with implicit TLS."""
    server = serve(**({"implicit_tls": certificate} if tls else {"tls_context": certificate}))
    with pytest.raises(Unavailable, match=r"certificate .* is not trusted"):
        mail(connect(server, tls=tls))
    assert not server.deliveries


@pytest.mark.usefixtures("trusted")
def test_e6_a_certificate_of_another_host_is_refused(
    serve: Any, connect: Any, authority: Any
) -> None:
    """A known authority does not help a certificate for another name."""
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(other)
    server = serve(tls_context=other)
    with pytest.raises(Unavailable, match=r"certificate .* is not trusted"):
        mail(connect(server))


@pytest.mark.usefixtures("trusted")
def test_e6_a_known_certificate_is_accepted(serve: Any, connect: Any, certificate: Any) -> None:
    """With its authority in SSL_CERT_FILE, the mail travels encrypted."""
    server = serve(tls_context=certificate, require_starttls=True)
    mail(connect(server, host="localhost"))
    assert len(server.deliveries) == 1


# E7 · STARTTLS stripped


@pytest.mark.parametrize("encryption", [None, "required"])
def test_e7_a_stripped_starttls_is_refused(misbehave: Any, connect: Any, encryption: Any) -> None:
    """Another host that does not offer STARTTLS gets neither mail nor password."""
    server = misbehave(EHLO="250-here\n250 AUTH PLAIN LOGIN")
    mailer = connect(
        server, encryption, host="2130706433", user="ana@example.org", password=PASSWORD
    )
    with pytest.raises(Rejected, match="does not offer STARTTLS"):
        mail(mailer)
    assert [server.count(verb) for verb in ("AUTH", "MAIL", "DATA")] == [0, 0, 0]


def test_e7_a_refused_starttls_is_not_passed_over(misbehave: Any, connect: Any) -> None:
    """A server that offers STARTTLS and then refuses it gets no mail in clear, not even here."""
    server = misbehave(EHLO="250-here\n250 STARTTLS", STARTTLS="454 not now")
    with pytest.raises(Unavailable, match="454 not now"):
        mail(connect(server))
    assert server.count("MAIL") == 0


@pytest.mark.usefixtures("trusted")
def test_e7_what_was_said_before_tls_is_forgotten(
    misbehave: Any, connect: Any, certificate: Any
) -> None:
    """Replies slipped in behind the answer to STARTTLS are not taken for the server's."""

    def slip_in(conversation: Conversation) -> None:
        conversation.say("220 go\n250-forged\n250 AUTH PLAIN")
        conversation.start_tls(certificate)
        conversation.server.answers["EHLO"] = "250 here"

    server = misbehave(EHLO="250-here\n250 STARTTLS", STARTTLS=slip_in)
    mailer = connect(server, user=USER, password=PASSWORD)
    mail(mailer)
    assert server.count("AUTH") == 0
    mailer.close()
    wait_until(lambda: server.count("QUIT") == 1)


# E8 · Bcc


def test_e8_bcc_is_in_the_envelope_and_not_in_the_content(serve: Any, connect: Any) -> None:
    """A blind copy is delivered, and no other recipient reads of it."""
    server = serve()
    sent = connect(server).send(
        subject="Hello", to="ana@example.org", bcc=["rui@example.org"], text="Hello"
    )
    (delivery,) = server.deliveries
    assert delivery.recipients == sent.accepted == ("ana@example.org", "rui@example.org")
    assert b"rui@" not in delivery.content
    assert "Bcc" not in delivery.message


# E9 · some recipients refused


def refuse_eva(address: str) -> str | None:
    return "550 no such mailbox" if address.startswith("eva") else None


def test_e9_a_refused_recipient_is_reported(
    serve: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """What was accepted is sent; who was refused, and why, is in the result and in the log."""
    server = serve(refuses=refuse_eva)
    with caplog.at_level(logging.WARNING, "quorum.mailer"):
        sent = mail(connect(server), to=["ana@example.org", "eva@example.org"])
    assert sent.accepted == ("ana@example.org",)
    assert sent.refused == {"eva@example.org": "550 no such mailbox"}
    assert "refused 1 recipients" in caplog.text


def test_e9_all_recipients_refused_is_an_error(serve: Any, connect: Any) -> None:
    """With nobody left nothing is sent; the connection serves the next mail."""
    server = serve(refuses=refuse_eva)
    mailer = connect(server)
    with pytest.raises(Rejected, match=r"every recipient: eva@example\.org: 550 no such mailbox"):
        mail(mailer, to="eva@example.org")
    mail(mailer)
    assert [len(server.deliveries), server.connections] == [1, 1]


# E10 · header injection


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x85", "\u2028"])
@pytest.mark.parametrize(
    "field", ["subject", "to", "cc", "bcc", "sender", "reply_to", "headers", "names"]
)
def test_e10_a_line_break_in_any_header_is_refused(
    serve: Any, connect: Any, field: str, break_: str
) -> None:
    """No field takes a line break of any kind, and nothing is sent."""
    server = serve()
    evil = f"x@example.org{break_}Bcc: evil@example.org"
    fields = {"subject": "Hello", "to": "ana@example.org", "text": "Hello"}
    given = {"headers": {"headers": {"X-Note": evil}}, "names": {"headers": {evil: "x"}}}
    with pytest.raises(Rejected):
        connect(server).send(**(fields | given.get(field, {field: evil})))
    assert server.connections == 0


@pytest.mark.parametrize("field", ["subject", "to", "sender", "headers"])
def test_e10_a_line_break_inside_an_encoded_word_stays_there(
    serve: Any, connect: Any, field: str
) -> None:
    """An encoded word in what is given is text, and is never decoded into a line break."""
    server = serve()
    evil = "=?utf-8?q?Ana=0D=0ABcc:_evil@example.org?="
    value: Any = {"headers": {"X-Note": evil}, "subject": evil}.get(
        field, f"{evil} <ana@example.org>"
    )
    fields = {"subject": "Hello", "to": "ana@example.org", "text": "Hello"}
    try:
        connect(server).send(**(fields | {field: value}))
    except Rejected:
        assert not server.deliveries
        return
    (delivery,) = server.deliveries
    assert "Bcc" not in delivery.message
    assert delivery.recipients == ("ana@example.org",)


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "sender", "reply_to"])
def test_e10_a_comma_in_one_address_is_refused(serve: Any, connect: Any, field: str) -> None:
    """Two addresses in the place of one are refused, and nothing is sent."""
    server = serve()
    fields = {"subject": "Hello", "to": "ana@example.org", "text": "Hello"}
    for value in ("ana@example.org, evil@example.org", "ana@example.org,"):
        with pytest.raises(Rejected, match=f"{field} is not one address"):
            connect(server).send(**(fields | {field: value}))
    assert server.connections == 0


# E11 · Message-ID and Date


def test_e11_message_id_and_date_are_added(serve: Any, connect: Any) -> None:
    """Every mail has both, and the result names the Message-ID."""
    server = serve()
    sent = mail(connect(server))
    (delivery,) = server.deliveries
    assert delivery.message["Message-ID"] == sent.message_id
    assert re.fullmatch(r"<\S+@example\.org>", sent.message_id)
    assert delivery.message["Date"].datetime.tzinfo is not None


# E12 · SMTPUTF8


@pytest.mark.parametrize("field", ["to", "bcc", "sender", "reply_to"])
def test_e12_an_address_the_server_cannot_write_is_unsupported(
    serve: Any, connect: Any, field: str
) -> None:
    """Without SMTPUTF8 an address outside ASCII is refused, not mangled, wherever it stands."""
    server = serve(enable_SMTPUTF8=False)
    mailer = connect(server)
    fields = {"to": "ana@example.org", "text": "Hello"}
    with pytest.raises(Unsupported, match="SMTPUTF8"):
        mailer.send(**(fields | {field: "josé@example.org"}))
    assert not server.deliveries
    mail(mailer)
    assert server.connections == 1


@pytest.mark.parametrize("field", ["to", "bcc", "sender", "reply_to"])
def test_e12_an_international_address_travels_where_it_can(
    serve: Any, connect: Any, field: str
) -> None:
    """With SMTPUTF8 it arrives as it was written."""
    server = serve(enable_SMTPUTF8=True)
    fields = {"to": "ana@example.org", "text": "Hello"}
    connect(server).send(**(fields | {field: "José <josé@example.org>"}))
    (delivery,) = server.deliveries
    headers = {"to": "To", "sender": "From", "reply_to": "Reply-To"}
    if field == "bcc":
        assert delivery.recipients == ("ana@example.org", "josé@example.org")
    else:
        line = f"{headers[field]}: =?utf-8?b?Sm9zw6k=?= <josé@example.org>\r\n"
        assert line.encode() in delivery.content


def test_e12_an_international_domain_needs_no_smtputf8(serve: Any, connect: Any) -> None:
    """A domain outside ASCII travels in its ASCII form."""
    server = serve(enable_SMTPUTF8=False)
    sent = mail(connect(server), to="ana@bücher.example")
    assert sent.accepted == server.deliveries[0].recipients == ("ana@xn--bcher-kva.example",)


# E13 · dots and line ends


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_e13_dots_arrive_as_they_were_written(serve: Any, connect: Any, end: str) -> None:
    """A line that starts with a dot, or is one, keeps it, and ends nothing."""
    server = serve()
    lines = ["one", ".", "..", ".two", "", "three."]
    mail(connect(server), text=end.join(lines))
    assert server.deliveries[0].message.get_content().splitlines() == lines


def test_e13_every_line_ends_with_cr_lf(misbehave: Any, connect: Any) -> None:
    """No bare CR or LF travels, whatever the text has."""
    server = misbehave()
    mail(connect(server), text="a\nb\rc\r\nd\n.\n")
    (content,) = server.contents
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    assert b"\r\n..\r\n" in content


# E14 · secrets in errors and output


def chain(error: BaseException | None) -> str:
    """Return everything an error and what it came from has to say."""
    told = ""
    while error is not None:
        told += f"{error!s} {error!r} {error.args!r} {vars(error)!r}"
        told += "".join(traceback.format_exception(error))
        error = error.__cause__ or error.__context__
    return told


def echo(conversation: Conversation) -> None:
    conversation.say(f"535 I do not like {conversation.server.heard[-1]}")


@pytest.mark.parametrize(
    "answers",
    [
        {"AUTH": "535 no"},
        {"AUTH": echo},
        {"AUTH": "454 later"},
        {"AUTH": "421 bye"},
        {"AUTH": hang_up},
        {"AUTH": stall},
        {"AUTH": "334 more", "CG1HCMTLCIBWYXNZD29YZA==": "535 no"},
        {"MAIL": hang_up},
        {"RCPT": "550 no"},
    ],
)
def test_e14_no_error_output_or_log_holds_the_password(
    misbehave: Any,
    connect: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    answers: Any,
) -> None:
    """However signing in ends, user and password appear nowhere, in clear or in base64."""
    user, password = "marker-user", "marker-password"
    server: FaultyServer = misbehave(EHLO="250-here\n250 AUTH PLAIN LOGIN", **answers)
    mailer = connect(server, user=user, password=password, timeout=1)
    with caplog.at_level(logging.DEBUG), pytest.raises(ServiceError) as caught:
        mail(mailer)
    token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    output = "".join(capfd.readouterr())
    told = chain(caught.value) + caplog.text + output + repr(mailer) + repr(vars(mailer))
    for secret in (user, password, token, base64.b64encode(password.encode()).decode()):
        assert secret not in told


def test_e14_a_wrong_password_is_told_as_such(serve: Any, connect: Any) -> None:
    """The error names the settings to look at."""
    server = serve(asks_password=True, auth_require_tls=False)
    mailer = connect(server, user=USER, password="wrong")
    with pytest.raises(Rejected, match=r"535.*check SMTP_USER and SMTP_PASSWORD"):
        mail(mailer)


def test_e14_a_failing_password_check_is_told_from_a_wrong_password(
    misbehave: Any, connect: Any
) -> None:
    """A server that cannot check now is unavailable; the password may be right."""
    server = misbehave(EHLO="250-here\n250 AUTH PLAIN", AUTH="454 later")
    with pytest.raises(Unavailable, match="454"):
        mail(connect(server, user=USER, password=PASSWORD))


def test_faults_recover_within_the_budget_from_any_stage(
    misbehave: Callable[..., FaultyServer], connect: Any
) -> None:
    """A connection dropped at any stage leaves a mailer that sends the next mail."""
    server = misbehave()
    mailer = connect(server)
    for stage in STAGES:
        server.answers[stage], before = hang_up, server.answers.get(stage, "250 OK")
        with pytest.raises(Unavailable):
            mail(mailer)
        server.answers[stage] = before
        with at_most(RECOVERY):
            mail(mailer)
        mailer._pool.drain()
