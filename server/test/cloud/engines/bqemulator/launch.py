"""Starts bqemulator with the corrections of this folder, and without its GEOGRAPHY functions.

Those need DuckDB's `spatial` extension, which bqemulator downloads at its first start and without which it ends.
Daybook has no GEOGRAPHY column, and its tests must run on a machine that reaches no more than package registries.
Ends when its standard input closes, so that it never outlives the tests.
"""

import os
import sys
import threading

from bqemulator.cli import main
from bqemulator.storage.engine import DuckDBEngine

import catalogue
import dialect
import rest

DuckDBEngine._load_spatial = lambda self: None
DuckDBEngine._load_format_extensions = lambda self: None
catalogue.correct()
dialect.correct()
rest.correct()


def end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
main()
