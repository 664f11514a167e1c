"""Language models over real connections to a server on this machine: both protocols, and all that goes wrong."""

import json
import logging
import re
import subprocess
import sys
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from phoenix.synthesis import backends as b

SECRET = "sk-test-4815162342"
REPLY = "def f(x):\n    return x + 1\n"
ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Write f."}]
BOTH = pytest.mark.parametrize("kind", ["openai", "anthropic"])


def openai_events(words: list[str]) -> list[dict]:
    chunk = lambda delta, reason=None: {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m",
                                        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}  # fmt: skip
    usage = {"prompt_tokens": 7, "completion_tokens": len(words), "total_tokens": 7 + len(words)}
    return [*(chunk({"content": word}) for word in words), chunk({}, "stop") | {"usage": usage}]


def anthropic_events(words: list[str]) -> list[dict]:
    message = {"id": "1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
               "usage": {"input_tokens": 7, "output_tokens": 0}}  # fmt: skip
    delta = lambda word: {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": len(words)}}
    return [{"type": "message_start", "message": message}, *map(delta, words), end, {"type": "message_stop"}]


class Handler(BaseHTTPRequestHandler):
    "Does what `server.trouble` says, one for each request: a status, or a word; then streams the reply"

    def do_POST(self):
        with suppress(OSError):
            self.talk(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def talk(self, body: dict) -> None:
        self.server.seen.append((time.monotonic(), body, dict(self.headers)))
        trouble, headers = self.server.trouble.pop(0) if self.server.trouble else "", {}
        if isinstance(trouble, tuple):
            trouble, headers = trouble
        if isinstance(trouble, int):
            said = {400: "temperature is not supported", 401: f"Incorrect key provided: {SECRET}"}.get(trouble, "busy")
            return self.answer(trouble, json.dumps({"error": {"type": "x", "message": said}}), headers)
        if trouble == "html":
            return self.answer(200, "<html>Welcome to the hotel</html>", {"Content-Type": "text/html"})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        words = re.findall(r"\S+\s*", REPLY)
        events = openai_events(words) if "completions" in self.path else anthropic_events(words)
        if trouble == "garbage":
            return self.write("event: message_start\ndata: {nonsense\n\n")
        if trouble == "overloaded":
            said = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
            return self.write(f"event: error\ndata: {json.dumps(said)}\n\n")
        for i, event in enumerate(events):
            if trouble == "cut" and i == 3:
                return None
            name = f"event: {event['type']}\n" if "type" in event else ""
            while trouble == "pings" and i == 2 and not self.server.stopped.wait(0.05):
                self.write(": still here\n\n" + 'event: ping\ndata: {"type": "ping"}\n\n' * bool(name))
            if trouble == "silence" and i == 2:
                self.server.stopped.wait(3)
            self.write(f"{name}data: {json.dumps(event)}\n\n")
        return None

    def write(self, text: str) -> None:
        self.wfile.write(text.encode())
        self.wfile.flush()

    def answer(self, status: int, text: str, headers: dict) -> None:
        self.send_response(status)
        for item in ({"Content-Type": "application/json", "Content-Length": str(len(text))} | headers).items():
            self.send_header(*item)
        self.end_headers()
        self.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.trouble, server.seen, server.stopped, server.daemon_threads = [], [], threading.Event(), True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.stopped.set()
    server.shutdown()


@pytest.fixture
def server(address, monkeypatch):
    monkeypatch.setenv("PHOENIX_TEST_KEY", SECRET)
    address.trouble.clear(), address.seen.clear()
    return address


def model(server, kind, **more):
    base = f"http://127.0.0.1:{server.server_port}" + "/v1" * (kind == "openai")
    settings = {"timeout": 5.0, "deadline": 20.0, "retries": 2, "backoff": 0.01} | more
    return b.make_backend(b.BackendConfig(kind, "m", base, "PHOENIX_TEST_KEY", **settings))


@BOTH
def test_streams_in_pieces_with_usage(server, kind):
    backend = model(server, kind)
    completion = backend.complete(ASK, max_tokens=99, stop=["\n\n"], seed=3)
    pieces = list(completion)
    assert "".join(pieces) == completion.text == REPLY and len(pieces) == 6
    assert completion.usage == b.Usage(7, 6, "stop") and backend.budget.spent == 13
    body = server.seen[0][1]
    assert body["stream"] and body["max_tokens"] == 99 and body["temperature"] == 0
    assert (body.get("stop") or body.get("stop_sequences")) == ["\n\n"] and ("seed" in body) == (kind == "openai")
    assert body.get("system", ASK[0]["content"]) == ASK[0]["content"] and b.code_blocks(completion.text) == [REPLY]


@BOTH
@pytest.mark.parametrize("trouble", [[429, 503], [500], [(429, {"Retry-After": "0"})], ["silence"], ["overloaded"]])
def test_what_may_go_away_is_tried_again(server, kind, trouble):
    if trouble == ["overloaded"] and kind == "openai":
        pytest.skip("an event of the other protocol")
    server.trouble[:] = trouble
    backend = model(server, kind, timeout=0.5 if "silence" in trouble else 5.0)
    if "silence" in trouble:  # the first pieces are given already: they cannot be taken back
        with pytest.raises(b.BackendTimeout):
            backend.complete(ASK).read()
        assert len(server.seen) == 1
    else:
        assert backend.complete(ASK).read() == REPLY and len(server.seen) == 1 + len(trouble)


@BOTH
def test_retry_after_is_kept_and_never_past_the_deadline(server, kind):
    server.trouble[:] = [(429, {"Retry-After": "0.4"})]
    assert model(server, kind).complete(ASK).read() == REPLY
    assert server.seen[1][0] - server.seen[0][0] >= 0.4
    server.trouble[:] = [(503, {"Retry-After": formatdate(time.time() + 60, usegmt=True)})]
    begin = time.monotonic()
    with pytest.raises(b.BackendDown, match="503"):
        model(server, kind).complete(ASK).read()
    assert time.monotonic() - begin < 5


@BOTH
@pytest.mark.parametrize(
    "trouble, error, requests",
    [(401, b.BackendRefused, 1), (404, b.BackendRefused, 1), ("garbage", b.BadReply, 1), ("html", b.BadReply, 1),
     ("cut", b.BadReply, 1), (503, b.BackendDown, 3)],
)  # fmt: skip
def test_each_failure_has_its_class_and_no_key(server, kind, trouble, error, requests, caplog):
    caplog.set_level(logging.DEBUG)
    server.trouble[:] = [trouble] * 3
    with pytest.raises(error) as caught:
        model(server, kind).complete(ASK).read()
    assert len(server.seen) == requests
    told = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert caught.value.__context__ is None and caught.value.__cause__ is None
    assert SECRET not in told and SECRET not in caplog.text and SECRET in str(server.seen[0][2])


@BOTH
def test_a_server_that_only_says_that_it_is_there_is_left(server, kind):
    for settings, words in (({"timeout": 0.4}, "nothing came"), ({"timeout": 9.0, "deadline": 0.8}, "deadline")):
        server.trouble[:] = ["pings"]
        begin = time.monotonic()
        with pytest.raises(b.BackendTimeout, match=words):
            model(server, kind, **settings).complete(ASK).read()
        assert time.monotonic() - begin < 4


@BOTH
def test_a_parameter_that_is_refused_is_left_out(server, kind):
    server.trouble[:] = [400]
    assert model(server, kind, retries=0).complete(ASK).read() == REPLY
    assert "temperature" in server.seen[0][1] and "temperature" not in server.seen[1][1]


@BOTH
def test_nobody_listens(kind, server):
    backend = model(server, kind, retries=1)
    object.__setattr__(backend.config, "base_url", "http://127.0.0.1:9/v1")
    with pytest.raises(b.BackendDown):
        backend.complete(ASK).read()


def test_the_key_is_nowhere(server, monkeypatch):
    backend = model(server, "openai")
    backend.complete(ASK).read()
    assert SECRET not in repr(backend) + repr(vars(backend)) + repr(backend.config)
    monkeypatch.delenv("PHOENIX_TEST_KEY")
    with pytest.raises(b.BackendRefused, match="PHOENIX_TEST_KEY"):
        backend.complete(ASK).read()
    for bad in (
        {"key_env": SECRET},
        {"base_url": f"https://u:{SECRET}@h/v1"},
        {"base_url": f"https://h/?key={SECRET}"},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))) as caught:
            replace(backend.config, **bad)
        assert SECRET not in str(caught.value)


