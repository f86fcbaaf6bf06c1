"""Fit a mixed model to the result of an SQL query in DuckDB, by the C library.

    python from_sql.py PREFIX/lib/libcrossnest_c.so sleepstudy.csv

DuckDB hands its columns over as Arrow arrays, without a data frame between: the fit is that of
examples/arrow.
"""

import sys
from pathlib import Path

import duckdb
import pyarrow

sys.path.append(str(Path(__file__).parents[1] / "arrow"))
from sleepstudy import Library, fit

QUERY = """
    SELECT Reaction, Days, Subject::VARCHAR AS Subject
    FROM read_csv(?, header = true)
    WHERE Reaction IS NOT NULL
"""

if __name__ == "__main__":
    result = duckdb.connect().execute(QUERY, [sys.argv[2]])
    fit(Library(sys.argv[1]), pyarrow.table(result.to_arrow_table()))
