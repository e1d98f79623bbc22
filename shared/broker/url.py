"""Checks REDIS_URL and BROKER_URL before anything connects: only what kombu, redis-py and limits all accept passes."""

import os
import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

REDIS = ("redis", "rediss", "unix")
RABBITMQ = ("amqp", "amqps", "pyamqp")
VERIFICATIONS = ("none", "optional", "required")
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

FORMS = "redis://HOST:PORT/NUMBER, rediss:// with TLS, or unix:///PATH?db=NUMBER"
INSTEAD = {
    "sentinel": "must not lead to Sentinel: give a name or a proxy that leads to the primary, as redis://",
    "redis+socket": "must be written unix:///PATH?db=NUMBER",
}


class BadBrokerUrl(ValueError):
    """The message continues a sentence that begins with the variable's name, and contains no secret."""


def check_redis_url(url: str) -> None:
    """Raises BadBrokerUrl unless it is the URL of a Redis."""
    split = _split(url)
    if split.scheme in RABBITMQ:
        raise BadBrokerUrl(
            "must be a Redis: RabbitMQ goes into BROKER_URL, and REDIS_URL may be left out then"
        )
    if split.scheme not in REDIS:
        raise BadBrokerUrl(INSTEAD.get(split.scheme, f"must be a URL: {FORMS}"))
    _check_redis(split)


def broker_url(url: str) -> str:
    """The URL in kombu's spelling. Raises BadBrokerUrl."""
    split = _split(url)
    if split.scheme in RABBITMQ:
        _check_rabbitmq(split)
        return url
    if split.scheme not in REDIS:
        raise BadBrokerUrl(
            INSTEAD.get(split.scheme, f"must be a URL: {FORMS}; RabbitMQ's is amqp:// or amqps://")
        )
    _check_redis(split)
    if split.scheme != "unix":
        return url
    number = dict(parse_qsl(split.query)).get("db", "0")
    return f"redis+socket://{split.netloc}{split.path}?virtual_host={number}"


def _split(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        port = 0
    if port == 0:
        raise BadBrokerUrl(
            "must have a port from 1 to 65535, or none: in a password : / @ # and ? are written %3A %2F %40 %23 and %3F"
        )
    if split.scheme in (*REDIS, *RABBITMQ) and not url.startswith(f"{split.scheme}://"):
        raise BadBrokerUrl(f"must begin with {split.scheme}://")  # redis-py reads no other spelling
    return split


def _check_redis(url: SplitResult) -> None:
    _check_place(url)
    parameters = dict(parse_qsl(url.query, keep_blank_values=True))
    if url.scheme == "unix":
        if not url.path.strip("/") or url.hostname:
            raise BadBrokerUrl("must have a path with three slashes: unix:///PATH")
        _check_number(parameters.pop("db", "0"))
    else:
        _check_number(url.path.removeprefix("/") or "0")
    if url.scheme == "rediss":
        _check_tls(parameters)
    for name in parameters:
        raise BadBrokerUrl(f"has the parameter {name!r}, which not every part can use: leave it out")


def _check_number(number: str) -> None:
    if not re.fullmatch(r"\d{1,5}", number, re.ASCII):
        raise BadBrokerUrl("must end with the number of a database, such as /0")


def _check_tls(parameters: dict[str, str]) -> None:
    """Remove the valid TLS parameters. Raises BadBrokerUrl for an invalid one."""
    if parameters.pop("ssl_cert_reqs", "required") not in VERIFICATIONS:
        raise BadBrokerUrl(f"must have one of {', '.join(VERIFICATIONS)} as ssl_cert_reqs")
    if parameters.pop("ssl_check_hostname", "true").lower() not in ("true", "false"):
        raise BadBrokerUrl("must have true or false as ssl_check_hostname")
    for name in TLS_FILES:
        file = parameters.pop(name, None)
        if file is not None and not os.access(file, os.R_OK):
            raise BadBrokerUrl(f"names a file as {name} that cannot be read: {file}")


def _check_rabbitmq(url: SplitResult) -> None:
    _check_place(url)
    for name, value in parse_qsl(url.query, keep_blank_values=True):
        if name != "heartbeat" or not re.fullmatch(r"\d{1,5}", value, re.ASCII):
            raise BadBrokerUrl(f"has the parameter {name!r}: RabbitMQ's may have heartbeat=SECONDS only")


def _check_place(url: SplitResult) -> None:
    if url.fragment:
        raise BadBrokerUrl("has a #, which is written %23")
    if re.search(r"[,;\s]", url.hostname or ""):
        raise BadBrokerUrl(
            "must name one host: give a name or a proxy that leads to the one that takes writes"
        )
