"""The error tree: each class has a code, a place in the docstring, and survives pickling."""

import pickle

import grpc
import pytest

from citadel import errors
from citadel.errors import CitadelError

CLASSES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, CitadelError)
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_each_class_has_a_grpc_code_and_a_place_in_the_tree(cls: type[CitadelError]) -> None:
    assert cls.code in grpc.StatusCode.__members__
    assert cls.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_survives_pickling(cls: type[CitadelError]) -> None:
    error = cls("what", subject="thing", remedy="do this", details={"a": "b"})
    got = pickle.loads(pickle.dumps(error))
    assert type(got) is cls
    assert (str(got), got.subject, got.remedy, got.details) == (
        "what",
        "thing",
        "do this",
        {"a": "b"},
    )


def test_a_class_has_a_remedy_that_an_error_may_replace() -> None:
    assert "citadel pool tools" in errors.UnknownTool("x").remedy
    assert errors.UnknownTool("x", remedy="another").remedy == "another"
