"""Planning a patch: the new file's members against the old one's. Low side only."""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace

from lockgate.crossing.delta.bounds import Joined, MemoryFile, Readable, Spool
from lockgate.crossing.delta.layout import layout
from lockgate.crossing.delta.proof import Feed, Proven, prove
from lockgate.crossing.delta.recipe import Base, Recipe, Stream, head
from lockgate.crossing.delta.recompress import thoroughly
from lockgate.crossing.delta.segments import StreamWriter
from lockgate.crossing.delta.sorting import Members, merged
from lockgate.crossing.delta.spans import Span


@dataclass(frozen=True, slots=True)
class OldFile:
    """A file that the other side holds."""

    name: str
    sha256: str
    file: Readable


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch that was planned.

    Attributes:
        file: Its bytes.
        kind: ``patch`` (members), ``tensors`` or ``bytes`` (no structure was used).
        kept: Members whose compressor cannot be run again; they are carried as they are.
        gives: Digest of what it was seen to give; empty where it was not rebuilt yet.

    """

    file: Readable
    kind: str
    kept: tuple[str, ...] = ()
    gives: str = ""

    @property
    def size(self) -> int:
        """Return its length in bytes."""
        return self.file.size


class Planner:
    """Makes patches; the work of one file is spread over the threads of a pool."""

    def __init__(self, pool: Executor, spool: Spool) -> None:
        """Use a pool of at least one thread; patches are written to the spool."""
        self._pool = pool
        self._spool = spool

    def members(self, name: str, new: Readable, old: OldFile) -> Patch:
        """Return a patch of a file's members against those of an older version.

        It is rebuilt while it is written. A member that does not come out is tried again with every
        setting of its compressor, and carried as it is where there is none.
        """
        kind, spans = layout(new, name)
        _, old_spans = layout(old.file, old.name)
        known = dict[Span, Span | None]()
        while True:
            work = Members(new, old.file, spans, old_spans, known)
            work.sort_out()
            start = self._spool.end
            patch, proven = self._proven(new, old, work)
            if not proven.wrong:
                found = "tensors" if kind in {"gguf", "safetensors"} else "patch"
                return replace(patch, kind=found, gives=proven.sha256)
            for span in (work.coded[number] for number in proven.wrong):
                known[span] = None if span in known else thoroughly(new, span)
            self._spool.forget(start)

    def plain(self, name: str, new: Readable, old: Sequence[OldFile]) -> Patch:
        """Return a patch of a file as plain bytes, against at most one other; without any it is packed."""
        whole = Span(0, new.size, size=new.size, name=name)
        before = [Span(0, o.file.size, size=o.file.size, name=name) for o in old]
        work = Members(new, old[0].file if old else new, [whole], before)
        work.sort_out()
        start, files = self._spool.end, [o.file for o in old]
        streams = [
            StreamWriter(*stream).write(files, pool=self._pool, spool=self._spool) for stream in work.streams
        ]
        return self._patch(new, old, streams, work, start)

    def _proven(self, new: Readable, old: OldFile, work: Members) -> tuple[Patch, Proven]:
        """Write a patch down and rebuild the file from what is written, at the same time."""
        start, writers = self._spool.end, [StreamWriter(*stream) for stream in work.streams]
        feeds = [Feed(writer.sources, self._spool) for writer in writers]
        pieces = tuple(merged(work.pieces))
        streams = []
        with ThreadPoolExecutor(1, "proof") as side:
            proven = side.submit(prove, new, pieces, [old.file], feeds)
            try:
                for writer, feed in zip(writers, feeds, strict=True):
                    stream = writer.write(
                        [old.file], pool=self._pool, spool=self._spool, done=feed.put, decode=work.old_content
                    )
                    feed.end()
                    streams.append(stream)
            finally:
                for feed in feeds:
                    feed.end()
        return self._patch(new, [old], streams, work, start), proven.result()

    def _patch(
        self, new: Readable, old: Sequence[OldFile], streams: Sequence[Stream], work: Members, start: int
    ) -> Patch:
        bases = tuple(Base(o.sha256, o.file.size) for o in old)
        recipe = Recipe(new.size, bases, tuple(streams), tuple(merged(work.pieces)))
        data = self._spool.since(start)
        return Patch(Joined(MemoryFile(head(recipe)), data), "bytes", tuple(work.kept))
