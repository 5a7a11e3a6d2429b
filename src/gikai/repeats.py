"""Which passages repeat an earlier one: exactly, within a whole job; nearly, within a stretch of one document.

Library module; no command of its own.
"""

import errno
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Sequence

import numpy as np
import scipy.sparse

from gikai.passages import ALIKE, CONTAINED, SHINGLE, SIMILAR


def near_repeats(texts: Sequence[str]) -> set[int]:
    """Return the indices of `texts` that repeat an earlier one of them, exactly or nearly, white space apart.

    Nearly means what it means in `near_duplicates`, and all pairs are compared: the product of the sparse matrix
    (texts, character 5-grams) with itself counts the 5-grams that each pair shares. For a thousand passages that is
    many times faster than sketches; memory and time grow with the square of their number.
    """
    compact = ["".join(text.split()) for text in texts]
    codes = np.frombuffer("\0".join(compact).encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    if len(texts) < 2 or len(codes) < SHINGLE:
        return set()
    grams = np.zeros(len(codes) - SHINGLE + 1, dtype=np.uint64)
    for offset in range(SHINGLE):
        grams = grams * np.uint64(0x9E3779B97F4A7C15) + codes[offset : offset + len(grams)]
    ends = np.cumsum([len(text) + 1 for text in compact])
    owners = np.searchsorted(ends, np.arange(len(grams)), side="right")
    within = np.flatnonzero(np.arange(len(grams)) + SHINGLE < ends[owners])
    _, columns = np.unique(grams[within], return_inverse=True)
    held = scipy.sparse.csr_array(
        (np.ones(len(within), dtype=np.int32), (owners[within], columns)), shape=(len(texts), columns.max(initial=0) + 1)
    )
    held.data[:] = 1  # a set: how often a text holds a 5-gram does not matter
    sizes = np.diff(held.indptr)
    pairs = scipy.sparse.tril(held @ held.T, k=-1, format="coo")
    shared, one, other = pairs.data, sizes[pairs.row], sizes[pairs.col]
    jaccard = shared / (one + other - shared)
    near = (jaccard >= SIMILAR) | ((jaccard >= ALIKE) & (shared >= CONTAINED * np.minimum(one, other)))
    return set(pairs.row[near].tolist())


def digest(text: str) -> bytes:
    """Return the twelve bytes by which a text is remembered."""
    return hashlib.blake2b(text.encode(), digest_size=12).digest()


class Seen:
    """The digests of a job so far, in a temporary SQLite file that dies with the process: memory stays within 32 MB.

    Its place is SQLite's own temporary folder (`SQLITE_TMPDIR`, else `TMPDIR`, /var/tmp, /tmp); about 30 bytes a digest.
    """

    def __init__(self, digests: Iterable[bytes] = ()) -> None:
        # One thread uses it at a time: that which resumes the job, then that which reads on.
        self._base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._base.execute("PRAGMA cache_size = -32000")
        self._base.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        self._base.execute("BEGIN")

        for item in digests:
            self.add(item)

    def add(self, item: bytes) -> bool:
        """Remember a digest; return whether it is new."""
        try:
            return self._base.execute("INSERT OR IGNORE INTO seen VALUES (?)", (item,)).rowcount == 1
        except sqlite3.OperationalError as error:
            if "full" not in str(error):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "SQLite's temporary folder") from None
