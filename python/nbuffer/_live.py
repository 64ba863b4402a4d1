"""Items that are submitted one by one: futures, results, and what becomes of those that are too many."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from nbuffer import _native
from nbuffer._errors import ItemCancelled, ItemDropped
from nbuffer._report import Report
from nbuffer._stream import Ended, Finished, Last, finished, next_in_thread, open_streams

# Results that wait for who reads them: more would be older than they need be.
AHEAD = 1


class _Submission:
    """What travels with an item."""

    __slots__ = ("future", "tag", "item")

    def __init__(self, item: Any, tag: Any) -> None:
        self.future: Future[Any] = Future()
        # It cannot be cancelled: its item is on its way.
        self.future.set_running_or_notify_cancel()
        self.tag = tag
        self.item = item


class Live:
    """A stream of submitted items. A thread takes what has ended, and tells each future."""

    def __init__(
        self,
        running: _native.Running,
        on_error: str,
        on_drop: Callable[[ItemDropped], object] | None,
        last: Last,
    ) -> None:
        self._running = running
        self._on_error = on_error
        self._on_drop = on_drop
        self._last = last
        self._lock = threading.Condition()
        self._submitted: set[_Submission] = set()
        self._ahead: deque[Finished] = deque()
        self._was_fed = False
        self._has_reader = False
        self._is_ended = False
        self._closing = False
        self._ended: Ended | None = None
        self._thread = threading.Thread(target=self._collect, name="nbuffer-results", daemon=True)
        open_streams.add(self)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._closing

    @property
    def is_gone(self) -> bool:
        return self._ended is not None

    def submit(self, item: Any, tag: Any, timeout: float | None) -> Future[Any]:
        submission = _Submission(item, tag)
        with self._lock:
            if self._closing:
                raise RuntimeError("the pipeline takes no more items: it was closed")
            self._was_fed = True
            self._submitted.add(submission)
        try:
            dropped = self._running.submit(item, submission, timeout)
        except BaseException:
            with self._lock:
                self._submitted.discard(submission)
            raise
        if dropped is not None:
            self._drop(dropped)
        return submission.future

    async def submit_async(self, item: Any, tag: Any) -> Any:
        try:
            submitted = self.submit(item, tag, 0.0)
        except TimeoutError:
            # Waiting for room must not stop the event loop.
            submitted = await asyncio.get_running_loop().run_in_executor(None, self.submit, item, tag, None)
        return await asyncio.wrap_future(submitted)

    def _drop(self, dropped: _Submission) -> None:
        with self._lock:
            self._submitted.discard(dropped)
        why = "the item was dropped: the inbox was full, and by the overload policy it made room"
        error = ItemDropped(why, item=dropped.item, tag=dropped.tag, step="dropped")
        dropped.future.set_exception(error)
        if self._on_drop is not None:
            try:
                self._on_drop(error)
            except Exception:
                # As with a future's own callbacks: the item that was submitted is on its way, and its future must be told.
                logging.getLogger("nbuffer").exception("on_drop raised an exception")

    @property
    def dropped(self) -> int:
        offered = self._running.offered()
        return 0 if offered is None else offered[1]

    def _collect(self) -> None:
        while (result := self._running.next()) is not None:
            done = finished(result)
            submission: _Submission = done.token
            if done.error is not None:
                done.error.tag = submission.tag
            if done.error is None:
                submission.future.set_result(done.value)
            else:
                submission.future.set_exception(done.error)
            with self._lock:
                self._submitted.discard(submission)
                if self._has_reader:
                    self._ahead.append(done)
                    if len(self._ahead) == 1:
                        self._lock.notify_all()
                del result, done, submission
                # What reads the results sets the pace: the pipeline's window fills up meanwhile.
                while self._has_reader and len(self._ahead) > AHEAD and not self._closing:
                    self._lock.wait()
        self._end()

    def _end(self) -> None:
        """Every item that was submitted has its end, also where the stream was cut short."""
        why = self._running.cut_short() or "the pipeline was closed before the item was done"
        native = self._running.report()
        if native is not None:
            self._ended = self._last.ended = Ended(native, self.dropped)
        self._running.close()
        with self._lock:
            left, self._submitted = self._submitted, set()
            self._is_ended = True
            self._lock.notify_all()
        for submission in left:
            error = ItemCancelled(why, item=submission.item, tag=submission.tag, step="cancelled")
            submission.future.set_exception(error)

    def results(self) -> Results:
        with self._lock:
            if self._has_reader:
                raise RuntimeError("there is an iterator over the results already: each result is given once")
            if self._was_fed:
                raise RuntimeError(
                    "items were submitted whose results go to their futures alone: call results() before the first submit()"
                )
            self._has_reader = True
        return Results(self)

    def next(self) -> Finished | None:
        with self._lock:
            while not self._ahead and not self._is_ended:
                # Woken now and then, so that Ctrl-C is seen.
                self._lock.wait(0.05)
            if not self._ahead:
                return None
            done = self._ahead.popleft()
            if len(self._ahead) == AHEAD:
                self._lock.notify_all()
            return done

    def leave(self) -> None:
        """Nobody reads the results any more; they go to their futures alone."""
        with self._lock:
            self._has_reader = False
            self._ahead.clear()
            self._lock.notify_all()

    def finish(self) -> None:
        self._running.finish()

    def close(self, cancel: bool = False) -> None:
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        self._running.finish()
        if cancel:
            self._running.cancel()
        # A callback of a future may close its pipeline.
        if self._thread is not threading.current_thread():
            while self._thread.is_alive():
                self._thread.join(0.05)

    @property
    def report(self) -> Report:
        native = self._running.report() if self._ended is None else None
        if native is not None:
            return Report._of(native, self.dropped)
        assert self._ended is not None, "a stream leaves its report before it is gone"
        return self._ended.report


class Results:
    """The results of submitted items, in the order they were submitted: an iterator over (tag, outputs)."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def __iter__(self) -> Results:
        return self

    def __next__(self) -> tuple[Any, Any]:
        done = self._live.next()
        if done is None:
            raise StopIteration
        tag = done.token.tag if done.token.tag is not None else done.item
        if done.error is None:
            return tag, done.value
        if self._live._on_error == "value":
            return tag, done.error
        raise done.error

    def __aiter__(self) -> Results:
        return self

    async def __anext__(self) -> tuple[Any, Any]:
        return await next_in_thread(self)

    def close(self) -> None:
        """No more results are read; the items go on, and their futures are told."""
        self._live.leave()

    def __del__(self) -> None:
        self._live.leave()
