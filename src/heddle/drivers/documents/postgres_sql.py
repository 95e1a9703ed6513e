"""The statements of the documents in PostgreSQL: schema, and what is asked and written.

Owns the SQL and the form of its answers, and nothing that waits: connections are `postgres`' own. One table is both the
sequence and the history; the one row of `heddle_sequence` is locked by whoever writes until the commit, so that
versions are in the order of commits, and whoever sees a version sees all before it.

*Source:* PostgreSQL 15, "Explicit Locking", "Transaction Isolation", "NOTIFY".
"""

from collections.abc import Iterable, Sequence
from typing import Any

from heddle.drivers.documents import Change, ExpiredError, Key, Write
from heddle.drivers.documents.planning import Body, Row

CHANNEL = "heddle_changes"
MIGRATING, COMPACTING = 0x68656464, 0x68656465
"""Advisory locks: one replica at a time."""

MIGRATIONS = (
    """
    CREATE TABLE heddle_changes (
        version BIGINT PRIMARY KEY,
        resource TEXT COLLATE "C" NOT NULL, namespace TEXT COLLATE "C" NOT NULL, name TEXT COLLATE "C" NOT NULL,
        previous BIGINT NOT NULL, body BYTEA, digest TEXT NOT NULL, deleted BOOLEAN NOT NULL, sealed BOOLEAN NOT NULL,
        "user" TEXT NOT NULL, agent TEXT NOT NULL, verb TEXT NOT NULL, why TEXT NOT NULL,
        time_s DOUBLE PRECISION NOT NULL
    );
    CREATE INDEX heddle_changes_of_object ON heddle_changes (resource, namespace, name, version);
    CREATE INDEX heddle_deletions ON heddle_changes (version) WHERE deleted;
    CREATE TABLE heddle_sequence (version BIGINT NOT NULL, oldest BIGINT NOT NULL);
    INSERT INTO heddle_sequence VALUES (1, 1);
    """,
)
"""One for each version of the schema, in order."""

HAS_FORMAT = "SELECT to_regclass('heddle_format') IS NOT NULL"
MAKE_FORMAT = "CREATE TABLE heddle_format (number INTEGER NOT NULL); INSERT INTO heddle_format VALUES (0)"
FORMAT = "SELECT number FROM heddle_format"
SET_FORMAT = "UPDATE heddle_format SET number = $1"

BEGIN = "BEGIN"
COMMIT = "COMMIT"
LOCK = "SELECT version FROM heddle_sequence FOR UPDATE"
LATEST = "SELECT version FROM heddle_sequence"
SEQUENCE = "SELECT version, oldest FROM heddle_sequence"

HEADS = """
    SELECT k.resource, k.namespace, k.name, c.version, c.deleted, CASE WHEN k.wanted THEN c.body END, c.sealed
    FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) AS k (resource, namespace, name, wanted)
    CROSS JOIN LATERAL (
        SELECT version, deleted, body, sealed FROM heddle_changes
        WHERE resource = k.resource AND namespace = k.namespace AND name = k.name ORDER BY version DESC LIMIT 1
    ) AS c
"""
"""The last version of each object that is asked for, with the body where it is wanted."""

INSERT = f"""
    WITH written AS (
        INSERT INTO heddle_changes SELECT * FROM unnest(
            $1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::text[], $8::boolean[],
            $9::boolean[], $10::text[], $11::text[], $12::text[], $13::text[], $14::float8[]
        )
    ), counted AS (
        UPDATE heddle_sequence SET version = $15
    )
    SELECT pg_notify('{CHANNEL}', $15::bigint::text)
"""  # noqa: S608 - a constant

_LAST = "SELECT max(version) AS version FROM heddle_changes GROUP BY resource, namespace, name"
SNAPSHOT = f"""
    SELECT c.version, c.resource, c.namespace, c.name, c.body, c.previous, c.sealed
    FROM ({_LAST}) AS last JOIN heddle_changes c ON c.version = last.version WHERE NOT c.deleted
"""  # noqa: S608 - a constant

