"""Ten thousand damaged documents: each gives speeches or one sentence that says why not, in bounded time, with nothing lost."""

import logging
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from gikai import InputError
from gikai.minutes import account, read_minutes
from gikai.passages import passages

FIXTURES = Path(__file__).parent / "fixtures/minutes"
SAMPLES = Path(__file__).resolve().parents[2] / "shared/minutes/formats"
COUNT = 10_000
SIZE = 40_000
SECONDS = 20
"""The longest that a megabyte may take, by the processor's clock; a small document gets a twentieth of that all the same."""

log = logging.getLogger(__name__)
TOKENS = [
    token.encode()
    for token in ("○議長（", "）", "「", "〔", "（拍手", "】", "\n", "\r\n", "　", "<div>", "</p>", "<script>", "<!--", '{"text":', "[", "]", "}", ",", '"', "\\u0000",
                  "\\ud800", "# ", "> ", "registerMinutes(", "日程第１", "────", "\x00", "\x1b$B", "\ufeff", "\ufffe", "か\u3099", "12345678901234567890", "&#0;", "&lt;", "\u2028")
]  # fmt: skip


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return `data` with one to four changes: bytes flipped, spans cut, repeated, moved, tokens put in, other documents spliced in."""
    start = chance.randrange(max(1, len(data) - SIZE + 1))
    data = data[start : start + SIZE] if chance.random() < 0.5 else data[:SIZE]
    for _ in range(chance.randint(1, 4)):
        place, other = chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)
        low, high = min(place, other), max(place, other)
        match chance.randrange(8):
            case 0:
                data = bytearray(data)
                for _ in range(chance.randint(1, 30)):
                    if data:
                        data[chance.randrange(len(data))] = chance.randrange(256)
                data = bytes(data)
            case 1:
                data = data[:low] + data[high:]
            case 2:
                data = (data[:high] + data[low:])[: 2 * SIZE]
            case 3:
                data = data[:place] + b"".join(chance.choice(TOKENS) for _ in range(chance.randint(1, 40))) + data[place:]
            case 4:
                data = data[:place]
            case 5:
                piece = chance.choice(others)[: SIZE // 2]
                data = (data[:place] + piece + data[place:])[: 2 * SIZE]
            case 6:
                data = data.replace(chance.choice(TOKENS), chance.choice(TOKENS))[: 2 * SIZE]
            case 7:
                data = data.decode("utf-8", "replace").encode(chance.choice(["cp932", "euc_jp", "utf-16", "iso2022_jp_ext"]), "replace")
    return data


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_mutated_documents() -> None:
    files = sorted([*FIXTURES.iterdir(), *(SAMPLES.iterdir() if SAMPLES.is_dir() else ())])
    originals = [path.read_bytes() for path in files]
    chance = random.Random(7)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for number in range(COUNT):
        data = mutated(originals[number % len(originals)], originals, chance)
        started = time.process_time()
        try:
            minutes = read_minutes(data, "x")
            for speech in minutes.speeches:
                assert speech.text
                passages(speech.text, speech.unpunctuated)
            assert account(minutes)["unaccounted"] == 0, (number, files[number % len(files)].name, account(minutes))
            outcomes[f"read as {minutes.format}"] += 1
        except InputError as error:
            reason = str(error)
            outcomes["rejected with one sentence" if reason and "\n" not in reason else f"rejected badly: {reason!r}"] += 1
        seconds = time.process_time() - started
        assert seconds <= SECONDS * max(0.05, len(data) / 1_000_000), (number, files[number % len(files)].name, seconds)
        slowest = max(slowest, seconds)
    log.info("%d documents, the slowest %.2f s: %s", COUNT, slowest, dict(outcomes.most_common()))
    assert outcomes.total() == COUNT
    assert not [outcome for outcome in outcomes if outcome.startswith("rejected badly")]
