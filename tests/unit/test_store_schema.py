"""Schema versions: what is migrated by itself, what only when asked, and what is refused."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from lockgate.store import migrate_records, open_records, schema
from lockgate.store.errors import RecordsUnavailableError, SchemaOutdatedError, SchemaUnknownError

STEP = '''"""A step of a future version."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add a table."""
    op.create_table("later", sa.Column("n", sa.Integer))
'''


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'records.sqlite'}"


@pytest.fixture
def next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tmp_path / "migrations"
    shutil.copytree(Path(schema.__file__).with_name("migrations"), scripts)
    (scripts / "versions" / "step_0002.py").write_text(STEP)
    monkeypatch.setattr(schema, "_scripts", scripts)
    monkeypatch.setattr(schema, "SCHEMA", "0002")


def fill(url: str) -> None:
    records = open_records(url)
    with records.transaction() as tx:
        tx.put("c", "k", b"kept")
    records.close()


def kept(url: str) -> bytes | None:
    records = open_records(url)
    with records.transaction() as tx:
        value = tx.get("c", "k")
    records.close()
    return value


def look(url: str) -> tuple[str, set[str]]:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        number = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
        tables = set(sa.inspect(connection).get_table_names())
    engine.dispose()
    return number, tables


def test_the_newest_step_is_the_version_that_the_code_names() -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(schema._scripts))
    assert script.get_heads() == [schema.SCHEMA]
    assert script.get_bases() == ["0001"]


def test_the_steps_make_the_table_that_the_code_uses(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    open_records(url).close()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    engine.dispose()


def test_a_new_database_is_made_at_the_present_version(url: str) -> None:
    open_records(url).close()
    assert look(url) == (schema.SCHEMA, {"records", "alembic_version"})
    assert migrate_records(url) == (schema.SCHEMA, schema.SCHEMA)


def test_a_database_from_before_versions_is_given_the_first_one(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
        connection.execute(sa.insert(schema.records).values(collection="c", key="k", value=b"kept"))
    engine.dispose()
    assert kept(url) == b"kept"
    assert look(url)[0] == "0001"


def test_an_older_database_that_holds_records_is_migrated_only_when_asked(
    url: str, request: pytest.FixtureRequest
) -> None:
    fill(url)
    request.getfixturevalue("next_version")
    with pytest.raises(SchemaOutdatedError, match="0001; this version needs 0002"):
        open_records(url)
    assert look(url) == ("0001", {"records", "alembic_version"})
    assert migrate_records(url) == ("0001", "0002")
    assert look(url) == ("0002", {"records", "alembic_version", "later"})
    assert kept(url) == b"kept"


def test_an_older_database_without_records_is_migrated_by_itself(
    url: str, request: pytest.FixtureRequest
) -> None:
    open_records(url).close()
    request.getfixturevalue("next_version")
    open_records(url).close()
    assert look(url) == ("0002", {"records", "alembic_version", "later"})


def test_a_step_that_fails_leaves_the_database_as_it_was(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fill(url)
    request.getfixturevalue("next_version")
    step = tmp_path / "migrations" / "versions" / "step_0002.py"
    step.write_text(STEP + '    op.execute("DROP TABLE absent")\n')
    with pytest.raises(RecordsUnavailableError, match="no such table"):
        migrate_records(url)
    assert look(url) == ("0001", {"records", "alembic_version"})


def test_a_newer_database_is_refused(url: str, request: pytest.FixtureRequest) -> None:
    with pytest.MonkeyPatch.context():
        request.getfixturevalue("next_version")
        fill(url)
    schema.SCHEMA = "0001"
    for use in (open_records, migrate_records):
        with pytest.raises(SchemaUnknownError, match="0002; this version knows 0001"):
            use(url)


def test_a_table_of_somebody_elses_is_refused_and_left_alone(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE records (name TEXT)")
    for use in (open_records, migrate_records):
        with pytest.raises(SchemaUnknownError, match="did not make"):
            use(url)
    with engine.connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["records"]
    engine.dispose()
