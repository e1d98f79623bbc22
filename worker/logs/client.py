"""Call CloudWatch Logs, where the ECS tasks of all chargers write into one log group."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.settings import EcsSettings
from worker.ecs.aws_settings import client_config

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

READ_TIMEOUT_S = 10.0  # at least: CloudWatch may search for seconds before it answers
PAGE_LIMIT = 10_000  # events in an answer: the most that the CloudWatch Logs API reference allows

#: What a read can raise: CloudWatch is unavailable, slow or not set up, or its answer is cut.
LOG_ERRORS = (ClientError, BotoCoreError, KeyError)


class InvalidPageToken(Exception):
    """CloudWatch does not accept a page token: it is too old, or of another log group."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of FilterLogEvents."""

    events: "list[FilteredLogEventTypeDef]"
    next_token: str | None  #: None on the last page


class LogsClient:
    """The fleet's log group. boto3's errors are not translated: a read that fails is repeated."""

    def __init__(self, settings: EcsSettings, *, max_bytes_per_day: int) -> None:
        self.group = settings.log_group
        self.max_bytes_per_day = max_bytes_per_day  #: of frames stored per organization; 0 stores all
        config = client_config(settings).merge(
            Config(read_timeout=max(READ_TIMEOUT_S, settings.read_timeout_s))
        )
        self._logs: CloudWatchLogsClient = boto3.session.Session().client(
            "logs", region_name=settings.region, config=config
        )

    def pages(self, since_ms: int, next_token: str | None = None) -> Iterator[Page]:
        """The events from `since_ms` (Unix ms) on, oldest first. `next_token` of an earlier page continues after it.

        Raises InvalidPageToken, or one of LOG_ERRORS.
        """
        while True:
            token: dict[str, Any] = {} if next_token is None else {"nextToken": next_token}
            try:
                answer = self._logs.filter_log_events(
                    logGroupName=self.group, startTime=since_ms, limit=PAGE_LIMIT, **token
                )
            except ClientError as error:
                if token and error.response["Error"]["Code"] == "InvalidParameterException":
                    raise InvalidPageToken from error
                raise
            next_token = answer.get("nextToken")
            yield Page(answer["events"], next_token)
            if next_token is None:
                return
