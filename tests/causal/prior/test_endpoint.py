"""The client against a server of the real protocol on this machine."""

import json
import re
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from framework.causal.prior import elicitation, endpoint
from framework.causal.prior.answers import read_answers

KEY = "sk-secret-0123456789"
VARIABLES = ("OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_API_KEY")


class Said(NamedTuple):
    """What the server does with one request."""

    body: object = None  # bytes as they are, anything else as JSON; by default a completion
    status: int = 200
    headers: dict = {}  # noqa: RUF012
    slow: bool = False  # whether it stays silent until the test ends


def completion(content="A", **message):
    """The body of a chat completion, with the fields that the protocol demands."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content} | message}
    return {"id": "chat-1", "object": "chat.completion", "created": 0, "model": "parrot", "choices": [choice]}


def failure(message):
    return {"error": {"message": message, "type": "some", "param": None, "code": None}}


class Server(ThreadingHTTPServer):
    """Speaks as its script says, request by request, its last line for ever; notes what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.requests = [Said()], []
        self.lock, self.over = threading.Lock(), threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def next(self, request):
        with self.lock:
            self.requests.append(request)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = self.server.next({"path": self.path, "key": self.headers["Authorization"], **body})
        if said.slow:
            self.server.over.wait(30)
            self.close_connection = True
            return
        answer = completion() if said.body is None else said.body
        answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(said.status)
        for name, value in ({"Content-Type": "application/json"} | said.headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *words):
        pass


