"""Let chargers share a host

A charger is `dedicated`, with an ECS service of its own as until now, or `shared`: it runs on a host, whose task runs many. The
release before this one knows dedicated chargers only, which stay as they are.
"""

import sqlalchemy as sa
from alembic import op

from shared.error_codes import ErrorCode

revision = "0033"
down_revision = "0032"

CODES = ", ".join(f"'{code}'" for code in ErrorCode)

STATEMENTS = (
    f"""
    CREATE TABLE hosts (
        id text PRIMARY KEY,
        organization_id text NOT NULL,
        capacity integer NOT NULL,
        chargers integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        draining_at timestamptz,
        empty_since timestamptz DEFAULT now(),
        deleted_at timestamptz,
        task_definition_arn text,
        spec_hash text,
        service_status text,
        running_count smallint NOT NULL DEFAULT 0,
        pending_count smallint NOT NULL DEFAULT 0,
        running_task_arn text,
        observed_at timestamptz,
        reason text,
        reason_code text,
        attempts integer NOT NULL DEFAULT 0,
        not_before timestamptz,
        converge_at timestamptz NOT NULL DEFAULT now(),
        boot_id text,
        version text,
        max_chargers integer,
        running integer,
        connected integer,
        lag_ms double precision,
        memory_bytes bigint,
        cpu_percent double precision,
        lines_dropped bigint,
        reported_at timestamptz,
        CONSTRAINT hosts_capacity CHECK (chargers BETWEEN 0 AND capacity),
        CONSTRAINT hosts_reason_code CHECK (reason_code IN ({CODES}))
    )
    """,
    "CREATE INDEX hosts_organization ON hosts (organization_id, id)",
    "CREATE INDEX hosts_converge ON hosts (converge_at)",
    """
    CREATE TABLE host_chargers (
        charger_id text PRIMARY KEY REFERENCES chargers ON DELETE CASCADE,
        host_id text NOT NULL REFERENCES hosts,
        generation integer NOT NULL,
        desired_count smallint NOT NULL,
        restart_generation integer NOT NULL,
        leaving boolean NOT NULL DEFAULT false,
        decided_at timestamptz NOT NULL DEFAULT now(),
        seen_generation integer NOT NULL DEFAULT 0,
        running boolean NOT NULL DEFAULT false,
        boot_id text,
        host_boot_id text,
        fault text,
        seen_at timestamptz,
        noted boolean NOT NULL DEFAULT true,
        CONSTRAINT host_chargers_desired_count CHECK (desired_count IN (0, 1))
    )
    """,
    "CREATE INDEX host_chargers_host ON host_chargers (host_id)",
    "CREATE INDEX host_chargers_unseen ON host_chargers (host_id) WHERE seen_generation < generation",
    "CREATE INDEX host_chargers_unnoted ON host_chargers (seen_at) WHERE NOT noted",
    # A constant default and a check of new rows only: the table is locked for a moment.
    "ALTER TABLE chargers ADD COLUMN placement text NOT NULL DEFAULT 'dedicated', ADD COLUMN host_id text",
    """
    ALTER TABLE chargers ADD CONSTRAINT chargers_placement CHECK (placement IN ('dedicated', 'shared')) NOT VALID
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(sa.text(statement))
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE chargers VALIDATE CONSTRAINT chargers_placement")


def downgrade() -> None:
    op.execute("DROP TABLE host_chargers, hosts")
    op.execute("ALTER TABLE chargers DROP COLUMN placement, DROP COLUMN host_id")
