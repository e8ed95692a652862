"""Make data/neighbours/light_gcn.csv: LightGCN over layers, dimensions and seeds on two logs.

    python scripts/light_gcn.py [GRID --out TABLE]

What is trained says data/grids/light-gcn.yaml, or a GRID in its form. Rows that are in the table
are not trained again: after an interruption the command goes on. The logs are in the folder
PERFLAW_DATA.
"""

from functools import partial

from perflaw.study.neighbours import grid_command, model_grids

complete = partial(model_grids.complete_table, "LightGCN")

if __name__ == "__main__":
    grid_command.run_script(__doc__, "light-gcn", complete)