def test_a_budget_holds_for_all_threads(server):
    first = model(server, "openai", token_budget=150)
    several = [first, b.make_backend(first.config, first.budget)] * 6
    spent, refused = [], []

    def one(backend):
        try:
            completion = backend.complete(ASK, max_tokens=20)
            completion.read()
            spent.append(completion.usage.total)
        except b.BudgetSpent:
            refused.append(1)

    threads = [threading.Thread(target=one, args=(o,)) for o in several]
    [o.start() for o in threads], [o.join() for o in threads]
    assert len(spent) + len(refused) == 12 and refused and sum(spent) == first.budget.spent <= 150
    assert len(server.seen) == len(spent)


def test_leaving_early_and_never_reading_give_tokens_back(server):
    backend = model(server, "openai", token_budget=100)
    with backend.complete(ASK) as completion:
        next(completion)
    assert completion.usage.stop_reason == "closed" and 0 < backend.budget.spent < 40
    unread, spent = backend.complete(ASK), backend.budget.spent
    del unread
    assert backend.budget.spent == spent and backend.budget.reserve(1, 10) == 10
    with pytest.raises(StopIteration):
        next(completion)


NO_MESSAGES = [[], "hello", [{"role": "user"}], [{"role": "user", "content": " "}]]
NO_MESSAGES += [[{"role": role, "content": "x"}] for role in ("robot", "assistant", "system")]


