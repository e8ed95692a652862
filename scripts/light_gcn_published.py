"""Make data/neighbours/light_gcn_published.csv: LightGCN on random splits, as in a published row.

    python scripts/light_gcn_published.py [GRID --out TABLE]

What is trained says data/grids/light-gcn-published.yaml, or a GRID in its form. Rows that are in
the table are not trained again. The log is in the folder PERFLAW_DATA.
"""

from perflaw.study.neighbours import grid_command, light_gcn_check

if __name__ == "__main__":
    grid_command.run_script(__doc__, "light-gcn-published", light_gcn_check.complete_published)
