"""Make the tables of data/logs/ from the logs in the folder PERFLAW_DATA: `python benchmarks/log_tables.py`."""

import sys

from perflaw.logs import measures


def main():
    logs = {name: log for name, log in measures.load_study_logs().items() if name != "synthetic"}
    if not logs:
        sys.exit("PERFLAW_DATA names no folder of logs")
    measures.FOLDER.mkdir(exist_ok=True)
    for name in (
        "summaries",
        "splits",
        "curves",
        "entropies",
        "by_length",
        "numbering",
        "sensitivity",
    ):
        table = getattr(measures, name)(logs)
        table.to_csv(
            measures.FOLDER / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n"
        )
        print(f"{measures.FOLDER / name}.csv: {len(table)} rows of {len(logs)} logs")


if __name__ == "__main__":
    main()