@pytest.mark.parametrize("messages", NO_MESSAGES)
def test_messages_that_are_none(server, messages):
    with pytest.raises(ValueError, match="messages"):
        model(server, "openai").complete(messages)
    with pytest.raises(ValueError, match="max_tokens"):
        model(server, "openai").complete(ASK, max_tokens=0)
    assert not server.seen


def test_without_the_extra_there_is_a_command(server, monkeypatch):
    for kind in ("openai", "anthropic"):
        monkeypatch.setitem(sys.modules, kind, None)
        with pytest.raises(b.BackendMissing, match=re.escape("pip install 'phoenix-mamba[llm]'")):
            model(server, kind).complete(ASK).read()


def test_import_is_light():
    heavy = {"openai", "anthropic", "transformers", "hypothesis"}
    code = f"import sys, phoenix.synthesis; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_which_model_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.delenv("PHOENIX_LLM", raising=False)
    assert b.default_backend() is None
    monkeypatch.setenv("PHOENIX_LLM", "none")
    assert b.default_backend() is None
    monkeypatch.setenv("PHOENIX_LLM", "openai:gpt")
    assert b.default_backend().config == b.BackendConfig("openai", "gpt", key_env="OPENAI_API_KEY")
    (tmp_path / "llm.yaml").write_text("kind: anthropic\nmodel: m\ntimeout: 3\n")
    monkeypatch.setenv("PHOENIX_LLM", str(tmp_path / "llm.yaml"))
    assert b.default_backend().config == b.BackendConfig("anthropic", "m", timeout=3.0)
    (tmp_path / "llm.yaml").write_text(f"kind: anthropic\nmodel: m\napi_key: {SECRET}\n")
    with pytest.raises(ValueError, match="api_key") as caught:
        b.default_backend()
    assert SECRET not in str(caught.value)
    monkeypatch.setenv("PHOENIX_LLM", str(tmp_path / "gone.yaml"))
    with pytest.raises(ValueError, match="gone"):
        b.default_backend()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "A language model of two layers with random weights, and a tokenizer that knows single characters"
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    path = tmp_path_factory.mktemp("tiny")
    vocabulary = {chr(i + 33): i for i in range(94)} | {"Ġ": 94, "<end>": 95}
    tokens = Tokenizer(models.BPE(vocabulary, [], unk_token="?"))
    tokens.pre_tokenizer, tokens.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<end>").save_pretrained(path)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.LlamaConfig(vocab_size=96, **sizes, eos_token_id=95, bos_token_id=95)
        transformers.LlamaForCausalLM(config).save_pretrained(path)
    return path


def test_a_model_in_a_folder(folder):
    import torch

    backend = b.make_backend(b.BackendConfig("transformers", str(folder), token_budget=1000))
    state = torch.get_rng_state()
    completions = [backend.complete(ASK, max_tokens=16, temperature=1.0, seed=seed) for seed in (1, 1, 2)]
    pieces = [list(o) for o in completions]
    texts = ["".join(o) for o in pieces]
    assert torch.equal(torch.get_rng_state(), state) and texts[0] == texts[1] != texts[2]
    assert completions[0].usage.output_tokens == 16 and not completions[0].usage.estimated
    stop = texts[0][6:8]
    completion = backend.complete(ASK, max_tokens=16, temperature=1.0, seed=1, stop=[stop])
    assert completion.read() == texts[0].partition(stop)[0] and completion.usage.stop_reason == "stop"
    with backend.complete(ASK, max_tokens=500) as completion:
        next(completion)
    assert completion.usage.stop_reason == "closed"
    with pytest.raises(b.BudgetSpent):
        [backend.complete(ASK, max_tokens=400).read() for _ in range(4)]


def test_pickles_and_empty_folders_are_refused(folder, tmp_path):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    for path in (tmp_path, tmp_path / "no"):
        with pytest.raises(b.BackendRefused, match="safetensors"):
            b.make_backend(b.BackendConfig("transformers", str(path))).complete(ASK).read()
    (tmp_path / "model.safetensors").write_bytes(b"not tensors")
    with pytest.raises(b.BackendRefused, match="cannot be loaded"):
        b.make_backend(b.BackendConfig("transformers", str(tmp_path))).complete(ASK).read()


@pytest.mark.parametrize(
    "reply, blocks",
    [("", []), ("Sorry.", []), ("I can't", []), ("x", []), ("```\n```", []), ("```json\n{}\n```", []),
     (REPLY, [REPLY]), (f"```\n{REPLY}```", [REPLY]), (f"~~~~py\n{REPLY}~~~\n~~~~", [REPLY + "~~~\n"]),
     (f"```python\n{REPLY}", [REPLY]), (f"So:\n\n{REPLY}\nIt adds one.", [REPLY]),
     (f"```python title='a.py'\n{REPLY}```\n```sh\nls\n```\n```py\nx = 1\n```", [REPLY, "x = 1\n"])],
)  # fmt: skip
def test_code_in_a_reply(reply, blocks):
    assert b.code_blocks(reply) == blocks
