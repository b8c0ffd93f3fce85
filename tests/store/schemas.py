"""A database's schema as plain values, to compare two of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, inspect, text

Description = dict[str, Any]

_TRIGGERS = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'trigger' ORDER BY sql",
    "postgresql": "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname",
}


def describe_schema(connection: Connection) -> Description:
    """Columns in their order, keys, constraints, indexes and triggers."""
    triggers = connection.execute(text(_TRIGGERS[connection.dialect.name]))
    tables = {name: _describe_table(connection, name) for name in sorted(inspect(connection).get_table_names())}
    return {"tables": tables, "triggers": [" ".join(row[0].split()) for row in triggers]}


def _describe_table(connection: Connection, name: str) -> Description:
    found = inspect(connection)
    autoincrements = connection.dialect.name == "sqlite" and "AUTOINCREMENT" in str(
        connection.execute(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}).scalar()
    )
    return {
        "columns": [
            [column["name"], str(column["type"]), column["nullable"], column["default"]]
            for column in found.get_columns(name)
        ],
        "key": found.get_pk_constraint(name)["constrained_columns"],
        "unique": sorted(one["column_names"] for one in found.get_unique_constraints(name)),
        "foreign": sorted(
            [one["constrained_columns"], one["referred_table"], one["referred_columns"]]
            for one in found.get_foreign_keys(name)
        ),
        "indexes": sorted(
            [str(one["name"]), one["column_names"], bool(one["unique"])] for one in found.get_indexes(name)
        ),
        "autoincrements": autoincrements,
    }
