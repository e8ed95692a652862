"""Make data/neighbours/cetnet.csv: members that learn from each other, and their rivals.

    python scripts/cetnet.py [GRID --out TABLE]

What is trained says data/grids/cetnet.yaml, or a GRID in its form. Rows that are in the table are
not trained again: after an interruption the command goes on. The logs are in the folder
PERFLAW_DATA.
"""

from perflaw.study.neighbours import cetnet_runs, grid_command

if __name__ == "__main__":
    grid_command.run_script(__doc__, "cetnet", cetnet_runs.complete_table)
