"""Tokens, roles, and who the audit trail names."""

import pytest

from citadel.errors import Forbidden, Unauthenticated
from citadel.vocabulary import ROLES
from citadel.wire import codec
from citadel.wire.messages import Change
from engine.api.auth import (
    LOCAL,
    ROLE_OF_METHOD,
    Authenticator,
    Identity,
    Token,
    actor_of,
    authorise,
    sha256_of,
)

ALICE = Token(name="alice", role="operator", sha256=sha256_of("open sesame"))
BOB = Token(name="bob", role="viewer", sha256=sha256_of("hunter2"))


def test_every_method_has_a_role() -> None:
    assert set(ROLE_OF_METHOD) == set(codec.methods())


def test_without_tokens_everybody_is_local_admin() -> None:
    assert Authenticator(()).identify("") == LOCAL
    assert Authenticator(()).identify("Bearer anything") == LOCAL


def test_a_token_says_who_it_is() -> None:
    door = Authenticator((ALICE, BOB))
    assert door.identify("Bearer open sesame").name == "alice"
    assert door.identify("bearer hunter2").role == "viewer"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic hunter2", "Bearer hunter3"])
def test_no_token_or_a_wrong_one(header: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        Authenticator((BOB,)).identify(header)
    assert "hunter" not in caught.value.message
    assert caught.value.remedy


def test_roles_are_ordered() -> None:
    for method, needed in ROLE_OF_METHOD.items():
        for role in ROLES:
            caller = Identity(name="x", role=role)
            if ROLES.index(role) >= ROLES.index(needed):
                authorise(caller, method)
            else:
                with pytest.raises(Forbidden, match=needed):
                    authorise(caller, method)


def test_the_trail_names_the_holder_of_a_token_whatever_is_claimed() -> None:
    alice = Identity(name="alice", role="operator")
    assert actor_of(alice, None) == "alice"
    assert actor_of(alice, Change(actor="alice")) == "alice"
    assert actor_of(alice, Change(actor="bob")) == "bob (alice)"
    assert actor_of(LOCAL, Change(actor="window")) == "window"
    assert actor_of(LOCAL, Change()) == "local"
