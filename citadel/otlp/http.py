"""OTLP over HTTP/1.1 with protobuf bodies, by urllib3. A sender's thread; blocks there.

Source: OpenTelemetry, OTLP specification 1.x, "OTLP/HTTP": which codes are tried again, what a
response's body is, and that Retry-After is honoured.
"""

from __future__ import annotations

import email.utils
import time
import zlib
from http import HTTPStatus
from urllib.request import getproxies, proxy_bypass

from citadel.errors import InvalidRequest, NotReady
from citadel.otlp.config import headers_of, url_of
from citadel.otlp.outcome import MAX_DETAIL, Fault, Outcome, partial_success
from citadel.otlp.resource import own_version
from citadel.otlp.wire import fields
from citadel.wire.messages import ExporterConfig

try:
    import urllib3
    from urllib3.exceptions import (
        ConnectTimeoutError,
        HTTPError,
        NewConnectionError,
        ProtocolError,
        SSLError,
        TimeoutError,  # noqa: A004 - urllib3's own, in this module alone
    )
except ImportError as error:
    raise NotReady(
        "OTLP over HTTP needs urllib3, which is not installed",
        remedy="pip install 'citadel-command[otlp]', or choose protocol grpc",
    ) from error

RETRIED = frozenset({429, 502, 503, 504})
MAX_ANSWER = 65_536
"""Bytes that are read of an answer."""
CONTENT_TYPE = "application/x-protobuf"
GZIP_LEVEL = 1
"""Spans shrink to a sixth at once; more effort costs four times the time for a tenth."""
_GZIP_WINDOW = 31
_FAULTS: dict[int, Fault] = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "protocol",
    413: "too_large",
    415: "protocol",
    429: "busy",
    503: "busy",
}


class HttpTransport:
    """A pool of one connection."""

    def __init__(self, config: ExporterConfig) -> None:
        self._config = config
        self._gzip = config.compression == "gzip"
        self._urls = {signal: url_of(config, signal) for signal in ("traces", "metrics", "logs")}
        self._pool = _pool(config)

    def send(self, signal: str, data: bytes) -> Outcome:
        """Posts a request."""
        headers = {"content-type": CONTENT_TYPE, "user-agent": f"citadel/{own_version()}"}
        try:
            headers |= headers_of(self._config)
        except InvalidRequest as wrong:
            return Outcome(verdict="refused", status=wrong.message, fault="environment")
        if self._gzip:
            headers["content-encoding"] = "gzip"
            data = _zipped(data)
        try:
            answer = self._pool.request(
                "POST", self._urls[signal], body=data, headers=headers, preload_content=False
            )
            try:
                body = answer.read(MAX_ANSWER, decode_content=True)
            finally:
                answer.drain_conn()
        except HTTPError as failed:
            return _unanswered(failed)
        except OSError as failed:
            return Outcome(verdict="again", status=str(failed)[:MAX_DETAIL], fault="connection")
        kind = answer.headers.get("content-type", "")
        after = _retry_after(answer.headers.get("retry-after", ""))
        return _answered(answer.status, kind, body, after)

    def close(self) -> None:
        """Closes the connection."""
        self._pool.clear()


def _pool(config: ExporterConfig) -> urllib3.PoolManager:
    timeout = urllib3.Timeout(total=config.timeout_seconds)
    url = url_of(config, "traces")
    scheme, _, rest = url.partition("://")
    proxies = getproxies()
    proxy = proxies.get(scheme, "")
    if proxy and not proxy_bypass(rest.partition("/")[0]):
        return urllib3.ProxyManager(proxy, timeout=timeout, retries=False, maxsize=1)
    return urllib3.PoolManager(timeout=timeout, retries=False, maxsize=1)


def _zipped(data: bytes) -> bytes:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(data) + packer.flush()


def _answered(code: int, kind: str, body: bytes, after: float | None) -> Outcome:
    try:
        status = f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        status = str(code)
    if 200 <= code < 300:
        if "html" in kind:  # a web page, and no receiver
            return Outcome(verdict="refused", status=status, detail="a web page", fault="protocol")
        rejected, why = partial_success(body) if "protobuf" in kind else (0, "")
        return Outcome(verdict="accepted", status=status, detail=why, rejected=rejected)
    return Outcome(
        verdict="again" if code in RETRIED else "refused",
        status=status,
        detail=_said(kind, body),
        retry_after=after,
        fault=_FAULTS.get(code, "other"),
    )


def _unanswered(failed: HTTPError) -> Outcome:
    """No answer: the receiver may have taken it or not; it is sent again, as the spec says."""
    fault: Fault = "other"
    cause: object = getattr(failed, "reason", None) or failed
    if isinstance(failed, SSLError) or isinstance(cause, SSLError):
        return Outcome(verdict="again", status=f"TLS failed: {cause}"[:MAX_DETAIL], fault="tls")
    if isinstance(cause, NewConnectionError):
        fault = "connection"
    elif isinstance(failed, TimeoutError | ConnectTimeoutError):
        fault = "timeout"
    elif isinstance(failed, ProtocolError):
        fault = "protocol" if "BadStatusLine" in repr(failed) else "connection"
    return Outcome(verdict="again", status=_short(str(cause)), fault=fault)


def _short(text: str) -> str:
    """Without urllib3's object at its beginning."""
    return (text.partition(">: ")[2] or text)[:MAX_DETAIL]


def _said(kind: str, body: bytes) -> str:
    """The message of a google.rpc.Status, or the beginning of a text."""
    if "protobuf" in kind:
        try:
            found = [value for number, value in fields(body) if number == 2]
        except ValueError:
            found = []
        body = next((value for value in found if isinstance(value, bytes)), b"")
    elif "html" in kind:
        return "a web page"
    text = body[: 4 * MAX_DETAIL].decode("utf-8", "replace")
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[
        :MAX_DETAIL
    ]


def _retry_after(text: str) -> float | None:
    """Seconds of a Retry-After header: a number or a date."""
    text = text.strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