CHANGES = """
    SELECT s.oldest, c.* FROM heddle_sequence s LEFT JOIN LATERAL (
        SELECT c.version, c.resource, c.namespace, c.name, c.body, c.previous, c.deleted, c.sealed, p.body AS before
        FROM heddle_changes c LEFT JOIN heddle_changes p ON p.version = c.previous
        WHERE c.version > $1 AND ($2 = '' OR c.resource = $2) ORDER BY c.version LIMIT $3
    ) AS c ON true
"""
"""One statement, so that both are of one moment."""

REVISIONS = """
    SELECT version, body, digest, deleted, sealed, "user", agent, verb, why, time_s FROM heddle_changes
    WHERE resource = $1 AND namespace = $2 AND name = $3 ORDER BY version DESC LIMIT $4
"""

_TOUCHED = """
    FROM (SELECT DISTINCT resource, namespace, name FROM heddle_changes WHERE version > $1 AND version <= $2) AS k
    WHERE c.resource = k.resource AND c.namespace = k.namespace AND c.name = k.name
    AND c.version < (
        SELECT max(version) FROM heddle_changes
        WHERE resource = k.resource AND namespace = k.namespace AND name = k.name AND version <= $2
    )
"""
"""Versions of the objects changed in a span that had been replaced by the end of it; the last before that end is what
the first change after it replaced, and stays."""
FORGET = f"""
    DELETE FROM heddle_changes c USING {_TOUCHED.strip().removeprefix("FROM ")}
    AND c.version < (
        SELECT version FROM heddle_changes
        WHERE resource = k.resource AND namespace = k.namespace AND name = k.name
        ORDER BY version DESC LIMIT 1 OFFSET $3
    )
"""  # noqa: S608 - a constant
UNSEAL = f"UPDATE heddle_changes c SET body = NULL {_TOUCHED} AND c.sealed AND c.body IS NOT NULL"  # noqa: S608
FORGET_DELETED = """
    DELETE FROM heddle_changes c USING (
        SELECT resource, namespace, name, max(version) AS version FROM heddle_changes
        WHERE deleted AND version <= $1
        AND version <= (SELECT version FROM heddle_changes WHERE deleted ORDER BY version DESC LIMIT 1 OFFSET $2)
        GROUP BY resource, namespace, name
    ) AS gone
    WHERE c.resource = gone.resource AND c.namespace = gone.namespace AND c.name = gone.name
    AND c.version <= gone.version
"""
SET_OLDEST = "UPDATE heddle_sequence SET oldest = $1"


def wanted(batches: Iterable[Sequence[Write]]) -> tuple[list[str], list[str], list[str], list[bool]]:
    """The arguments of HEADS: every object that is written, and whether it is deleted."""
    found: dict[Key, bool] = {}
    for writes in batches:
        for write in writes:
            found[write.key] = found.get(write.key, False) or write.body is None
    return (
        [key.resource for key in found],
        [key.namespace for key in found],
        [key.name for key in found],
        [*found.values()],
    )


def heads(records: Iterable[Sequence[Any]]) -> tuple[dict[Key, int], dict[int, Body]]:
    """The answer to HEADS: versions of the objects there are, and bodies by version."""
    versions: dict[Key, int] = {}
    bodies: dict[int, Body] = {}
    for resource, namespace, name, version, deleted, body, sealed in records:
        if not deleted:
            versions[Key(resource, namespace, name)] = version
            if body is not None:
                bodies[version] = Body(body, sealed)
    return versions, bodies


def columns(rows: Sequence[Row]) -> list[list[Any]]:
    """The arguments of INSERT but the last."""
    return [list(column) for column in zip(*rows, strict=True)]


def snapshot(records: Iterable[Sequence[Any]]) -> list[Change]:
    """The answer to SNAPSHOT."""
    return [
        Change(version, Key(*key), body, previous=previous, sealed=sealed)
        for version, *key, body, previous, sealed in records
    ]


def changes(records: Sequence[Sequence[Any]], after: int) -> list[Change]:
    """The answer to CHANGES. Raises ExpiredError."""
    oldest = records[0][0]
    if after < oldest:
        raise ExpiredError(oldest)
    return [
        Change(version, Key(*key), before if deleted else body, deleted, previous, sealed, before)
        for _, version, *key, body, previous, deleted, sealed, before in records
        if version is not None
    ]
