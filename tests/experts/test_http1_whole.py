"""An answer that begins with the very head of the one before is known by its bytes, and is all there."""

from experts.http1_head import Whole
from tests.experts.raw import client_of, get, serving
from tests.experts.test_http1_head import dated, saying


async def test_the_very_head_that_came_before_needs_no_search_whatever_the_length():
    async with serving(saying(*(dated(b"x" * size) for size in (5, 7, 10, 99, 9, 1)))) as server:
        client = client_of(server)
        assert [len(await get(client)) for _ in range(3)] == [5, 7, 10]
        known, client.whole.known = client.whole.known, None
        assert len(await get(client)) == 99
        client.whole.known = known
        assert [len(await get(client)) for _ in range(2)] == [9, 1]
        await client.aclose()


def plain(body: bytes, more: bytes = b"", length: int | None = None) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nX-A: 100%%d\r\nContent-Length: %d\r\n%b\r\n"
    return head % (len(body) if length is None else length, more) + body


def test_an_answer_is_whole_only_with_all_of_its_body_and_nothing_behind_it():
    whole = Whole(1000)
    whole.learn(plain(b"x" * 50))
    start = len(plain(b"x" * 50)) - 50
    assert [whole.of(plain(b"x" * size)) for size in (50, 50, 99, 10)] == [start] * 4
    assert [whole.of(plain(b"x" * size)) for size in (100, 999, 9)] == [start + 1, start + 1, start - 1]
    whole.of(plain(b"x" * 50))
    for odd in (
        plain(b"x" * 50)[:-1],
        plain(b"x" * 50) + b"x",
        plain(b"x" * 9) + b"x",
        plain(b"x" * 99, length=100),
        plain(b"x" * 50, b"Connection: close\r\n"),
        plain(b""),
    ):
        assert whole.of(odd) == 0
    large = Whole(10)
    large.learn(plain(b"x"))
    assert large.of(plain(b"x")) == 0


def test_heads_of_one_shape_that_are_never_the_same_are_seldom_kept():
    whole, kept = Whole(1000), set()
    whole.learn(plain(b"x"))
    for number in range(100):
        data = plain(b"x").replace(b"100%d", b"%d" % number)
        assert data[whole.of(data) :] == b"x"
        kept.add(whole._line)
    assert 32 < len(kept) < 40
