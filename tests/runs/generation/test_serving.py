"""`ee-jax serve`, asked by OpenAI's own client: many at once, each answered as if alone."""

import contextlib
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import ee_jax
from ee_jax.cli import main
from ee_jax.models.language_source import CHAT_TEMPLATE
from tests.runs.generation.test_chat import TEMPLATE

openai = pytest.importorskip("openai", reason="pip install '.[test]'")
uvicorn = pytest.importorskip("uvicorn", reason="pip install '.[serve]'")
WORDS = ["cat", "hat", "a mat", "sat on", "a cat sat", "on", "that", "a", "ca", "m at"]


@pytest.fixture(scope="module")
def folder(exported, tmp_path_factory):
    folder = shutil.copytree(exported, tmp_path_factory.mktemp("chatty") / "model")
    (folder / "manifest.json").unlink()
    (folder / CHAT_TEMPLATE).write_text(TEMPLATE)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return ee_jax.load(folder)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def serving(folder, *more):
    """A server in a process of its own; its port, and the process."""
    port = free_port()
    command = [
        sys.executable,
        "-c",
        "from ee_jax.cli import main; main()",
        "serve",
        str(folder),
    ]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--rows", "3", *more], stderr=subprocess.PIPE, text=True
    )
    try:
        until(port, process)
        yield port, process
    finally:
        process.kill()
        process.communicate()


