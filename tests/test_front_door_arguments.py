"""An argument of another kind than a front door takes is refused in one line, which says more."""

import pandas as pd
import pytest

from perflaw import laws, logs, models, report
from perflaw.errors import InputError

TABLE = pd.DataFrame({"user": [1], "item": [2]})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: logs.load_log(TABLE), "a DataFrame is no str; name a file or a log; read_log"),
        (lambda: logs.leave_one_out(TABLE), "a DataFrame is no InteractionLog; read one with"),
        (lambda: laws.fit("performance", TABLE, [1]), "a str is no Law; get one with"),
        (lambda: laws.predict({}, TABLE), "a dict is no Fit; fit a law with perflaw.laws.fit"),
        (lambda: laws.find_optimum(laws.get_law("performance")), "a Law is no Fit; fit a law"),
        (lambda: models.train({}, logs.load_log("synthetic")), "a dict is no Config; make one"),
        (lambda: models.train(models.make_config(), TABLE), "a DataFrame is no InteractionLog"),
        (lambda: models.load_model(None), "a NoneType is no str; name the folder"),
        (lambda: report.run_report(TABLE, "out"), "a DataFrame is no InteractionLog; read one"),
    ],
)
def test_what_to_give_instead_is_said(call, message):
    with pytest.raises(InputError, match=message):
        call()
