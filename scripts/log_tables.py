"""Make the tables of data/logs/ from the logs in the folder PERFLAW_DATA.

python scripts/log_tables.py
"""

import sys

from perflaw.study.analysis import log_tables


def main() -> None:
    """Write each table."""
    logs = {name: log for name, log in log_tables.load_study_logs().items() if name != "synthetic"}
    if not logs:
        sys.exit("PERFLAW_DATA names no folder of logs")
    log_tables.LOG_TABLES_FOLDER.mkdir(exist_ok=True)
    for name, measure in log_tables.RECORDED_TABLES.items():
        table = measure(logs)
        path = log_tables.LOG_TABLES_FOLDER / f"{name}.csv"
        table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
        print(f"{path}: {len(table)} rows of {len(logs)} logs")


if __name__ == "__main__":
    main()
