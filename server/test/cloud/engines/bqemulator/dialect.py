"""GoogleSQL that bqemulator hands to DuckDB untranslated: `TIMESTAMP(date or datetime, zone)`."""

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB


def correct() -> None:
    generators = {DuckDB.Generator, getattr(DuckDB, "generator_class", DuckDB.Generator)}
    for generator in generators:
        plain = generator.TRANSFORMS.get(exp.Timestamp)

        def timestamp(self, node, plain=plain):
            zone = node.args.get("zone")
            if zone is not None:
                return f"TIMEZONE({self.sql(zone)}, CAST({self.sql(node, 'this')} AS TIMESTAMP))"
            return plain(self, node) if plain else self.function_fallback_sql(node)

        generator.TRANSFORMS[exp.Timestamp] = timestamp
