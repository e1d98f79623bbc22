"""Translate every answer of ECS and every network error into two: EcsUnavailable is tried again, EcsRejected is recorded."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.error_codes import ErrorCode

GONE_CODES = frozenset({"ServiceNotFoundException", "ServiceNotActiveException"})
MISSING_DEFINITION_MESSAGES = (
    "unable to describe task definition",
    "taskdefinition is inactive",
    "taskdefinition not found",
)

#: Errors that no repeat will change, and the code that the user sees. Every other error is tried again until the
#: command's deadline. From the ECS API reference ("Errors" of each action, "Common error types").
FINAL_CODES: dict[str, ErrorCode] = {
    "AccessDenied": ErrorCode.ACCESS_DENIED,
    "AccessDeniedException": ErrorCode.ACCESS_DENIED,
    "UnauthorizedOperation": ErrorCode.ACCESS_DENIED,
    "NotAuthorized": ErrorCode.ACCESS_DENIED,
    "BlockedException": ErrorCode.ACCESS_DENIED,
    "UnrecognizedClientException": ErrorCode.ACCESS_DENIED,
    "InvalidClientTokenId": ErrorCode.ACCESS_DENIED,
    "InvalidSignatureException": ErrorCode.ACCESS_DENIED,
    "SignatureDoesNotMatch": ErrorCode.ACCESS_DENIED,
    "IncompleteSignature": ErrorCode.ACCESS_DENIED,
    "MissingAuthenticationToken": ErrorCode.ACCESS_DENIED,
    "MissingAuthenticationTokenException": ErrorCode.ACCESS_DENIED,
    "OptInRequired": ErrorCode.ACCESS_DENIED,
    "LimitExceededException": ErrorCode.QUOTA_EXCEEDED,
    "ServiceQuotaExceededException": ErrorCode.QUOTA_EXCEEDED,
    "ClientException": ErrorCode.PROVIDER_REJECTED,
    "ClusterNotFoundException": ErrorCode.PROVIDER_REJECTED,
    "InvalidAction": ErrorCode.PROVIDER_REJECTED,
    "InvalidParameterException": ErrorCode.PROVIDER_REJECTED,
    "InvalidParameterCombination": ErrorCode.PROVIDER_REJECTED,
    "InvalidParameterValue": ErrorCode.PROVIDER_REJECTED,
    "MalformedQueryString": ErrorCode.PROVIDER_REJECTED,
    "MissingParameter": ErrorCode.PROVIDER_REJECTED,
    "NamespaceNotFoundException": ErrorCode.PROVIDER_REJECTED,
    "PlatformTaskDefinitionIncompatibilityException": ErrorCode.PROVIDER_REJECTED,
    "PlatformUnknownException": ErrorCode.PROVIDER_REJECTED,
    "ResourceNotFoundException": ErrorCode.PROVIDER_REJECTED,
    "SerializationException": ErrorCode.PROVIDER_REJECTED,
    "UnknownOperationException": ErrorCode.PROVIDER_REJECTED,
    "UnsupportedFeatureException": ErrorCode.PROVIDER_REJECTED,
    "ValidationError": ErrorCode.PROVIDER_REJECTED,
    "ValidationException": ErrorCode.PROVIDER_REJECTED,
}
# Messages of the same codes that do pass.
PASSING_MESSAGES = (
    "still draining",  # a service of that name is being deleted
    "not idempotent",  # another worker has just made it
    "too many concurrent attempts",  # to register a revision of one family
    "signature expired",  # this host's clock is behind, until it is set
    "signature not yet current",  # or ahead
    "unable to assume the service linked role",  # of a new account: ECS makes it with the first service
    "unable to assume role",  # a role that is minutes old is not known everywhere
    "unable to assume the role",
    "token included in the request is expired",  # until the credentials are renewed
    "please try again",
    "rate exceeded",
)


class EcsUnavailable(Exception):
    """ECS did not do it this time. Try again later."""


class EcsRejected(Exception):
    """ECS will not do it, however often the call is repeated."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class NoSuchService(EcsRejected):
    """There is no active service of that name."""


class TaskDefinitionMissing(EcsRejected):
    """The recorded task definition is gone: another one must be registered."""


@contextmanager
def two_errors(operation: str) -> Iterator[None]:
    """Translate what botocore raises, and what reading a cut answer raises, into EcsUnavailable or EcsRejected."""
    try:
        yield
    except ClientError as error:
        raise _translated(operation, error) from error
    except BotoCoreError as error:  # no answer at all: timeout, DNS, refused connection
        raise EcsUnavailable(f"{operation}: {error}") from error
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        # The answer was cut or is no JSON object: botocore returns it as it is, or fails on it itself.
        raise EcsUnavailable(f"{operation}: the answer is incomplete") from error


def _translated(operation: str, error: ClientError) -> Exception:
    code = error.response["Error"]["Code"]
    text = error.response["Error"].get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    message = f"{operation}: {code}: {text}"
    if code in GONE_CODES:
        return NoSuchService(ErrorCode.PROVIDER_REJECTED, message)
    if any(words in text.lower() for words in MISSING_DEFINITION_MESSAGES):
        return TaskDefinitionMissing(ErrorCode.PROVIDER_REJECTED, message)
    passes = status >= 500 or any(words in text.lower() for words in PASSING_MESSAGES)
    if passes or code not in FINAL_CODES:
        return EcsUnavailable(message)
    return EcsRejected(FINAL_CODES[code], message)


def required(answer: Any, *path: str) -> str:
    """A text field of the answer. Raises EcsUnavailable when it is missing: the answer was cut."""
    for key in path:
        answer = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(answer, str):
        raise EcsUnavailable(f"the answer does not hold {'.'.join(path)}")
    return answer
