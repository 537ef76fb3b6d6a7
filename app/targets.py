"""Where the window connects: a target, the addresses used lately, and their tokens in the keyring.

Tokens are never written to a settings file. Where there is no keyring they live as long as the
window. Main thread only; the keyring may be slow, so it is asked only on request.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Literal

from PySide6.QtCore import QSettings

SERVICE = "citadel-command"
RECENT_KEPT = 8
LAST_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An engine to connect to."""

    mode: Literal["embedded", "remote"] = "embedded"
    address: str = ""
    token: str = ""
    tls: bool = False
    ca: str = ""

    def __repr__(self) -> str:
        """Without the token."""
        return f"Target({self.mode} {self.address} tls={self.tls})"


def check_address(text: str) -> str:
    """What is wrong with an address, or "" when nothing is."""
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        return "Give host:port, for example engine.example:7431"
    if not port.isdecimal() or not 0 < int(port) <= LAST_PORT:
        return f"{port or 'nothing'} is no port; ports are 1 to {LAST_PORT}"
    if host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        return "Put an IPv6 address in brackets: [::1]:7431"
    return "" if not any(map(str.isspace, host)) else "A host has no spaces in it"


def recent(settings: QSettings) -> list[str]:
    """The remote addresses used lately, newest first."""
    found = settings.value("recent", [], list)
    return [str(address) for address in found][:RECENT_KEPT] if isinstance(found, list) else []


def remember(settings: QSettings, target: Target, *, keep_token: bool) -> None:
    """Notes a remote target; its token goes to the keyring when that is wanted."""
    others = [address for address in recent(settings) if address != target.address]
    settings.setValue("recent", [target.address, *others][:RECENT_KEPT])
    if keep_token and target.token:
        import keyring  # noqa: PLC0415 - slow, and asked for rarely
        from keyring.errors import KeyringError  # noqa: PLC0415 - as above

        # No keyring on this machine: the token lives as long as the window.
        with contextlib.suppress(KeyringError):
            keyring.set_password(SERVICE, target.address, target.token)


def with_known_token(target: Target) -> Target:
    """The target with the keyring's token, when it has none of its own."""
    if target.token or target.mode == "embedded":
        return target
    import keyring  # noqa: PLC0415 - slow, and asked for rarely
    from keyring.errors import KeyringError  # noqa: PLC0415 - as above

    try:
        token = keyring.get_password(SERVICE, target.address)
    except KeyringError:
        return target
    return replace(target, token=token or "")
