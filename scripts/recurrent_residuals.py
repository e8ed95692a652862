"""Make data/neighbours/recurrent_residuals.csv: forecasts of counts, corrected by a network.

    python scripts/recurrent_residuals.py [GRID --out TABLE]

What is trained says data/grids/recurrent-residuals.yaml, or a GRID in its form. The series are
those of data/neighbours/counts.csv. Rows that are in the table are not made again.
"""

from perflaw.study.neighbours import recurrent_residuals, script_grids

if __name__ == "__main__":
    script_grids.run_script(__doc__, "recurrent-residuals", recurrent_residuals.complete_table)
