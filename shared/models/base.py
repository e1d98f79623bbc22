"""The base classes of rows and views, and how their columns are typed."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

from shared.error_codes import ErrorCode

#: For the CHECK constraints on error codes.
CODES = ", ".join(f"'{code}'" for code in ErrorCode)


class Base(DeclarativeBase):
    """Text without a length is as fast as with one in PostgreSQL; bounds are the schemas' job."""

    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy's own name and shape
        str: Text(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(),
        list[float]: JSONB(),
        list[str]: JSONB(),
    }


class Views(DeclarativeBase):
    """The base of views, which migrations create."""

    type_annotation_map = Base.type_annotation_map
