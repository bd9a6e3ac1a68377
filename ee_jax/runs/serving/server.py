"""The HTTP server: a thin shell over the worker, which speaks OpenAI's chat completions."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HTTPRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ee_jax.atomic_io import parse_object
from ee_jax.data.chat_template import ChatTemplate
from ee_jax.errors import UserError
from ee_jax.inference.continuous import Asked, ContinuousDecoder
from ee_jax.inference.methods import EarlyExitDecoding
from ee_jax.inference.rules import Exiting
from ee_jax.inference.sampling import GREEDY
from ee_jax.runs.generation.language_model import TrainedLanguageModel
from ee_jax.runs.generation.text_generation import Request
from ee_jax.runs.generation.tokens import Token, TokenReader
from ee_jax.runs.serving import protocol
from ee_jax.runs.serving.protocol import Completion, Question
from ee_jax.runs.serving.stops import StopStrings
from ee_jax.runs.serving.worker import Busy, Job, Stopped, Worker

BODY = 2**20  # bytes of a request at most


@dataclass(frozen=True)
class Limits:
    """What a server takes."""

    rows: int = 8  # requests that are decoded at the same time
    queue: int = 64  # that may wait
    tokens: int = 256  # of an answer that does not say how many
    seconds: float = 600.0  # until an answer must be whole


class Service:
    """A model that answers questions.

    Raises:
      UserError: the model has no chat template, or its exits cannot do what is asked.
    """

    def __init__(self, model: TrainedLanguageModel, request: Request, limits: Limits):
        self.model, self.limits = model, limits
        self._threshold = 1.0 if request.threshold is None else request.threshold
        named = (model.name, model.chat_template, model.tokenizer, model.stops)
        self._template = ChatTemplate(*named)
        model.method(request)  # raises where it cannot
        method = EarlyExitDecoding(Exiting(request.confidence).rule_at, request.policy)
        self._decoder = ContinuousDecoder(model.decoder(GREEDY), method, limits.rows)
        self.worker = Worker(self._decoder, limits.queue)

    def warm_up(self) -> None:
        """Compiles what the first question needs."""
        ids = self._template.ids([{"role": "user", "content": "Hello"}])
        self._decoder.admit(Asked(ids, self.limits.tokens, self._threshold))
        while not (came := self._decoder.step()):
            pass
        if not came[0].ended:
            self._decoder.drop(came[0].row)

    def asked(self, question: Question) -> Asked:
        """What the decoder is asked.

        Raises:
          UserError: it does not fit the context or the memory, or a number is none.
        """
        ids = self._template.ids(question.messages)
        room = self.model.config.max_length - len(ids)
        tokens = question.tokens
        if tokens is None:
            tokens = max(1, min(self.limits.tokens, room))
        threshold = self._threshold if question.threshold is None else question.threshold
        drawn = question.temperature, question.top_p, question.seed
        asked = Asked(ids, tokens, threshold, *drawn)
        self._decoder.check(asked)
        return asked

    def reader(self, asked: Asked) -> Callable[[Any], list[Token]]:
        """Reads what comes of a request."""
        reader = TokenReader(self.model.tokenizer, self.model.exits, asked.ids)
        return lambda came: reader.of(came.ids, came.exits, came.confidences)


def make_app(service: Service) -> Starlette:
    """The application: chat completions, the model's name, and whether all is well."""

    async def completions(request: HTTPRequest) -> Response:
        question = protocol.read_question(await _body(request))
        asked = service.asked(question)
        job = service.worker.submit(asked)
        completion = Completion.begin(uuid.uuid4().hex, service.model.name)
        answer = _Answer(service, job, completion, StopStrings(question.stop))
        if question.stream:
            events = answer.events(question.counted)
            return StreamingResponse(events, media_type="text/event-stream")
        return JSONResponse(await answer.whole(request))

    async def models(request: HTTPRequest) -> Response:
        entry = {
            "id": service.model.name,
            "object": "model",
            "created": 0,
            "owned_by": "ee_jax",
        }
        return JSONResponse({"object": "list", "data": [entry]})

    async def health(request: HTTPRequest) -> Response:
        failed = service.worker.failed
        state = {"status": failed or "ok", "rows": service.limits.rows, **service.worker.load}
        return JSONResponse(state, 503 if failed else 200)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.worker.start()
        yield
        await asyncio.to_thread(service.worker.stop)

    routes = [
        Route("/v1/chat/completions", completions, methods=["POST"]),
        Route("/v1/models", models),
        Route("/health", health),
    ]
    return Starlette(routes=routes, exception_handlers=HANDLERS, lifespan=lifespan)


