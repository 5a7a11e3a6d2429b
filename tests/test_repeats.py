"""Repeats: all pairs of a window compared, digests remembered within bounds."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gikai.passages import ALIKE, CONTAINED, SHINGLE, SIMILAR
from gikai.repeats import Seen, digest, near_repeats

WORDS = st.lists(
    st.sampled_from(["窓口の申請書", "を書かずに", "電子申請", "いたします。", "について伺います。", "か", " "]), max_size=12
).map("".join)


def grams(text: str) -> set[str]:
    compact = "".join(text.split())
    return {compact[start : start + SHINGLE] for start in range(len(compact) - SHINGLE + 1)}


@given(st.lists(WORDS, max_size=8))
def test_near_repeats_are_those_of_the_definition(texts: list[str]) -> None:
    expected = set()
    for earlier, later in itertools.combinations(range(len(texts)), 2):
        one, other = grams(texts[earlier]), grams(texts[later])
        shared = len(one & other)
        jaccard = shared / max(1, len(one | other))
        if shared and (jaccard >= SIMILAR or (jaccard >= ALIKE and shared >= CONTAINED * min(len(one), len(other)))):
            expected.add(later)
    assert near_repeats(texts) == expected


def test_seen_tells_new_from_known_and_dies_with_its_object() -> None:
    seen = Seen([digest("a"), digest("b")])
    assert [seen.add(digest(text)) for text in ("b", "c", "c")] == [False, True, False]
    assert Seen().add(digest("a"))
