"""Compare the progress of a recorded job and of the same job in a simulator.

A job is identified by the simulator's id. A recorded status that no document has is replaced by
the simulator's status in the same response. Later exchanges are compared with that replacement.
"""

from __future__ import annotations

from upsim_contracts.facts.fact_files import Book


class Progress:
    """The status words of each job so far, from the recording and from the simulator."""

    def __init__(self, book: Book) -> None:
        """Keep the status words of a provider, and the allowed transitions between them."""
        table = book.tables.get("contract", {}).get("generate", {})
        self._edges = table.get("edges", {})
        self._ends = {word for words in book.lifecycle.words.values() for word in words}
        self._said: dict[str, set[str]] = {}
        self._meant: dict[str, str] = {}

    def is_known(self, word: object) -> bool:
        """Return whether a document has a status word."""
        return isinstance(word, str) and (word in self._ends or word in self._edges)

    def job(self, *texts: str) -> str:
        """Return the id of the job that a request names in one of these texts; empty for none."""
        return next((one for one in texts if one in self._said), "")

    def is_behind(self, job: str, own: object, recorded: object, *, ended: bool) -> bool:
        """Return whether the simulator's job must advance to reach the recorded status.

        An undocumented word lets a job end only if the recorded response is that of an `ended` job.
        Otherwise the recorded job may still be in progress, and a simulator's job cannot go back.
        """
        word, now = _word(recorded), _word(own)
        wanted = self._meant.get(word, word)
        if now == wanted or now in self._ends:
            return False
        if wanted in self._ends or (ended and not self.is_known(recorded)):
            return True
        if now not in self._said.get(job, ()):
            return False
        return self.is_known(recorded) or any(one in self._edges for one in self._after(now))

    def note(self, job: str, recorded: object, own: object) -> None:
        """Remember the recorded status and the simulator's status of the same response."""
        self._said.setdefault(job, set()).update((_word(recorded), _word(own)))
        if not self.is_known(recorded):
            self._meant.setdefault(_word(recorded), _word(own))

    def _after(self, word: str) -> list[str]:
        """Return the words that may follow, except the words for the end of a job."""
        return [one for one in self._edges.get(word, ()) if one not in self._ends]


def _word(status: object) -> str:
    """Return a status as a word; a recording may contain any other JSON value as the status."""
    return status if isinstance(status, str) else repr(status)