@pytest.fixture
def server(extra, monkeypatch):
    extra("openai", "plm")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def slept(monkeypatch):
    """The seconds for which anyone slept, at once."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


@contextmanager
def refusal(kind, what):
    """An error of one line; no key is in it, nor in what a traceback shows."""
    with pytest.raises(kind, match=re.escape(what)) as caught:
        yield
    assert "\n" not in str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def open_chat(server, **settings):
    return endpoint.chat(server.url, "parrot", KEY, **settings)


@pytest.mark.slow
def test_prompt_and_reply_follow_the_protocol(server):
    server.script = [Said(completion("**B**"))]
    with open_chat(server) as ask:
        assert ask("Which one?") == "**B**"
    assert server.requests == [
        {
            "path": "/v1/chat/completions",
            "key": f"Bearer {KEY}",
            "model": "parrot",
            "messages": [{"role": "user", "content": "Which one?"}],
            "temperature": 0.0,
        }
    ]


def test_the_temperature_can_be_left_to_the_server(server):
    with open_chat(server, temperature=None) as ask:
        ask("Which one?")
    assert "temperature" not in server.requests[0]


def test_settings_come_from_the_environment_where_none_are_given(server, monkeypatch):
    for name, value in zip(VARIABLES, (server.url, "from-there", f"{KEY}\n"), strict=True):
        monkeypatch.setenv(name, value)
    with endpoint.chat() as ask:
        ask("Which one?")
    with endpoint.chat(model="given") as ask:
        ask("Which one?")
    assert [request["model"] for request in server.requests] == ["from-there", "given"]
    assert {request["key"] for request in server.requests} == {f"Bearer {KEY}"}
    assert endpoint.source() == f"from-there at {server.url}, temperature 0"


def test_source_is_none_without_a_model_and_hides_the_key(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert endpoint.source("http://host/v1") is None
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert endpoint.source("http://host/v1", "parrot", None) == "parrot at http://host/v1, own temperature"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((None, "parrot", KEY), "give --config.prior.elicit.base_url or the variable OPENAI_BASE_URL"),
        (("", "parrot", KEY), "give --config.prior.elicit.base_url or the variable OPENAI_BASE_URL"),
        (("http://host/v1", None, KEY), "give --config.prior.elicit.model or the variable OPENAI_MODEL"),
        (("http://host/v1", "parrot", None), "give the variable OPENAI_API_KEY"),
        (("http://host/v1", "parrot", " \n"), "give the variable OPENAI_API_KEY"),
        (("http://host/v1", "parrot", f"{KEY}\nx"), "characters that cannot be sent"),
        (("http://host/v1", "parrot", f"{KEY}\u00e9"), "characters that cannot be sent"),
        (("host/v1", "parrot", KEY), "must look like https://host/v1"),
        (("ftp://host/v1", "parrot", KEY), "scheme 'ftp' and host 'host'"),
        ((f"http://me:{KEY}@host/v1", "parrot", KEY), "without a name or a key in it"),
        ((f"http://host/v1?key={KEY}", "parrot", KEY), "without a name or a key in it"),
    ],
)
def test_a_missing_or_wrong_setting_is_refused_with_advice(monkeypatch, arguments, what):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with refusal(ValueError, what), endpoint.chat(*arguments):
        pass


@pytest.mark.parametrize("settings", [{"timeout": 0}, {"retries": -1}])
def test_times_and_retries_below_their_least_are_refused(settings):
    with (
        refusal(ValueError, "a timeout above 0 s and retries from 0 on"),
        endpoint.chat("http://h", "m", "k", **settings),
    ):
        pass


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with refusal(ValueError, "pip install '.[plm]'"), endpoint.chat("http://host/v1", "parrot", KEY):
        pass


def test_too_many_requests_are_retried_after_the_server_delay(server, slept):
    server.script = [Said(failure("slow down"), 429, {"Retry-After": "7"})] * 2 + [Said(completion("C"))]
    with open_chat(server, retries=2) as ask:
        assert ask("Which one?") == "C"
    assert slept == [7, 7]
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_lasting_failure_raises_with_the_server_message(server, slept, status):
    server.script = [Said(failure(f"no room\nfor {KEY} today"), status)]
    what = f"{server.url}: the server said {status}: no room for (the key) today; ask again later"
    with open_chat(server, retries=3) as ask, refusal(ConnectionError, what):
        ask("Which one?")
    assert len(server.requests) == 4
    assert len(slept) == 3
    assert slept == sorted(slept), "the pauses grow"


def test_a_wait_that_is_too_long_is_not_waited_for(server, slept):
    server.script = [Said(failure("come back tomorrow"), 429, {"Retry-After": "86400"})]
    with open_chat(server) as ask, refusal(ConnectionError, "429: come back tomorrow"):
        ask("Which one?")
    assert (slept, len(server.requests)) == ([], 1)


@pytest.mark.parametrize(
    ("status", "body", "what"),
    [
        (
            401,
            failure(f"Incorrect API key provided: {KEY}."),
            "said 401: Incorrect API key provided: (the key).; the key",
        ),
        (403, failure("not for you"), "said 403: not for you; the key is that of OPENAI_API_KEY"),
        (
            404,
            failure("no model parrot"),
            "said 404: no model parrot; look at the address (--config.prior.elicit.base_url)",
        ),
        (400, failure("maximum context length is 512 tokens"), "said 400: maximum context length is 512 tokens"),
        (400, failure("the temperatures of the room"), "said 400: the temperatures"),
        (400, b"<html>" + b"x" * 5000, "said 400: <html>xxx"),
        (404, b"", "said 404: nothing more; look"),
        (422, {"detail": ["odd"]}, "said 422: {'detail': ['odd']}"),
    ],
)
def test_a_refusal_is_reported_at_once(server, slept, status, body, what):
    server.script = [Said(body, status)]
    with open_chat(server) as ask, refusal(ValueError, f"{server.url}: the server {what}"):
        ask("Which one?")
    assert (slept, len(server.requests)) == ([], 1)


@pytest.mark.parametrize(
    "said",
    [
        Said(b'{"id": "chat-1", "choices": [{"mess'),
        Said(b"\xff\xfe"),
        Said(b"<html>welcome</html>", headers={"Content-Type": "text/html"}),
        Said(b"", headers={"Content-Type": "text/plain"}),
        Said(completion() | {"choices": []}),
        Said(completion() | {"choices": None}),
        Said(completion() | {"choices": [{"index": 0}]}),
        Said(completion(content=["A"])),
        Said(completion(content=[{"type": "text"}])),
        Said([1, 2]),
        Said({}),
    ],
)
def test_what_is_no_chat_completion_is_refused(server, slept, said):
    server.script = [said]
    with open_chat(server) as ask, refusal(ValueError, f"{server.url}: the answer is not a chat completion"):
        ask("Which one?")
    assert len(server.requests) == 1


def test_no_text_is_an_empty_reply_and_a_refusal_is_a_text(server):
    server.script = [Said(completion(None)), Said(completion(None, refusal="I must not."))]
    with open_chat(server) as ask:
        assert [ask("Which one?"), ask("Which one?")] == ["", "I must not."]


UNSUPPORTED = [
    {
        "error": {
            "message": "Unsupported value: 'temperature' does not support 0.0 with this model.",
            "param": "temperature",
        }
    },
    {"error": {"message": "`temperature` is deprecated for this model.", "type": "invalid_request_error"}},
    {"error": {"message": "Unrecognized request argument supplied", "param": "temperature", "code": None}},
    {"detail": [{"loc": ["body", "temperature"], "msg": "Extra inputs are not permitted"}]},
    b"parameter temperature is not allowed",
]


@pytest.mark.parametrize("body", UNSUPPORTED)
@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_temperature_is_dropped_with_one_warning(server, slept, status, body):
    server.script = [Said(body, status), Said(completion("B"))]
    with (
        open_chat(server) as ask,
        pytest.warns(endpoint.SamplingWarning, match="takes no temperature of 0: ") as caught,
    ):
        assert [ask("Which one?"), ask("And then?"), ask("And then?")] == ["B"] * 3
    assert ["temperature" in request for request in server.requests] == [True, False, False, False]
    assert len(caught) == 1
    assert "--config.prior.elicit.temperature=-1" in str(caught[0].message)


def test_a_refusal_without_temperature_too_is_reported(server, slept):
    server.script = [Said(failure("temperature: no such field"), 400), Said(failure("no such model"), 400)]
    with open_chat(server) as ask, refusal(ValueError, f"{server.url}: the server said 400: no such model"):
        ask("Which one?")
    assert len(server.requests) == 2


def test_what_was_left_out_by_the_caller_is_not_the_reason(server, slept):
    server.script = [Said(failure("temperature unsupported"), 400)]
    with open_chat(server, temperature=None) as ask, refusal(ValueError, "said 400: temperature unsupported"):
        ask("Which one?")
    assert len(server.requests) == 1


@pytest.mark.parametrize("temperature", [-0.5, float("nan"), float("inf")])
def test_an_impossible_temperature_is_refused(temperature):
    with refusal(ValueError, "a temperature from 0 on"), endpoint.chat("http://h", "m", "k", temperature=temperature):
        pass


def test_a_text_in_parts_is_read_without_its_thoughts(server):
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "A?"}]}
    server.script = [Said(completion([thought, {"type": "text", "text": "B"}]))]
    with open_chat(server) as ask:
        assert ask("Which one?") == "B"


def test_an_error_in_a_response_raises_the_server_message(server, slept):
    server.script = [Said({"error": {"message": f"Rate limit of {KEY} exceeded", "code": 429}})]
    with open_chat(server) as ask, refusal(ConnectionError, "the server said: Rate limit of (the key) exceeded; ask"):
        ask("Which one?")


def test_a_silent_server_is_retried_and_then_abandoned(server, slept):
    server.script = [Said(slow=True), Said(completion("B")), Said(slow=True)]
    with open_chat(server, timeout=0.3, retries=1) as ask:
        assert ask("Which one?") == "B"
        with refusal(ConnectionError, f"{server.url}: no answer within 0.3 s, asked 2 times"):
            ask("Which one?")
    assert len(server.requests) == 4


def test_where_nobody_listens_it_is_said_at_which_address(server, slept):
    with Server() as gone:
        url = gone.url
    with endpoint.chat(url, "parrot", KEY, retries=1) as ask, refusal(ConnectionError, f"{url}: cannot be reached"):
        ask("Which one?")
    assert len(slept) == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_elicitation_survives_a_refusal_without_key_in_file(server, tmp_path, slept, workers):
    asked = elicitation.questionnaire("circuit", "A physics laboratory.", {"voltage": "", "current": "", "power": ""})
    file, source = tmp_path / "answers.json", endpoint.source(server.url, "parrot")
    server.script = [*[Said(completion("A"))] * 6, Said(failure("no money left"), 401)]
    with open_chat(server) as ask, refusal(ValueError, "no money left"):
        elicitation.elicit(asked, ask, file, source=source, workers=workers)
    assert len(elicitation.remaining_questions(asked, file, source)) == len(asked.questions) - 6
    server.script, server.requests = [Said(completion("A"))], []
    with open_chat(server) as ask:
        elicitation.elicit(asked, ask, file, source=source, workers=workers)
    assert len(server.requests) == len(asked.questions) - 6
    assert (read_answers(file).choices == 0).all()
    assert "parrot at http://127.0.0.1" in file.read_text()
    assert KEY not in file.read_text()
