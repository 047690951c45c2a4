"""A whole client of xp.v1 (see protocol.md) over `websockets` 15 or newer. `python client.py URL TOKEN`, with a URL like
ws://127.0.0.1:7400/v1/board/kitchen, sends each line of its input, prints every frame, and leaves when all is answered."""
import asyncio, concurrent.futures, contextlib, math, random, sys, threading, time, uuid
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
WINDOW, SILENCE = 64, 2.0  # how far commands run ahead of answers; seconds until what is unanswered is sent again

class Client:
    def __init__(self, url, token):
        self.url, headers = f"{url}?connection={uuid.uuid4()}", {"Authorization": f"Bearer {token}"}
        self.how = dict(subprotocols=["xp.v1"], additional_headers=headers, max_size=None, proxy=None)
        self.attempt, self.failures, self.code, self.left = int(time.time() * 1000), 0, 0, False
        self.since, self.last, self.unanswered = "", 0, {}  # where to resume; the last number; {n: (payload, answer)}
        self.next = self.due = math.inf  # the next number to write; when to write everything unanswered again
        self.welcomed, self.socket = asyncio.Event(), None

    async def connect(self):
        await asyncio.sleep(min(10, 0.1 * 2**self.failures) * random.uniform(0.5, 1))
        self.attempt, self.failures = self.attempt + 1, min(self.failures + 1, 9)
        return connect(f"{self.url}&attempt={self.attempt}{self.since}", **self.how)

    async def events(self):
        """Every frame, over as many sockets as it takes. A later `welcome … fresh` starts the view over."""
        while not self.left and not 4000 <= self.code < 4400:
            with contextlib.suppress(OSError, asyncio.TimeoutError, WebSocketException):
                async with await self.connect() as self.socket:
                    while not self.left:
                        with contextlib.suppress(asyncio.TimeoutError):
                            frame = await asyncio.wait_for(self.socket.recv(), max(0, min(60, self.due - time.monotonic())))
                            self.read(frame if isinstance(frame, str) else frame.decode(errors="replace"))
                            yield frame
                        if time.monotonic() >= self.due:
                            self.next, self.due = min(self.unanswered, default=self.last + 1), time.monotonic() + SILENCE
                        await self.flush()
            self.code, self.next, self.due = self.socket and self.socket.close_code or 0, math.inf, math.inf

    def read(self, frame):
        verb, *words = frame.split(" ", 3)
        if verb in ("welcome", "event"):
            self.since = f"&since={words[0]}"
        if verb == "welcome":
            self.last, self.due, self.failures = self.last if self.welcomed.is_set() else int(words[1]), 0, 0
            self.welcomed.set()
        elif verb == "busy":  # nothing goes out until then
            self.next, self.due = math.inf, time.monotonic() + int(words[1]) / 1000
        elif verb in ("reply", "reject", "fault") and int(words[0]) in self.unanswered:
            self.unanswered.pop(int(words[0]))[1].set_result((verb, int(words[1]), " ".join(words[2:])))

    async def flush(self):
        while self.next <= self.last:
            n, self.next = self.next, self.next + 1
            if n in self.unanswered:
                await self.socket.send(f"send {n} {self.unanswered[n][0]}")

    async def command(self, payload):
        """Gives a command its number; the future it returns becomes the answer: (verb, revision, payload)."""
        await self.welcomed.wait()
        while self.unanswered and self.last + 1 >= min(self.unanswered) + WINDOW:
            await asyncio.wait([self.unanswered[min(self.unanswered)][1]])
        self.last, answer = self.last + 1, asyncio.get_running_loop().create_future()
        self.unanswered[self.last] = payload, answer
        with contextlib.suppress(WebSocketException):  # on a broken socket: it goes out after the next welcome
            await self.flush()
        return answer

async def main(url, token):
    client, loop = Client(url, token), asyncio.get_running_loop()
    def type_in():
        run = lambda step: asyncio.run_coroutine_threadsafe(step, loop).result()
        with contextlib.suppress(concurrent.futures.CancelledError):  # sent away meanwhile
            for answer in [run(client.command(line.strip())) for line in sys.stdin]:
                run(asyncio.wait_for(answer, None))
            client.left = run(client.welcomed.wait())
            run(client.socket.close())
    threading.Thread(target=type_in, daemon=True).start()
    async for frame in client.events():
        print(frame, flush=True)
    sys.exit(0 if client.left else f"closed with {client.code}")
if __name__ == "__main__": asyncio.run(main(*sys.argv[1:]))
