"""Where bqemulator's catalogue of tables drifts from the tables themselves after DDL.

* `ALTER TABLE … ADD | DROP COLUMN` does not reach the catalogue: `tables.get` shows the old columns and `insertAll` fails.
* Only one action an `ALTER TABLE`; no `SET OPTIONS`.
* `CREATE TABLE IF NOT EXISTS` of a table that exists overwrites its entry (partitioning, clustering, labels).
* A JSON column made by DDL is listed as STRING; a partition by DATE(column), clustering and labels are not.
"""

import re

import sqlglot
from sqlglot import exp

from bqemulator.catalog import ddl_sync
from bqemulator.catalog.models import Clustering, TimePartitioning
from bqemulator.jobs import executor

OPTIONS_OF_ALTER = re.compile(r"^\s*ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(\S+)\s+SET\s+OPTIONS\b", re.I)
PARTITION = re.compile(
    r"PARTITION\s+BY\s+(?:(?:DATE|TIMESTAMP_TRUNC)\s*\(\s*)?`?(\w+)`?\s*(?:,\s*(HOUR|DAY|MONTH|YEAR)\s*)?\)?",
    re.I,
)
CLUSTER = re.compile(r"CLUSTER\s+BY\s+(`?\w+`?(?:\s*,\s*`?\w+`?)*)", re.I)
LABELS = re.compile(r"\blabels\s*=\s*\[(.*?)\]", re.I | re.S)
PAIR = re.compile(r"\(\s*['\"]([^'\"]*)['\"]\s*,\s*['\"]([^'\"]*)['\"]\s*\)")


def correct() -> None:
    run = executor._run_single_sql
    created = executor.sync_created_table
    dropped = executor.sync_dropped_object

    async def run_each(project_id, bq_sql, query_params, ctx, **kwargs):
        if OPTIONS_OF_ALTER.match(bq_sql):
            return executor._EMPTY_ARROW
        result = None
        for statement in actions(bq_sql):
            result = await run(project_id, statement, query_params, ctx, **kwargs)
        return result

    def sync_created(bq_sql, project_id, ctx):
        target = ddl_sync._detect_plain_create_table(bq_sql)
        if target is None:
            return
        name = ddl_sync._split_target(target, project_id)
        if sqlglot.parse_one(bq_sql, read="bigquery").args.get("exists") and ctx.catalog.get_table(*name):
            return
        created(bq_sql, project_id, ctx)
        describe(bq_sql, name, ctx)

    def sync_dropped(bq_sql, project_id, ctx):
        dropped(bq_sql, project_id, ctx)
        sync_altered(bq_sql, project_id, ctx)

    executor._run_single_sql = run_each
    executor.sync_created_table = sync_created
    executor.sync_dropped_object = sync_dropped


def parsed(bq_sql):
    try:
        return sqlglot.parse_one(bq_sql, read="bigquery")
    except sqlglot.errors.ParseError:
        return None


def actions(bq_sql):
    """The statement, or one statement for each action of an ALTER TABLE."""
    tree = parsed(bq_sql) if re.match(r"\s*ALTER\s+TABLE\b", bq_sql, re.I) else None
    if not isinstance(tree, exp.Alter) or len(tree.args.get("actions") or []) < 2:
        return [bq_sql]
    statements = []
    for action in tree.args["actions"]:
        single = tree.copy()
        single.set("actions", [action.copy()])
        statements.append(single.sql(dialect="bigquery"))
    return statements


def describe(bq_sql, name, ctx):
    """What the DDL says and the emulator does not note down."""
    meta = ctx.catalog.get_table(*name)
    tree = parsed(bq_sql)
    if meta is None or not isinstance(tree.this, exp.Schema):
        return
    update = {"schema_": with_json(meta.schema_, tree.this.expressions)}
    partition = PARTITION.search(bq_sql)
    if partition:
        kind = (partition[2] or "DAY").upper()
        update["time_partitioning"] = TimePartitioning(type=kind, field=partition[1])
    cluster = CLUSTER.search(bq_sql)
    if cluster:
        update["clustering"] = Clustering(fields=tuple(name.strip(" `\n") for name in cluster[1].split(",")))
    if LABELS.search(bq_sql):
        update["labels"] = labels(bq_sql)
    ctx.catalog.update_table(meta.model_copy(update=update))


def sync_altered(bq_sql, project_id, ctx):
    options = OPTIONS_OF_ALTER.match(bq_sql)
    if options:
        name = ddl_sync._split_target(exp.to_table(options[1], dialect="bigquery"), project_id)
        meta = ctx.catalog.get_table(*name)
        if meta is not None and LABELS.search(bq_sql):
            ctx.catalog.update_table(meta.model_copy(update={"labels": labels(bq_sql)}))
        return
    tree = parsed(bq_sql)
    if not isinstance(tree, exp.Alter) or (tree.args.get("kind") or "").upper() != "TABLE":
        return
    name = ddl_sync._split_target(tree.this, project_id)
    meta = ctx.catalog.get_table(*name)
    if meta is None:
        return
    known = {field.name: field for field in meta.schema_.fields}
    schema = with_json(ddl_sync._introspect_schema(*name, ctx), tree.args["actions"])
    fields = tuple(known.get(field.name, field) for field in schema.fields)
    ctx.catalog.update_table(meta.model_copy(update={"schema_": schema.model_copy(update={"fields": fields})}))


def with_json(schema, nodes):
    """The schema with the type JSON for the columns that the statement declares so."""
    json = {
        column.name
        for node in nodes
        for column in node.find_all(exp.ColumnDef)
        if column.args.get("kind") is not None and column.args["kind"].sql("bigquery").upper() == "JSON"
    }
    fields = tuple(
        field.model_copy(update={"type": "JSON"}) if field.name in json else field for field in schema.fields
    )
    return schema.model_copy(update={"fields": fields})


def labels(bq_sql):
    return dict(PAIR.findall(LABELS.search(bq_sql)[1]))
