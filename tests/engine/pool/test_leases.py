"""Who has which block: nothing is free while it is held, and nobody drops what he does not have."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.pool.leases import Block, Leases

SIZE = 1 << 16
HOLDERS = st.sampled_from(["engine", "w1", "w2"])


class Holding(RuleBasedStateMachine):
    """Leases beside a plain list of who was given what."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = Leases(SIZE)
        self.given: list[tuple[Block, str]] = []

    @rule(nbytes=st.integers(0, 9000), holder=HOLDERS)
    def new(self, nbytes: int, holder: str) -> None:
        if block := self.leases.new(nbytes, holder):
            self.given.append((block, holder))

    @rule(data=st.data(), holder=HOLDERS)
    def hold(self, data: st.DataObject, holder: str) -> None:
        if self.given:
            block, _ = data.draw(st.sampled_from(self.given))
            self.leases.hold(block, holder)
            self.given.append((block, holder))

    @rule(data=st.data(), holder=HOLDERS)
    def drop(self, data: st.DataObject, holder: str) -> None:
        if self.given:
            block, _ = data.draw(st.sampled_from(self.given))
            assert self.leases.drop(block, holder) == ((block, holder) in self.given)
            if (block, holder) in self.given:
                self.given.remove((block, holder))

    @rule(holder=HOLDERS)
    def forget(self, holder: str) -> None:
        had = {block.offset for block, each in self.given if each == holder}
        assert {block.offset for block in self.leases.forget(holder)} == had
        self.given = [(block, each) for block, each in self.given if each != holder]

    @rule(data=st.data(), offset=st.integers(0, SIZE), length=st.integers(-1, 100))
    def around(self, data: st.DataObject, offset: int, length: int) -> None:
        blocks = {block.offset: block for block, _ in self.given}.values()
        inside = [
            block
            for block in blocks
            if length >= 0
            and block.offset <= offset
            and offset + length <= block.offset + block.length
        ]
        found = self.leases.around(offset, length)
        assert ([] if found is None else [found]) == inside

    @invariant()
    def what_is_held_is_live(self) -> None:
        live = {block.offset for block, _ in self.given}
        assert len(self.leases) == self.leases.arena.blocks == len(live)


TestHolding = Holding.TestCase
TestHolding.settings = settings(stateful_step_count=50, deadline=None)