async def _body(request: HTTPRequest) -> dict[str, Any]:
    """The JSON object of a request, of at most BODY bytes."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY:
            raise HTTPException(
                413, f"the request is larger than {BODY:,} bytes: say it shorter"
            )
    try:
        return parse_object(body.decode())
    except ValueError as error:
        raise UserError(f"the request is no JSON object ({error}): send one") from None


class _Answer:
    """The answer to a request, at once or as it comes."""

    def __init__(self, service: Service, job: Job, completion: Completion, stop: StopStrings):
        self._service, self._job, self._completion = service, job, completion
        self._stop = stop
        self._read = service.reader(job.asked)
        self._tokens: list[Token] = []

    async def _come(self) -> AsyncGenerator[str]:
        """The text as it comes; whoever leaves frees the row."""
        try:
            async with asyncio.timeout(self._service.limits.seconds):
                async for came in self._job.came():
                    some = self._read(came)
                    self._tokens += some
                    yield self._stop.take("".join(token.text for token in some))
                    if self._stop.over:
                        return
            yield self._stop.rest()
        except TimeoutError:
            seconds = f"{self._service.limits.seconds:g} seconds"
            raise HTTPException(504, f"no answer within {seconds}: ask for less") from None
        finally:
            self._service.worker.give_up(self._job)

    @property
    def _finish(self) -> str:
        ended = self._stop.over or self._tokens[-1].id in self._service.model.stops
        return "stop" if ended else "length"

    @property
    def _usage(self) -> dict[str, Any]:
        blocks = self._service.model.exits[-1]
        return protocol.usage(len(self._job.asked.ids), self._tokens, blocks)

    async def whole(self, request: HTTPRequest) -> dict[str, Any]:
        """The answer at once."""
        text = ""
        async with contextlib.aclosing(self._come()) as coming:
            async for some in coming:
                text += some
                if await request.is_disconnected():
                    raise HTTPException(499, "nobody waits for the answer any more")
        return self._completion.whole(text, self._finish, self._usage)

    async def events(self, counted: bool) -> AsyncIterator[str]:
        """The answer as server-sent events; an error, too, is one."""
        say = self._completion
        yield _event(say.chunk({"role": "assistant", "content": ""}))
        try:
            async with contextlib.aclosing(self._come()) as coming:
                async for text in coming:
                    if text:
                        yield _event(say.chunk({"content": text}))
        except (HTTPException, Stopped) as error:
            yield _event(protocol.error(_line(error), "server_error"))
            return
        yield _event(say.chunk({}, self._finish))
        if counted:
            yield _event(say.counted(self._usage))
        yield "data: [DONE]\n\n"


def _event(content: Any) -> str:
    return f"data: {json.dumps(content)}\n\n"


def _line(error: Exception) -> str:
    """An error in one line."""
    said = error.detail if isinstance(error, HTTPException) else str(error)
    return " ".join(said.split())


def _refuse(status: int, kind: str = "invalid_request_error") -> Any:
    """What turns an error into an answer of this status."""

    async def answer(request: HTTPRequest, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else status
        return JSONResponse(protocol.error(_line(error), kind), code)

    return answer


HANDLERS = {
    UserError: _refuse(400),
    HTTPException: _refuse(400),
    Busy: _refuse(429, "rate_limit_error"),
    Stopped: _refuse(503, "server_error"),
}
