"""What an OpenAI-compatible server's errors mean, nested, flat, a string, or no JSON at all."""

from __future__ import annotations

import email.utils
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from experts.base import ExpertError, Rejected, Unavailable
from experts.http1_exchange import ConnectFailed, HTTPError, ProtocolBroken, TimedOut, TooBusy

LONGEST_WAIT = 24 * 3600.0
"""Seconds; a Retry-After beyond it is a mistake, not advice."""

REQUEST_FAULTS = frozenset({400, 404, 405, 413, 415, 422})
"""Statuses that blame the request; the others blame the expert, its load or its operator."""

LIMITED = re.compile(
    r"rate.?limit|overload|unavailable|capacity|timeout|quota|server.?error|queue is full", re.IGNORECASE
)
REFUSED = re.compile(r"invalid|bad.?request|context|content|policy|validation|not.?found|unsupported", re.IGNORECASE)

SECRETS = re.compile(
    r"""(?:[a-z][a-z0-9+.-]*://\S+)                   # a URL
    |(?:\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b)         # an address
    |(?:\b[\w.-]{0,80}[A-Za-z][\w.-]{0,80}:\d{2,5}\b)  # host:port
    |(?:(?:[A-Za-z]:\\|~?/)[\w.@+-]+(?:[/\\][^\s'",;:)]*)+)   # a path of two parts or more
    |(?:\b(?:sk|pk|hf|gsk|xai|lk)[-_][\w-]{6,})       # a key
    |(?:\bBearer\s+\S+)
    |(?:"[^"]{40,}"|'[^']{40,}')                      # a long quotation: the prompt, most likely
    """,
    re.VERBOSE,
)
FIELD = re.compile(r"""['"]loc['"]:\s*[(\[]([^)\]]*)[)\]].*?['"]msg['"]:\s*(?:'([^']*)'|"([^"]*)")""", re.DOTALL)
WORD = re.compile(r"[\w.\-\[\]]{1,64}")
"""What a type, code or param may look like to be passed on."""
LONGEST_MESSAGE, LONGEST_READ = 300, 4000


def of_status(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, now: float) -> ExpertError:
    """The error that a non-2xx answer means. `now` is the wall clock's second, for dates in Retry-After."""
    about = _about(_load(body))
    about["status"] = status
    wait = retry_after(dict(headers), now)
    if wait is not None:
        about["retry_after"] = wait
    return _error(status, about)


def of_payload(payload: Any) -> ExpertError | None:
    """The error that a JSON object means that came with status 200, or None if it is none."""
    if not isinstance(payload, dict):
        return None
    flat = payload.get("object") == "error" or "choices" not in payload and "detail" in payload
    if not (payload.get("error") or flat):
        return None
    about = _about(payload)
    status = _status(about)
    about["status"] = status
    return _error(status, about)


def of_transport(error: HTTPError) -> Unavailable:
    """The error that a failed exchange means, when nothing of its answer was used."""
    if isinstance(error, TimedOut):
        return Unavailable("the expert did not answer in time", status=504, code="upstream_timeout", stage=error.stage)
    if isinstance(error, TooBusy):
        return Unavailable("too many requests wait for the expert", status=503, code="upstream_overloaded", cost=0)
    if isinstance(error, ConnectFailed):
        return Unavailable("the expert cannot be reached", status=502, code="upstream_unreachable", cost=0)
    if isinstance(error, ProtocolBroken):
        return Unavailable(f"the expert broke the protocol: {error}", status=502, code="upstream_protocol_error")
    return Unavailable("the expert closed the connection", status=502, code="upstream_unreachable")


def broken(what: str) -> Unavailable:
    """The expert answered with 200 what is no answer."""
    return Unavailable(f"the expert broke the protocol: {what}", status=502, code="upstream_protocol_error")


def retry_after(headers: Mapping[bytes, bytes], now: float) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date.
    Absurd values are None."""
    milliseconds = _number(headers.get(b"retry-after-ms"))
    seconds = milliseconds / 1000 if milliseconds is not None else _number(headers.get(b"retry-after"))
    if seconds is None and b"retry-after" in headers:
        seconds = _date(headers[b"retry-after"].decode("latin-1"), now)
    return seconds if seconds is not None and 0 <= seconds <= LONGEST_WAIT else None


def clean(message: str) -> str:
    """One line of the message without paths, addresses, keys and long quotations."""
    message = message[:LONGEST_READ]
    fields = [(place, one or two) for place, one, two in FIELD.findall(message)]
    if fields:
        named = (f"{'.'.join(re.findall(r'[A-Za-z0-9_]+', place))}: {what}" for place, what in fields)
        message = "; ".join(dict.fromkeys(named))
    message = message.split("Traceback", 1)[0].strip().split("\n", 1)[0]
    message = SECRETS.sub("...", message)
    return message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + "..."


def _load(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _about(payload: Any) -> dict[str, Any]:
    """message, type, code and param of an error object, where it has them."""
    error = payload.get("error") if isinstance(payload, dict) else None
    if not error and isinstance(payload, dict):
        error = payload.get("detail") or payload
    if isinstance(error, list) and error:
        error = "; ".join(str(part.get("msg", "")) for part in error if isinstance(part, dict))
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return {}
    kept = {key: error[key] for key in ("type", "code", "param") if _is_word(error.get(key))}
    if isinstance(error.get("message"), str):
        kept["message"] = clean(error["message"])
    return kept


def _is_word(value: Any) -> bool:
    return isinstance(value, str | int) and WORD.fullmatch(str(value)) is not None


def _status(about: Mapping[str, Any]) -> int:
    """The status that an error inside a 200 stands for."""
    for key in ("code", "type"):
        value = str(about.get(key, ""))
        if value.isascii() and value.isdigit() and 400 <= int(value) <= 599:
            return int(value)
    words = " ".join(str(about.get(key, "")) for key in ("code", "type", "message"))
    if LIMITED.search(words):
        return 503
    return 400 if REFUSED.search(words) else 502


def _error(status: int, about: dict[str, Any]) -> ExpertError:
    """An error that a server answers instead of an answer costs nothing."""
    message = about.pop("message", "")
    about["cost"] = 0
    if status in REQUEST_FAULTS:
        return Rejected(message or f"the expert refuses the request ({status})", **about)
    if status in (401, 403):
        return Unavailable("the expert refuses our credentials", status=status, cost=0)
    if status == 429:
        return Unavailable("the expert is at its limit", **about)
    if status < 400:
        return Unavailable(f"the expert answers neither yes nor no ({status})", status=status, cost=0)
    if status < 500 and status not in (408, 409, 425):
        return Rejected(message or f"the expert refuses the request ({status})", **about)
    return Unavailable(f"the expert failed ({status})", **about)


def _number(value: bytes | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(value: str, now: float) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() - now
    except (ValueError, OverflowError):
        return None
