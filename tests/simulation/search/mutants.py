"""Bugs to plant into a copy of the runtime: each one exact text for another, and what a search must say of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """name: what is wrong. changes: (file below the package, the text as it stands, the text in its place). found: the
    invariant by whose name it must be found. only: the kinds of variation that are tried, all when empty."""

    name: str
    changes: tuple[tuple[str, str, str], ...]
    found: str
    only: tuple[str, ...] = ()
    runs: int = 150


EPOCHS, QUEUES, BARGE_IN = "runtime/epochs.py", "runtime/queues.py", "runtime/bargein.py"

MUTANTS = (
    Mutant(
        "a callback's event of a dead epoch goes out",
        (("runtime/assembly.py",
          "if self.core.epochs.live(origin) or payload.__kind__.keep:", "if origin is not None:"),),
        "nothing stale is made", ("interrupt",),
    ),
    Mutant(
        "an answer of a dead epoch goes out",
        (("runtime/driver.py", "if self.core.epochs.live(cause) or payload.__kind__.keep:", "if cause is not None:"),
         ("runtime/calls.py", "        self._task = None\n        self.reap(task)\n", "        self._task = None\n")),
        "nothing stale is made", ("interrupt",),
    ),
    Mutant(
        "the sink writes what is stale, and is not cut",
        (("runtime/playout.py",
          "return self._is_current(utterance.event) and self._is_current(utterance.latest)", "return True"),
         ("runtime/playout.py", "dropped = self._drop(None if self._protected == 0 else lambda u: u.interruptible)",
          "dropped = 0")),
        "nothing stale is heard", ("interrupt",),
    ),
    Mutant(
        "the far end is not cleared",
        (("runtime/farend.py", "            self._sink.clear()\n", "            pass\n"),),
        "paused means silent", ("interrupt",),
    ),
    Mutant(
        "queues are not cleared, and a dequeue does not look at the epoch",
        ((BARGE_IN, "            count, cleared = driver.inbox.clear()\n", "            count, cleared = 0, []\n"),
         ("runtime/calls.py", "                    if not self.core.epochs.current(event):\n",
          "                    if event is None:\n"),
         ("runtime/calls.py",
          "            if not self.core.epochs.live(event) and not event.payload.__kind__.keep:\n",
          "            if event is None:\n")),
        "nothing stale is done", ("interrupt",),
    ),
    Mutant(
        "the epoch does not go up",
        ((EPOCHS, "        self.numbers[scope] += 1\n", "        self.numbers[scope] += 0\n"),),
        "epochs rise by one", ("interrupt",),
    ),
    Mutant(
        "the merge is unfair: the first queue is always first",
        ((QUEUES, "        control, lanes, at = self.control, self.lanes, self._turn\n",
          "        control, lanes, at = self.control, self.lanes, 0\n"),),
        "served in turn",
    ),
    Mutant(
        "control waits behind media",
        ((QUEUES, "        if control._events or control._kept:\n            return control.pop()\n        count",
          "        if not any(map(len, lanes)):\n            return control.pop()\n        count"),),
        "control goes first",
    ),
    Mutant(
        "a drop is not counted",
        ((QUEUES, "        self.dropped += 1\n        self._tell(event)\n", "        self._tell(event)\n"),),
        "queues balance", ("fault",), 300,
    ),
    Mutant(
        "a cleared queue counts nothing",
        ((QUEUES, "        self.stale += len(husk)\n", "        self.stale += 0\n"),),
        "queues balance", ("interrupt",),
    ),
    Mutant(
        "a full queue holds nobody back",
        ((QUEUES, "            self.pressure.lanes.append(self)\n", "            pass\n"),),
        "queues stay bounded",
    ),
    Mutant(
        "an event is lost on its way into a queue",
        (("runtime/wiring.py", "                try:\n                    put(lane, event)\n",
          "                try:\n                    if event.seq % 7:\n                        put(lane, event)\n"),),
        "nothing vanishes on the way",
    ),
    Mutant(
        "the ledger counts what was written, not what was played",
        (("runtime/playout.py",
          "        return min(max(0, self._far.played - utterance.start), utterance.written)\n",
          "        return utterance.written\n"),
         ("runtime/playout.py", "        if self._far.holds(which or (lambda u: True)):\n"
          "            self._take_back()\n        first",
          "        written = self._utterances[0].written if self._utterances else 0\n"
          "        if self._far.holds(which or (lambda u: True)):\n            self._take_back()\n"
          "        if self._utterances:\n            self._utterances[0].written = written\n        first")),
        "the agent as heard", ("interrupt",),
    ),
    Mutant(
        "an effect is begun again under its key",
        (("runtime/effects.py", "        if key in self._records and key not in self._again:\n",
          "        if not key:\n"),),
        "nothing is done twice",
    ),
    Mutant(
        "a suspended reply goes on a frame too late",
        (("runtime/farend.py", "            played = max(0, self.played - frame.start)\n",
          "            played = min(frame.end - frame.start, max(0, self.played - frame.start) + self.frame)\n"),),
        "no word is torn", ("noise",),
    ),
    Mutant(
        "a suspended reply goes on a frame too early",
        (("runtime/farend.py", "            played = max(0, self.played - frame.start)\n",
          "            played = max(0, self.played - frame.start - self.frame)\n"),),
        "playout tells the truth", ("interrupt", "noise"),
    ),
    Mutant(
        "the end of a call forgets its tasks",
        (("runtime/tasks.py", "        self.closing = True\n        for task in list(self._tasks):\n"
          "            task.cancel()\n"
          "        await self._empty(deadline)\n        return tuple(self._tasks.values())\n",
          "        self.closing = True\n        return ()\n"),),
        "nothing is left", ("fault",), 300,
    ),
    Mutant(
        "a turn of the caller is written down twice",
        ((BARGE_IN, "                    self._hear(event)\n                    self._speech_is_over(event.payload)\n",
          "                    self._hear(event)\n                    self._hear(event)\n"
          "                    self._speech_is_over(event.payload)\n"),),
        "the caller as recognised",
    ),
)  # fmt: skip
