"""Fields of a charger's settings: times, certificates and secrets."""

import json
import re
from collections.abc import Sized
from types import MappingProxyType
from typing import Any

from cryptography import x509
from marshmallow import ValidationError, fields

from api.http.fields.fields import REQUIRED, Metadata, Problem, Text
from api.http.fields.json_fields import Integer, Number, check_json
from api.resources import resources

MAX_CERTIFICATES_BYTES = 16 * 1024
MAX_ENTRIES = 1_000
MAX_DOCUMENT_BYTES = 32 * 1024


NULL = Problem("Input should not be null", "value_error")


def _problem(message: str, type_: str = "value_error", **ctx: Any) -> ValidationError:
    return ValidationError(Problem(message, type_, **ctx))


class Strict(fields.Field[Any]):
    """A field whose errors are in the contract's words."""

    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "required": REQUIRED,
        "null": NULL,
        "invalid": Problem("Input should be a valid list", "list_type"),
    }


class SecondsOrNever(Number):
    """A time, or the word never."""

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        shown = {"type": ["number", "string"], "pattern": "^never$", **metadata}
        super().__init__(minimum=0, maximum=31_536_000, metadata=shown, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if value == "never":
            return value
        if isinstance(value, str):
            raise _problem("Input should be a number of seconds or 'never'", "literal_error")
        return super()._deserialize(value, attr, data, **kwargs)


class Secret(Text):
    """A text that is stored encrypted and never shown. Refused where it could not be stored or would not reach a charger."""

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(metadata={"writeOnly": True, **metadata}, **kwargs)

    def _checked(self, value: str) -> str:
        if not resources().sealer.has_keys:
            raise _problem("This installation stores no secrets: its operator must set ENCRYPTION_KEYS")
        if not resources().settings.control.url:
            raise _problem(
                "Secrets reach chargers over the control link only: the operator must set CONTROL_URL"
            )
        return value


class AuthorizationKey(Secret):
    """OCPP 1.6's AuthorizationKey: in hexadecimal. The standard has 16 to 20 bytes (security whitepaper, A00.FR.205)."""

    PATTERN = re.compile(r"([0-9A-Fa-f]{2}){8,20}")

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        shown = {"pattern": f"^{self.PATTERN.pattern}$", **metadata}
        super().__init__(min_length=16, max_length=40, metadata=shown, **kwargs)

    def _checked(self, value: str) -> str:
        if not self.PATTERN.fullmatch(value):
            raise _problem("Input should be 8 to 20 bytes in hexadecimal", "string_pattern_mismatch")
        return super()._checked(value).upper()


class Certificates(Strict):
    """One or more CA certificates in PEM."""

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        shown = {"type": "string", "maxLength": MAX_CERTIFICATES_BYTES, **metadata}
        super().__init__(metadata=shown, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str):
            raise _problem("Input should be a valid string", "string_type")
        if len(value) > MAX_CERTIFICATES_BYTES or not value.isascii():
            raise _problem(f"Certificates should be PEM of at most {MAX_CERTIFICATES_BYTES} characters")
        if "PRIVATE KEY" in value:
            raise _problem("Certificates should come without a private key")
        try:
            x509.load_pem_x509_certificates(value.encode())
        except ValueError as error:
            raise _problem("Input should be one or more X.509 certificates in PEM") from error
        return value.strip()


class Unsupported(Strict):
    """Has its place in the schema, but does not work yet."""

    def __init__(self, what: str, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        self._what = what
        super().__init__(
            metadata={
                "type": "string",
                "maxLength": 0,
                "description": f"Not yet: {what} answer 422.",
                **metadata,
            },
            **kwargs,
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> None:
        raise _problem(f"There are no {self._what} yet")


class Profile(Integer):
    """OCPP's security profile, as far as the charger has it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(minimum=0, maximum=3, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        profile = super()._deserialize(value, attr, data, **kwargs)
        if profile == 3:
            raise _problem("Security profile 3 needs a client certificate, and there are none yet")
        return profile


class Json(Strict):
    """Any JSON of these kinds, within a size."""

    def __init__(self, kinds: tuple[type[Sized], ...], *, metadata: Metadata, **kwargs: Any) -> None:
        self._kinds = kinds
        super().__init__(
            metadata={"maxProperties": MAX_ENTRIES, "maxItems": MAX_ENTRIES, **metadata}, **kwargs
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, self._kinds):
            raise _problem("Input should be a valid dictionary", "dict_type")
        check_json(value)
        if len(value) > MAX_ENTRIES:
            raise _problem(f"Input should have at most {MAX_ENTRIES} entries")
        if len(json.dumps(value)) > MAX_DOCUMENT_BYTES:
            raise _problem(f"Input should have at most {MAX_DOCUMENT_BYTES} characters as JSON")
        return value
