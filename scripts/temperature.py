"""Make data/neighbours/temperature.csv: accuracy and coverage of lists drawn at temperatures.

    python scripts/temperature.py [GRID --out TABLE]

What is trained says data/grids/temperature.yaml, or a GRID in its form. Rows that are in the table
are not made again. The log is in the folder PERFLAW_DATA.
"""

from perflaw.study.neighbours import grid_command, temperature

if __name__ == "__main__":
    grid_command.run_script(__doc__, "temperature", temperature.complete_table)