def fetch(port, method, path, body=None):
    """A plain request; the answer, to be read."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    connection.request(method, path, body)
    return connection.getresponse()


def health(port):
    return json.load(fetch(port, "GET", "/health"))


def until(port, process):
    for _ in range(1200):
        with contextlib.suppress(ConnectionError):
            if health(port)["status"] == "ok":
                return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    raise AssertionError("it does not begin to serve")


@pytest.fixture(scope="module")
def port(folder):
    with serving(folder, "--queue", "60", "--seconds", "300") as (port, _):
        yield port


@pytest.fixture(scope="module")
def client(port):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0)


def ask(client, text, tokens=9, **more):
    more = {name: more.pop(name) for name in ("stream", "stream_options", "temperature", "seed")
            if name in more} | {"extra_body": more}  # fmt: skip
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(
        model="it", messages=messages, max_tokens=tokens, **more
    )


@pytest.mark.parametrize("threshold", [None, 0.3, 1.0])
def test_an_answer_is_the_models(client, model, threshold):
    answer = ask(client, "cat", threshold=threshold)
    expected = model.generate("u cat\na", threshold=threshold, tokens=9)
    assert answer.choices[0].message.content == expected
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 9
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 9
    assert answer.usage.mean_depth == pytest.approx(expected.mean_depth)


def test_an_answer_ends_before_its_stop(client):
    whole = ask(client, "cat", tokens=13).choices[0].message.content
    stop = whole[3:5]
    messages = [{"role": "user", "content": "cat"}]
    asked = {"model": "it", "messages": messages, "max_tokens": 13, "stop": ["\0", stop]}
    cut = client.chat.completions.create(**asked)
    assert cut.choices[0].message.content == whole[: whole.index(stop)]
    assert cut.choices[0].finish_reason == "stop"
    chunks = [*client.chat.completions.create(**asked, stream=True)]
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == whole[: whole.index(stop)]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_stream_is_the_same_piece_by_piece(client):
    whole = ask(client, "a hat", threshold=0.3)
    counted = {"include_usage": True}
    chunks = [*ask(client, "a hat", threshold=0.3, stream=True, stream_options=counted)]
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert sum(map(bool, pieces)) > 1
    assert chunks[-1].usage.mean_depth == whole.usage.mean_depth
    assert chunks[-2].choices[0].finish_reason == "length"


def test_fifty_at_once_and_each_is_answered_as_if_alone(client):
    """Thresholds, lengths and kinds mixed; the queue holds those that have no row."""
    asked = [
        {
            "text": WORDS[n % 10],
            "tokens": 1 + n % 13,
            "threshold": (None, 0.25, 0.3, 0.35)[n % 4],
            "temperature": float(n % 5 == 0),
            "seed": n,
        }
        for n in range(50)
    ]
    with ThreadPoolExecutor(50) as pool:
        together = [*pool.map(lambda one: ask(client, **one), asked)]
    assert len(together) == 50
    for one, answer in zip(asked, together, strict=True):
        alone = ask(client, **one)
        assert answer.choices[0].message.content == alone.choices[0].message.content
        assert answer.usage == alone.usage


def test_the_model_is_listed_and_all_is_well(client, port, folder):
    assert [entry.id for entry in client.models.list()] == [str(folder)]
    assert health(port) == {"status": "ok", "rows": 3, "running": 0, "waiting": 0}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"draft": 1}, "draft: the server verifies no drafts"),
        ({"threshold": 2}, "threshold 2.0: it is from 0 to 1"),
        ({"temperature": -1}, "temperature -1.0: it is 0 (greedy)"),
        ({"tokens": 48}, "prompt 1 of 1 has "),
        ({"tokens": 0}, "0 tokens to generate: ask for at least one"),
        ({"nosuch": 1}, "nosuch: the server does not know this field"),
    ],
)
def test_what_cannot_be_met_is_one_line(client, more, message):
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, "cat", **more)
    assert error.value.body["message"].startswith(message)
    assert "\n" not in error.value.body["message"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("chat/completions", b"{", 400),
        ("chat/completions", b"[]", 400),
        ("chat/completions", b"\xff", 400),
        ("chat/completions", b" " * (2**20 + 1), 413),
        ("nosuch", b"{}", 404),
        ("models", b"{}", 405),
    ],
)
def test_what_is_no_question_is_refused(port, path, body, status):
    answer = fetch(port, "POST", f"/v1/{path}", body)
    assert answer.status == status
    assert "\n" not in json.load(answer)["error"]["message"]


def test_who_leaves_frees_the_row(client, port):
    stream = ask(client, "cat", tokens=40, stream=True)
    next(iter(stream))
    stream.close()
    for _ in range(100):
        state = health(port)
        if state["running"] == state["waiting"] == 0:
            return
        time.sleep(0.1)
    raise AssertionError(state)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_its_answers(folder, number):
    with serving(folder, "--queue", "1") as (port, process):
        found = []

        def stream():
            body = {"messages": [{"role": "user", "content": "a"}], "stream": True,
                    "max_tokens": 40}  # fmt: skip
            for line in fetch(port, "POST", "/v1/chat/completions", json.dumps(body)):
                found.append(line.decode().rstrip())

        asking = threading.Thread(target=stream)
        asking.start()
        while not found and asking.is_alive():
            time.sleep(0.01)
        process.send_signal(number)
        asking.join()
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Traceback" not in said
    assert found[-2] == "data: [DONE]"
    last = json.loads(found[-4].removeprefix("data: "))
    assert last["choices"][0]["finish_reason"] == "length"


def test_more_than_may_wait_are_told_so(folder):
    with serving(folder, "--queue", "1", "--rows", "1") as (port, _):
        client = openai.OpenAI(
            base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0
        )

        def status(_):
            try:
                return ask(client, "a", tokens=40).usage.completion_tokens
            except openai.RateLimitError as error:
                return error.body["message"]

        with ThreadPoolExecutor(12) as pool:
            found = [*pool.map(status, range(12))]
    assert {*found} == {40, "the queue of 1 is full: ask again later"}


def test_a_missing_extra_and_a_model_that_cannot_chat_are_one_line(
    exported, folder, monkeypatch, capsys
):
    def error_of(*line):
        with pytest.raises(SystemExit) as left:
            main(["serve", *map(str, line)])
        assert left.value.code == 2
        return capsys.readouterr().err

    assert "has no chat template: give a model" in error_of(exported)
    assert "--port 70000: it is below 65536" in error_of(folder, "--port", 70000)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert error_of(folder) == (
        "ee-jax: ee-jax serve needs uvicorn: pip install 'ee_jax[serve]'\n"
    )
