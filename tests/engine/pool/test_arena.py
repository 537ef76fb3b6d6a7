"""The allocator: blocks never overlap, the books are exact, and all that is freed is one again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.pool.arena import ALIGNMENT, PAGE, PAGED_FROM, Arena

SIZE = 1 << 20
SIZES = st.one_of(st.integers(0, 300), st.integers(PAGED_FROM - 200, 3 * PAGED_FROM))


class Books(RuleBasedStateMachine):
    """An arena beside a plain dict of what should be live."""

    def __init__(self) -> None:
        super().__init__()
        self.arena = Arena(SIZE)
        self.live: dict[int, int] = {}

    @rule(nbytes=SIZES)
    def allocate(self, nbytes: int) -> None:
        largest = self.arena.largest
        offset = self.arena.allocate(nbytes)
        if offset is None:
            assert largest < nbytes + PAGE
            return
        length = self.arena.length(offset)
        assert nbytes <= length < nbytes + 2 * ALIGNMENT
        assert offset % (PAGE if length >= PAGED_FROM else ALIGNMENT) == 0
        assert offset + length <= SIZE
        for start, size in self.live.items():
            assert offset + length <= start or start + size <= offset
        self.live[offset] = length

    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        if self.live:
            offset = data.draw(st.sampled_from(sorted(self.live)))
            assert self.arena.free(offset) == self.live.pop(offset)

    @rule(offset=st.integers(-1, SIZE))
    def free_what_is_not_there(self, offset: int) -> None:
        if offset not in self.live:
            with pytest.raises(KeyError):
                self.arena.free(offset)

    @invariant()
    def the_books_are_exact(self) -> None:
        assert self.arena.used == sum(self.live.values())
        assert self.arena.blocks == len(self.live)
        assert self.arena.used + sum(size for size, _ in self.arena._free) == SIZE
        assert self.arena._free == sorted(self.arena._free)
        ends = {start + size for size, start in self.arena._free}
        assert not ends & {start for _, start in self.arena._free}, "neighbours are not one"

    def teardown(self) -> None:
        for offset in self.live:
            self.arena.free(offset)
        assert self.arena.used == self.arena.blocks == 0
        assert self.arena.largest == SIZE


TestBooks = Books.TestCase
TestBooks.settings = settings(stateful_step_count=60, deadline=None)


@given(st.lists(st.integers(0, 5000), max_size=60), st.randoms())
def test_what_is_freed_in_any_order_is_one_block_again(sizes: list[int], random: object) -> None:
    arena = Arena(SIZE)
    offsets = [offset for size in sizes if (offset := arena.allocate(size)) is not None]
    random.shuffle(offsets)
    for offset in offsets:
        arena.free(offset)
    assert arena.largest == SIZE


def test_the_same_pages_are_used_again() -> None:
    arena = Arena(SIZE)
    first = arena.allocate(100_000)
    arena.free(first)
    assert arena.allocate(100_000) == first


def test_an_arena_of_nothing_has_no_room() -> None:
    assert Arena(0).allocate(1) is None
    assert Arena(63).largest == 0


def test_full_to_the_last_byte() -> None:
    arena = Arena(SIZE)
    assert arena.allocate(SIZE) == 0
    assert arena.largest == 0
    assert arena.allocate(0) is None
