"""DATABASE_URL is read as libpq reads it, or refused in one line."""

import subprocess
import sys
from pathlib import Path

import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from shared.database.url import KEYWORDS, REFUSED, BadDatabaseUrl, connection_parameters

#: Every form of libpq's documentation (34.1.1.2), and what lies between them.
FORMS = (
    "postgresql://",
    "postgresql://localhost",
    "postgresql://localhost:5433",
    "postgresql://localhost/mydb",
    "postgresql://user@localhost",
    "postgresql://user:secret@localhost",
    "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
    "postgresql://host1:123,host2:456/somedb?target_session_attrs=any&application_name=myapp",
    "postgresql://user@localhost:5433/mydb?options=-c%20synchronous_commit%3Doff",
    "postgresql:///mydb?host=localhost&port=5433",
    "postgresql://[2001:db8::1234]/database",
    "postgresql:///dbname?host=/var/lib/postgresql",
    "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname",
    "postgres://h/d",
    "postgresql://h:/d?",
    "postgresql://a,b:2,[::1]/d",
    "postgresql://h1,h2/d?port=5433",
    "postgresql://:p@h",
    "postgresql://@h",
    "postgresql://u:@h",
    "postgresql://u?x:p%40%2F%3A@h",
    "postgresql://u@h/a/b@c#d",
    "postgresql://h/d?dbname=e&sslmode=disable&ssl=true",
    "postgresql://h/d?application_name=a+b%20%C3%A9",
)


@pytest.mark.parametrize("url", FORMS)
def test_a_form_of_the_documentation_is_read_as_libpq_reads_it(url: str) -> None:
    assert connection_parameters(url) == conninfo_to_dict(url)


def test_every_parameter_of_libpq_is_known() -> None:
    of_libpq = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}

    assert of_libpq - KEYWORDS - REFUSED.keys() == set()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://h/d", "must be a postgresql:// URL"),
        ("host=h dbname=d", "must be a postgresql:// URL"),
        ("postgresql://h:x/d", "must have a port from 1 to 65535, or none"),
        ("postgresql://h:0/d", "must have a port from 1 to 65535, or none"),
        ("postgresql://h/d?port=99999", "must have a port from 1 to 65535, or none"),
        ("postgresql://u:se/cret@h/d", "%2F"),
        ("postgresql://[::1/d", "has no host that can be read"),
        ("postgresql://[]/d", "has no host that can be read"),
        ("postgresql://h1,h2/d?port=1,2,3", "names 2 hosts and 3 ports"),
        ("postgresql://u:100%@h/d", "a % itself is written %25"),
        ("postgresql://u%FF@h/d", "not written in UTF-8"),
        ("postgresql://h/d?sslmode", "name=value"),
        ("postgresql://h/d?options=-csearch_path=x", "a = in a value is written %3D"),
        ("postgresql://h/d?no_such=1", "has the parameter 'no_such', which libpq does not know"),
        ("postgresql:///?service=ours", "may not have the parameter service"),
        ("postgresql://h/d?sslmode=on", "disable, allow, prefer, require, verify-ca, verify-full as sslmode"),
        ("postgresql://h,i/d?target_session_attrs=read-only", "target_session_attrs"),
        ("postgresql://h/d?client_encoding=LATIN1", "client_encoding"),
        ("postgresql://h/d?connect_timeout=soon", "whole number as connect_timeout"),
        ("postgresql://h/d?sslrootcert=/no/such.crt", "sslrootcert that cannot be read: /no/such.crt"),
        ("postgresql://h/d?options=-c%20datestyle%3DGerman", "may not set datestyle in its options"),
        ("postgresql://h/d?options=--client-encoding%3DLATIN1", "may not set client_encoding in its options"),
    ],
)
def test_a_url_that_cannot_work_is_refused_in_one_line_without_a_secret(url: str, reason: str) -> None:
    with pytest.raises(BadDatabaseUrl) as refused:
        connection_parameters(url)

    said = str(refused.value)
    assert reason in said
    assert "\n" not in said
    assert "cret" not in said


def test_a_readable_certificate_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "root.crt"
    file.touch()

    assert connection_parameters(f"postgresql://h/d?sslrootcert={file}")["sslrootcert"] == str(file)


def test_reading_the_settings_does_not_import_psycopg() -> None:
    """gunicorn's parent process reads them: what is imported there is never patched by gevent."""
    script = "import sys, shared.startup.checks; print({'psycopg', 'sqlalchemy', 'kombu'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
