"""Make the tables of data/logs/ from logs in the folder PERFLAW_DATA.

    python scripts/log_tables.py [LOG ...]

Without names, of all logs that are there.
"""

from collections.abc import Sequence

from perflaw.errors import InputError
from perflaw.study import script_command
from perflaw.study.analysis import log_tables


def main(names: Sequence[str]) -> None:
    """Write each table."""
    logs = log_tables.load_study_logs(names)
    logs = {name: log for name, log in logs.items() if name != "synthetic"}
    if not logs:
        raise InputError("PERFLAW_DATA names no folder of logs; set it to one")
    folder = log_tables.log_tables_folder()
    folder.mkdir(exist_ok=True)
    for name, measure in log_tables.RECORDED_TABLES.items():
        table = measure(logs)
        path = folder / f"{name}.csv"
        table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
        print(f"{path}: {len(table)} rows of {len(logs)} logs")


if __name__ == "__main__":
    parser = script_command.make_parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="LOG", help="as perflaw.logs knows it")
    script_command.run_main(main, parser)
