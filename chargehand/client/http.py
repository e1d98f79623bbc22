"""Calls the API over HTTP, with retries that are safe, and errors of one line."""

import copy
import random
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from chargehand.client.failures import Failure, Refused, TimeIsUp, Unreachable
from chargehand.client.stack import HOW_TO_GET_ONE, Stack

Row = dict[str, Any]
Answer = tuple[int, Any]

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0  # beyond the `wait` of the query
TRIES = 5
FIRST_DELAY_S = 0.1  # doubles with each retry, with jitter
MAX_DELAY_S = 10.0  # also for Retry-After
MIN_TIMEOUT_S = 2.0  # of a request, also near the deadline
TOO_MANY_REQUESTS = 429
RETRIED = frozenset({TOO_MANY_REQUESTS, 502, 503, 504})
MAX_PAGE = 100  # of the API
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Client:
    """The public API of one stack. Threads may share it. Close it, or use it in a `with`.

    Every method raises Refused for an error answer, Unreachable without an answer, and TimeIsUp without an answer
    before the deadline of `within`.
    """

    def __init__(self, stack: Stack, *, tries: int = TRIES, timeout_s: float = READ_TIMEOUT_S) -> None:
        self.stack = stack
        self._tries = tries
        self._timeout_s = timeout_s
        self._deadline: float | None = None  #: of the monotonic clock
        headers = {"Authorization": f"Bearer {stack.token}", "User-Agent": "chargehand"}
        if stack.organization:
            headers["X-Organization-Id"] = stack.organization
        secure = stack.url.startswith("https:")
        self._http = httpx.Client(
            headers=headers,
            trust_env=urlsplit(stack.url).hostname not in LOOPBACK,  # no proxy for loopback
            verify=secure,  # without TLS there are no certificates to load
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def within(self, timeout_s: float) -> "Client":
        """This client with a deadline: no request waits beyond it, or is retried after it.

        A request that starts near the deadline, or after it, still waits MIN_TIMEOUT_S. Close only the first client.
        """
        bounded = copy.copy(self)
        deadline = time.monotonic() + timeout_s
        bounded._deadline = deadline if self._deadline is None else min(deadline, self._deadline)
        return bounded

    def get(self, path: str, **query: Any) -> Any:
        """The answer's JSON. Parameters that are None are left out."""
        return self._call("GET", path, query)[1]

    def post(self, path: str, key: str, body: Row | list[Row] | None = None, **query: Any) -> Answer:
        """The HTTP status and the answer's JSON. A repeat with the same `key` is safe."""
        return self._call("POST", path, query, body=body or {}, headers={"Idempotency-Key": key})

    def put(self, path: str, body: Row) -> Any:
        """The answer's JSON. A repeat sets the same values again."""
        return self._call("PUT", path, {}, body=body)[1]

    def text(self, path: str, **query: Any) -> str:
        """The answer as it is, for formats other than JSON."""
        answer = self._send("GET", path, _without_none(query))
        if not answer.is_success:
            self._content(answer)
        return answer.text

    def delete(self, path: str) -> None:
        """Delete it. Raises Refused with status 404 if it does not exist, unless an earlier try may have deleted it."""
        self._call("DELETE", path, {})

    def request(self, method: str, path: str, **query: Any) -> Any:
        """The answer's JSON to a request without a body; None for an answer without one."""
        return self._call(method, path, query)[1]

    def chargers(self, max_rows: int | None = None, **query: Any) -> Iterator[Row]:
        """The chargers that match the query, at most max_rows. Pages by cursor, so that none is skipped or repeated."""
        return self.rows("/ocpp/chargers", max_rows, **query, cursor="")

    def rows(self, path: str, max_rows: int | None = None, **query: Any) -> Iterator[Row]:
        """The rows of a list, of all its pages, at most max_rows."""
        if max_rows is not None and max_rows < 1:
            return
        query["limit"] = MAX_PAGE if max_rows is None else min(MAX_PAGE, max_rows)
        page, left = 1, max_rows
        while True:
            answer = self.get(path, **query)
            for row in answer["data"]:
                yield row
                if left is not None:
                    left -= 1
                    if not left:
                        return
            if answer.get("next_cursor"):
                query["cursor"] = answer["next_cursor"]
            elif "next_cursor" in answer or page * query["limit"] >= answer["total"]:
                return
            else:
                page += 1
                query["page"] = page

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        *,
        body: Row | list[Row] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = self._send(method, path, _without_none(query), body=body, headers=headers)
        return answer.status_code, self._content(answer)

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        *,
        body: Row | list[Row] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer, of any status, after the retries that are safe."""
        tried = 0
        while True:
            tried += 1
            try:
                answer = self._http.request(
                    method,
                    self.stack.url + path,
                    params=params,
                    json=body,
                    headers=headers,
                    timeout=self._timeout(float(params.get("wait", 0))),
                )
            except httpx.TransportError as error:
                if not self._pause(tried, _delay(tried)):
                    raise self._no_answer(error) from error
                continue
            except httpx.HTTPError as error:
                raise Failure(f"{self.stack.url} gave an answer that is not HTTP: {error}") from error
            if answer.status_code in RETRIED:
                delay, is_limit = (
                    _delay(tried, answer.headers.get("Retry-After")),
                    answer.status_code == TOO_MANY_REQUESTS,
                )
                if self._pause(tried, delay, is_limit=is_limit):
                    continue
                if is_limit and self._deadline is not None:
                    raise TimeIsUp(f"the rate limit of {self.stack.url} did not let the request pass in time")
            if method == "DELETE" and answer.status_code == 404 and tried > 1:
                return httpx.Response(204)  # an earlier try deleted it, and its answer was lost
            return answer

    def _timeout(self, wait_s: float) -> httpx.Timeout:
        """The timeout of a request whose answer the API may hold for wait_s."""
        timeout_s = self._timeout_s + wait_s
        if self._deadline is not None:
            timeout_s = min(timeout_s, max(self._deadline - time.monotonic(), MIN_TIMEOUT_S))
        return httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))

    def _pause(self, tried: int, delay_s: float, *, is_limit: bool = False) -> bool:
        """Sleep before the next try. Returns False, without sleep, when there is none.

        With a deadline, an answer of the rate limit does not count as a try.
        """
        if self._deadline is not None and time.monotonic() + delay_s >= self._deadline:
            return False
        if tried >= self._tries and not (is_limit and self._deadline is not None):
            return False
        time.sleep(delay_s)
        return True

    def _content(self, answer: httpx.Response) -> Any:
        """The JSON of an answer. Raises Refused for an error answer."""
        if answer.status_code == 204:
            return None
        try:
            content = answer.json()
        except ValueError:
            content = None
        if answer.is_success and content is not None:
            return content
        why, known = _why(self.stack.url, answer.status_code, content), _known_of_action(content)
        raise Refused(
            why, answer.status_code, action_id=known.get("command_id"), code=known.get("code") or ""
        )

    def _no_answer(self, error: httpx.TransportError) -> Failure:
        url = self.stack.url
        if isinstance(error, httpx.ConnectError):
            return Unreachable(f"nothing answers at {url} ({_cause(error)}): {HOW_TO_GET_ONE}")
        if isinstance(error, httpx.TimeoutException):
            message = f"{url} did not answer in time. Check CHARGEHAND_URL and that the API runs."
            is_up = self._deadline is not None and time.monotonic() >= self._deadline
            return TimeIsUp(message) if is_up else Unreachable(message)
        return Unreachable(f"the connection to {url} broke ({_cause(error)}): try again")


def _without_none(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def segment(name: str) -> str:
    """The name as one segment of a path."""
    return quote(name, safe="")


def _why(url: str, status: int, content: Any) -> str:
    detail = content.get("detail") if isinstance(content, dict) else None
    if isinstance(detail, list):
        detail = "; ".join(_item(item) for item in detail)
    if not detail:
        return f"{url} answered {status}, not as Chargehand's API does: is CHARGEHAND_URL right?"
    if status == 401:
        return f"{url} does not take the token ({detail}): set CHARGEHAND_TOKEN to a good one"
    if status == 403 and "X-Organization-Id" in detail:
        return f"{detail}: set CHARGEHAND_ORGANIZATION, for an admin's token only"
    return str(detail)


def _known_of_action(content: Any) -> Mapping[str, str]:
    """The `command_id` and `code` in an error answer about an action; empty for other errors."""
    if not isinstance(content, dict):
        return {}
    first = content["detail"][0] if isinstance(content.get("detail"), list) and content["detail"] else None
    known = (first.get("ctx") if isinstance(first, dict) else None) or content
    return known if "command_id" in known else {}


def _item(item: Any) -> str:
    """An entry of a 422 answer, as in `ws_url: Field required`. Of an action only the reason: no field is wrong."""
    if not isinstance(item, dict):
        return str(item)
    if "command_id" in (item.get("ctx") or {}):
        return str(item["msg"])
    loc = [str(step) for step in item.get("loc", ())]
    where = ".".join(loc[1:] if loc[:1] in (["body"], ["query"]) else loc)
    message = str(item.get("msg", "is not valid"))
    return f"{where}: {message}" if where and loc[:1] != ["path"] else message


def _cause(error: Exception) -> str:
    """The system's message, without its number."""
    return str(error).partition("] ")[2] or str(error) or type(error).__name__


def _delay(tried: int, retry_after: str | None = None) -> float:
    if retry_after is not None and retry_after.isdigit():
        return min(float(retry_after), MAX_DELAY_S) + random.random() * FIRST_DELAY_S  # noqa: S311 - jitter
    return float(FIRST_DELAY_S * 2 ** (tried - 1) * (0.5 + random.random()))  # noqa: S311 - jitter
