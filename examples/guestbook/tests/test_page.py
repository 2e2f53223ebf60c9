"""The page, as a visitor meets it."""

import re

import pytest
from flask.testing import FlaskClient

pytestmark = pytest.mark.usefixtures("quorum_fakes")

ANA = {"name": "Ana", "email": "ana@example.org", "message": "What a lovely idea."}


def test_is_blank_at_first(client: FlaskClient) -> None:
    """Before anybody has signed, the page invites to be the first."""
    page = client.get("/")
    assert page.status_code == 200
    assert "Be the first" in page.text


def test_shows_who_signed(client: FlaskClient) -> None:
    """Who signs is led back to the page, thanked, and sees the entry."""
    page = client.post("/", data=ANA, follow_redirects=True)
    assert page.request.method == "GET"
    assert "Thank you for signing!" in page.text
    assert "What a lovely idea." in page.text


def test_shows_the_newest_first(client: FlaskClient) -> None:
    """The newest entry stands above the older ones."""
    client.post("/", data=ANA | {"name": "Older"})
    client.post("/", data=ANA | {"name": "Newer"})
    assert re.findall("<h3>(Newer|Older)</h3>", client.get("/").text) == ["Newer", "Older"]


def test_shows_no_address(client: FlaskClient) -> None:
    """The address of who signed stands nowhere on the page."""
    assert "ana@" not in client.post("/", data=ANA, follow_redirects=True).text


@pytest.mark.parametrize("field", ["name", "message"])
def test_escapes_what_was_typed(client: FlaskClient, field: str) -> None:
    """Markup that a visitor types is shown, not run."""
    page = client.post("/", data=ANA | {field: "<script>steal()</script>"}, follow_redirects=True)
    assert "&lt;script&gt;" in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "Please tell us your name."),
        ({"name": " \t "}, "Please tell us your name."),
        ({"name": "a" * 81}, "This is 81 characters long; 80 is the most."),
        ({"email": "ana at example.org"}, "This does not look like an e-mail address."),
        ({"email": "ana@example"}, "This does not look like an e-mail address."),
        ({"email": "ana@example.org, eve@example.org"}, "does not look like an e-mail address."),
        ({"email": "ana@example.org\r\nBcc: eve@example.org"}, "does not look like an e-mail"),
        ({"message": ""}, "Please write a few words."),
        ({"message": "a" * 1001}, "This is 1,001 characters long; 1,000 is the most."),
    ],
)
def test_says_what_is_wrong(client: FlaskClient, wrong: dict[str, str], said: str) -> None:
    """A field that is wrong is marked, with a word of what is wrong."""
    page = client.post("/", data=ANA | wrong)
    assert page.status_code == 422
    assert said in page.text
    assert page.text.count('aria-invalid="true"') == 1


def test_keeps_what_was_typed(client: FlaskClient) -> None:
    """Beside a field that is wrong, the others stand as they were typed."""
    page = client.post("/", data=ANA | {"email": 'ana"example'}).text
    assert 'value="Ana"' in page
    assert 'value="ana&#34;example"' in page
    assert "What a lovely idea.</textarea>" in page


def test_stores_nothing_that_is_wrong(client: FlaskClient) -> None:
    """A form with something wrong in it adds no entry."""
    client.post("/", data=ANA | {"email": "nonsense"})
    assert "Be the first" in client.get("/").text


def test_takes_an_empty_form(client: FlaskClient) -> None:
    """A request without any field is answered as a form in which nothing was typed."""
    assert client.post("/").text.count('aria-invalid="true"') == 2


def test_counts_a_line_break_once(client: FlaskClient) -> None:
    """A message as long as the browser allowed is taken, though a browser sends CR LF."""
    page = client.post("/", data=ANA | {"message": "\r\n".join("a" * 500) + "a"})
    assert page.status_code < 400


def test_works_without_a_script(client: FlaskClient) -> None:
    """All that is to be seen is in the page itself, and the form is sent by the browser."""
    page = client.post("/", data=ANA, follow_redirects=True).text
    shown = re.sub("<template.*?</template>", "", page, flags=re.DOTALL)
    assert "What a lovely idea." in shown
    assert '<form method="post" action="/"' in shown


def test_has_no_script_of_its_own(client: FlaskClient) -> None:
    """Scripts come from files alone, so that a Content-Security-Policy may forbid all others."""
    page = client.post("/", data=ANA, follow_redirects=True).text
    assert re.findall("<script(.*?)</script>", page, re.DOTALL) == [' src="/static/live.js" defer>']
    assert not re.search(r"\son[a-z]+=|style=|javascript:", page)


def test_shows_as_text_what_comes_later(client: FlaskClient) -> None:
    """The script puts what visitors wrote into the page as text, never as markup."""
    # A file that is not closed is a warning.
    with client.get("/static/live.js") as response:
        script = response.text
    assert "textContent" in script
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval", script)


def ticket_of(page: str) -> str:
    """Return the hidden field of the form on a page."""
    (ticket,) = re.findall('name="ticket" value="([^"]+)"', page)
    return str(ticket)


def test_takes_a_form_once(client: FlaskClient) -> None:
    """A form that is sent twice, as by a double click, makes one entry."""
    form = ANA | {"ticket": ticket_of(client.get("/").text)}
    client.post("/", data=form)
    page = client.post("/", data=form, follow_redirects=True).text
    assert page.count("What a lovely idea.") == 1
    assert "Your entry was in the book already." in page


def test_takes_other_words_as_another_entry(client: FlaskClient) -> None:
    """Who goes back in the browser and writes something else has written a second entry."""
    form = ANA | {"ticket": ticket_of(client.get("/").text)}
    client.post("/", data=form)
    page = client.post("/", data=form | {"message": "One more."}, follow_redirects=True).text
    assert page.count('<li class="entry">') == 2


@pytest.mark.parametrize("ticket", ["", "a" * 1000])
def test_needs_no_ticket(client: FlaskClient, ticket: str) -> None:
    """Who sends no ticket, or one that is none of ours, signs all the same."""
    for _ in range(2):
        page = client.post("/", data=ANA | {"ticket": ticket}, follow_redirects=True).text
    assert page.count('<li class="entry">') == 2


def test_keeps_its_ticket_until_all_is_right(client: FlaskClient) -> None:
    """A form that is shown again is the same form."""
    ticket = ticket_of(client.get("/").text)
    again = client.post("/", data=ANA | {"name": "", "ticket": ticket}).text
    assert ticket_of(again) == ticket


def test_has_another_ticket_for_everybody(client: FlaskClient) -> None:
    """No two pages have the same form."""
    assert ticket_of(client.get("/").text) != ticket_of(client.get("/").text)


def test_has_the_title_that_is_set(client: FlaskClient) -> None:
    """The title of the page is a setting."""
    assert "<h1>The guestbook under test</h1>" in client.get("/").text


def test_needs_nothing_from_elsewhere(client: FlaskClient) -> None:
    """The page loads nothing from another host."""
    assert "://" not in client.get("/").text
