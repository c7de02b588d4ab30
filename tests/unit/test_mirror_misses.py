"""What was asked for in vain outlives the server, within bounds."""

import asyncio
import json

from corpora.mirrorsite import MirrorSite, asking
from corpora.npmpackages import NpmPackage
from lockgate.mirror import Asked, read_misses
from lockgate.mirror.misses import MISS_LIMIT, MISSES_BYTES, Misses


def test_misses_are_kept_and_counted_on(tmp_path):
    file = tmp_path / "misses.json"
    misses = Misses(file)
    misses.save()
    assert not file.exists()
    misses.add("npm", "a")
    misses.add("pypi", "b")
    misses.add("npm", "a")
    misses.save()
    again = Misses(file)
    assert again.counts() == {("pypi", "b"): 1, ("npm", "a"): 2}
    before = file.stat().st_mtime_ns
    again.save()
    assert file.stat().st_mtime_ns == before
    again.add("npm", "a")
    again.save()
    assert [(m.name, m.count) for m in read_misses(file)] == [("b", 1), ("a", 3)]


def test_a_file_that_is_none_is_passed_over(tmp_path):
    file = tmp_path / "misses.json"
    for data in (
        b"",
        b"{",
        b"[7]",
        b'[{"protocol":"p","name":"%s","count":1}]' % (b"x" * 300),
        b" " * (MISSES_BYTES + 9),
    ):
        file.write_bytes(data)
        assert read_misses(file) == []
    rows = [{"protocol": "p", "name": str(n), "count": 1} for n in range(MISS_LIMIT + 5)]
    file.write_text(json.dumps(rows))
    assert len(read_misses(file)) == MISS_LIMIT
    assert read_misses(file)[-1].name == str(MISS_LIMIT + 4)


def test_the_server_writes_them_down_when_it_stops(tmp_path):
    site = MirrorSite(tmp_path)
    site.add_npm(NpmPackage("leaf", "1.0.0"))
    site.publish()
    file = tmp_path / "misses.json"
    app = site.app(asked=Asked(misses=file))

    async def live():
        async with app.router.lifespan_context(app):
            await asking(app, "/npm/absent", host="mirror.example")

    asyncio.run(live())
    assert [(m.protocol, m.name) for m in read_misses(file)] == [("npm", "absent")]
