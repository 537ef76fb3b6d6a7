"""The tables of the operational database. Migrations make them; this is how the code names them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text

METADATA = MetaData()

AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("time_ns", BigInteger, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("action", String(100), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("hash", String(64), nullable=False),
)

DOCUMENTS = Table(
    "documents",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("body", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("time_ns", BigInteger, nullable=False),
)

MISSIONS = Table(
    "missions",
    METADATA,
    Column("id", String(100), primary_key=True),
    Column("started_ns", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)
