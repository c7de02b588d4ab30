"""The in-memory double's temporary files belong to the process that made them."""

import gc

from corpora.kills import answer, forked
from lockgate.store import MemoryBlobs


def test_a_forked_copy_leaves_the_files_alone():
    stores = [MemoryBlobs()]
    path = stores[0].path(stores[0].put_bytes(b"kept"))

    def drop() -> bool:
        stores.clear()
        gc.collect()
        return path.exists()

    assert answer(*forked(drop)) is True
    assert path.read_bytes() == b"kept"
    stores.clear()
    assert not path.parent.exists()
