"""A draft is honest: what is pending, whose revision it rests on, who was first."""

from hypothesis import given
from hypothesis import strategies as st

from app.models.draft import Draft


def in_force(body: str = "a", revision: int = 1) -> Draft[str]:
    draft: Draft[str] = Draft()
    draft.follow(body, revision)
    return draft


def test_it_follows_what_is_in_force_until_it_is_edited() -> None:
    draft = in_force()
    assert (draft.state, draft.body) == ("clean", "a")
    draft.follow("b", 2)
    assert (draft.body, draft.revision) == ("b", 2)


def test_an_edit_that_is_taken_back_is_none() -> None:
    draft = in_force()
    draft.edit("b")
    assert draft.state == "dirty"
    draft.edit("a")
    assert draft.state == "clean"


def test_it_is_pending_until_the_stream_has_it() -> None:
    draft = in_force()
    draft.edit("b")
    draft.sent()
    draft.accepted(2)
    assert draft.state == "pending"
    draft.follow("b", 2)
    assert (draft.state, draft.revision) == ("clean", 2)


def test_the_stream_may_be_faster_than_the_reply() -> None:
    draft = in_force()
    draft.edit("b")
    draft.sent()
    draft.follow("b", 2)
    draft.accepted(2)
    assert (draft.state, draft.body, draft.revision) == ("clean", "b", 2)


def test_what_someone_else_put_in_force_is_a_conflict() -> None:
    draft = in_force()
    draft.edit("mine")
    draft.follow("theirs", 2)
    assert (draft.state, draft.body, draft.in_force) == ("conflict", "mine", "theirs")
    draft.keep_mine()
    assert (draft.state, draft.body, draft.revision) == ("dirty", "mine", 2)


def test_theirs_can_be_taken() -> None:
    draft = in_force()
    draft.edit("mine")
    draft.follow("theirs", 2)
    draft.discard()
    assert (draft.state, draft.body, draft.revision) == ("clean", "theirs", 2)


def test_another_revision_of_the_same_body_is_no_conflict() -> None:
    draft = in_force()
    draft.edit("mine")
    draft.follow("a", 2)
    assert (draft.state, draft.body, draft.revision) == ("dirty", "mine", 2)


def test_a_refusal_gives_the_edit_back() -> None:
    draft = in_force()
    draft.edit("mine")
    draft.sent()
    draft.refused(stale=False)
    assert (draft.state, draft.body) == ("dirty", "mine")
    draft.sent()
    draft.refused(stale=True)
    assert draft.state == "conflict"


def test_an_edit_while_one_is_under_way_goes_on() -> None:
    draft = in_force()
    draft.edit("b")
    draft.sent()
    draft.edit("c")
    draft.follow("b", 2)
    assert (draft.state, draft.body, draft.revision) == ("dirty", "c", 2)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), st.sampled_from("abc")),
        st.tuples(st.just("other"), st.sampled_from("abc")),
        st.tuples(st.sampled_from(["apply", "discard", "keep"]), st.just("")),
    ),
    max_size=40,
)


@given(STEPS)
def test_nobodys_change_is_overwritten_unseen(steps: list[tuple[str, str]]) -> None:
    """Against an engine that refuses stale revisions, a draft applies only on what it has shown."""
    draft, body, revision = in_force("a", 1), "a", 1
    for step, value in steps:
        if step == "edit":
            draft.edit(value)
        elif step == "discard":
            draft.discard()
        elif step == "keep":
            draft.keep_mine()
        elif step == "other":
            body, revision = value, revision + 1
            draft.follow(body, revision)
        elif draft.state == "dirty" and draft.body is not None:
            wanted, based_on = draft.body, draft.revision
            draft.sent()
            assert based_on == revision
            body, revision = wanted, revision + 1
            draft.accepted(revision)
            draft.follow(body, revision)
        if draft.state == "clean":
            assert (draft.body, draft.revision) == (body, revision)
        assert draft.in_force == body
