"""Make the tables of data/logs/ from the logs in the folder PERFLAW_DATA.

Run it as `python benchmarks/log_tables.py`.
"""

import sys

from perflaw.study.analysis.log_tables import RECORDED_TABLES, load_study_logs, log_tables_folder


def main():
    """Measure all logs that are here, and write a file a table."""
    logs = {name: log for name, log in load_study_logs().items() if name != "synthetic"}
    if not logs:
        sys.exit("PERFLAW_DATA names no folder of logs")
    folder = log_tables_folder()
    folder.mkdir(exist_ok=True)
    for name, make_table in RECORDED_TABLES.items():
        table = make_table(logs)
        path = folder / f"{name}.csv"
        table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
        print(f"{path}: {len(table)} rows of {len(logs)} logs")


if __name__ == "__main__":
    main()
