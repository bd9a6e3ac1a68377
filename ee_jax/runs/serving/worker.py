"""The thread that decodes: requests wait for a row, and tokens go back to who asked."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ee_jax.inference.continuous import Asked, Came, ContinuousDecoder


class Busy(Exception):
    """The queue is full."""


class Stopped(Exception):
    """The server is leaving, or its decoder has failed."""


@dataclass(eq=False)
class Job:
    """A request on its way; what comes of it goes to the loop that asked."""

    asked: Asked
    loop: asyncio.AbstractEventLoop
    coming: asyncio.Queue = field(default_factory=asyncio.Queue)
    given_up: bool = False

    def send(self, found: Came | Exception) -> None:
        """Hands over what has come; a loop that has ended wants nothing."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.coming.put_nowait, found)

    async def came(self) -> AsyncIterator[Came]:
        """What comes, up to the end.

        Raises:
          Stopped: the worker has.
        """
        while True:
            found = await self.coming.get()
            if isinstance(found, Exception):
                raise found
            yield found
            if found.ended:
                return


class Worker:
    """Decodes what is submitted, in a thread of its own, as many requests at once as have room.

    Attributes:
      failed: why it decodes no more; None: it does.
    """

    def __init__(self, decoder: ContinuousDecoder, queue: int):
        self._decoder, self._most = decoder, queue
        self._waiting: deque[Job] = deque()
        self._seated: dict[int, Job] = {}
        self._changed = threading.Condition()
        self._leaving = False
        self.failed: str | None = None
        self._thread = threading.Thread(target=self._run, name="decoder", daemon=True)

    def start(self) -> None:
        """Begins to decode."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the step that runs; whoever still waits is told."""
        with self._changed:
            self._leaving = True
            self._changed.notify()
        self._thread.join()

    @property
    def load(self) -> dict[str, int]:
        """How many requests are under way, and how many wait."""
        return {"running": len(self._seated), "waiting": len(self._waiting)}

    def submit(self, asked: Asked) -> Job:
        """Queues a request of the running loop.

        Raises:
          Busy: too many wait.
          Stopped: nobody decodes any more.
        """
        job = Job(asked, asyncio.get_running_loop())
        with self._changed:
            if self._leaving or self.failed:
                raise Stopped(self.failed or "the server is leaving: ask again later")
            if len(self._waiting) >= self._most:
                raise Busy(f"the queue of {self._most} is full: ask again later")
            self._waiting.append(job)
            self._changed.notify()
        return job

    def give_up(self, job: Job) -> None:
        """Frees what a request holds that nobody waits for."""
        with self._changed:
            job.given_up = True
            self._changed.notify()

    def _run(self) -> None:
        why = "the server is leaving: ask again later"
        try:
            while self._wait():
                self._step()
        except Exception as error:  # the requests must hear of it, and /health
            why = self.failed = f"the decoder has failed: {type(error).__name__}: {error}"
        with self._changed:
            self._leaving = True
            for job in (*self._waiting, *self._seated.values()):
                job.send(Stopped(" ".join(why.split())))

    def _wait(self) -> bool:
        """Seats who has room; False when the server is leaving."""
        with self._changed:
            while not (self._leaving or self._waiting or self._seated):
                self._changed.wait()
            self._drop_given_up()
            while self._waiting and self._decoder.has_room:
                job = self._waiting[0]  # which stays there, and is told, if this fails
                self._seated[self._decoder.admit(job.asked)] = job
                self._waiting.popleft()
            return not self._leaving

    def _drop_given_up(self) -> None:
        self._waiting = deque(job for job in self._waiting if not job.given_up)
        for row, job in list(self._seated.items()):
            if job.given_up:
                self._decoder.drop(row)
                del self._seated[row]

    def _step(self) -> None:
        for came in self._decoder.step():
            job = self._seated[came.row]
            if came.ended:
                with self._changed:
                    del self._seated[came.row]
            job.send(came)
