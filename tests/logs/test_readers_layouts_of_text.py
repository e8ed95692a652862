"""What stands around a table, columns in spaces, long lines and JSON."""

import gzip
import json

import pytest
from log_files import histories
from log_kinds import FIRST, HISTORIES, ROWS, START, first_time, refused, table, written

from perflaw.logs.interaction_log import read_log

# ------------------------------------------------------- what stands above; columns in spaces


ABOVE = {
    "blank lines": "\n  \n",
    "sep": "sep=,\n",
    "quoted sep": '"sep=,"\n',
    "comments": "# exported 2020\n# by a script\n",
    "per cents": "% exported 2020\n",
    "mark": "\ufeff",
    "mark and sep": "\ufeffsep=,\n",
    "comment and blank line": "# exported\n\n",
}


@pytest.mark.parametrize("kind", ABOVE)
def test_what_stands_above_a_table_is_skipped(kind, way):
    assert histories(read_log(written(ABOVE[kind] + table()))) == HISTORIES


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_sep_says_the_delimiter(delimiter, way):
    assert histories(read_log(written(f"sep={delimiter}\n{table(delimiter)}"))) == HISTORIES


def test_a_header_behind_a_comment_sign_names_the_columns(way):
    assert histories(read_log(written("# " + table("\t")))) == HISTORIES


def test_comments_above_numbers(way):
    content = "# Directed graph\n# From To\n1\t97\n2\t98\n1\t99\n"
    log = read_log(written(content))
    assert histories(log) == {"1": ["97", "99"], "2": ["98"]}
    assert any("2 lines of comment above" in note for note in log.notes)


@pytest.mark.parametrize("title", ["Report of July", "Report;2020"])
def test_a_title_is_refused_at_its_line(title, way):
    message = refused(written(f"{title}\n{table()}"))
    assert "line 1: 1 column where the lines below have 3; mend the line, or remove it" in message


@pytest.mark.parametrize(
    "content",
    ["1:\n11,3,2005-09-06\n12,5,2005-05-13\n2:\n11,4,2005-10-19\n", "u1:\na\nb\nu2:\nc\n"],
)
def test_blocks_are_named(content, way):
    assert "blocks of one item or user each" in refused(written(content))


SHELLS = {
    "psql": (
        " user | item |    time    \n------+------+------------\n"
        + "".join(f" {u}   | {i}    | {START + t}\n" for u, i, t in ROWS)
        + "(9 rows)\n\n"
    ),
    "mysql": (
        "+------+------+------------+\n| user | item | time       |\n+------+------+------------+\n"
        + "".join(f"| {u}   | {i}    | {START + t} |\n" for u, i, t in ROWS)
        + "+------+------+------------+\n9 rows in set (0.00 sec)\n"
    ),
    "markdown": (
        "| user | item | time |\n|---|:---|---:|\n"
        + "".join(f"| {u} | {i} | {START + t} |\n" for u, i, t in ROWS)
    ),
    "sqlite": "user  item  time\n----  ----  ----------\n"
    + "".join(f"{u}    {i}     {START + t}\n" for u, i, t in ROWS),
    "aligned": "user item time\n" + "".join(f"{u}   {i}   {START + t}\n" for u, i, t in ROWS),
    "right": "  user item       time\n"
    + "".join(f"    {u}    {i} {START + t}\n" for u, i, t in ROWS),
    "names with spaces": "user    item name    time\n".replace("item name", "item     ")
    + "".join(f"{u}      {i}     {START + t}\n" for u, i, t in ROWS),
    "tabs and spaces": "user\titem\ttime\n"
    + "".join(f"{u} \t {i}\t{START + t}\n" for u, i, t in ROWS),
}


@pytest.mark.parametrize("kind", SHELLS)
def test_tables_as_shells_print_them(kind, way):
    assert histories(read_log(written(SHELLS[kind]))) == HISTORIES


def test_a_printed_table_that_lacks_rows_is_refused(way):
    assert "says 19 rows" in refused(written(SHELLS["psql"].replace("(9 rows)", "(19 rows)")))


# ---------------------------------------------------------------- long lines


@pytest.mark.integration
@pytest.mark.parametrize("size", [50_000, 3_000_000])
def test_long_lines(size, way):
    header = "user,item,time," + "x" * size
    content = "\n".join([header, *[line + ",1" for line in table().splitlines()[1:]]])
    assert histories(read_log(written(content))) == HISTORIES


@pytest.mark.integration
def test_a_long_history_on_a_line(way):
    items = [str(k % 5000) for k in range(200_000)]
    log = read_log(written("1 2 3 4\n2 " + " ".join(items) + "\n3 4\n"))
    assert histories(log)["2"] == items


def test_a_long_list_in_a_cell(way):
    items = [str(k % 5000) for k in range(100_000)]
    log = read_log(written(f"user,item_list\n1,{' '.join(items)}\n2,4 5\n"))
    assert histories(log)["1"] == items


# ---------------------------------------------------------------- JSON


def test_json_lines(way):
    records = [
        {"rating": 5.0, "asin": i, "user_id": u, "timestamp": (START + t) * 1000}
        for u, i, t in ROWS
    ]
    content = "".join(json.dumps(record) + "\n" for record in records)
    assert histories(read_log(written(content, "reviews.jsonl"))) == HISTORIES
    assert histories(read_log(written(json.dumps(records), "reviews.json"))) == HISTORIES
    assert (
        histories(read_log(written(gzip.compress(content.encode()), "reviews.jsonl.gz")))
        == HISTORIES
    )


def test_json_with_a_list_of_events_a_user(way):
    groups: dict = {}
    for u, i, t in ROWS:
        groups.setdefault(u, []).append({"aid": i, "ts": (START + t) * 1000, "type": "clicks"})
    content = "".join(json.dumps({"session": u, "events": e}) + "\n" for u, e in groups.items())
    log = read_log(written(content))
    assert histories(log) == HISTORIES
    assert first_time(log) == FIRST


def test_json_with_lists_of_items_and_times(way):
    content = (
        '{"user": 1, "items": [3, 2], "times": [1500000002, 1500000001]}\n'
        '{"user": 2, "items": [3], "times": [1500000000]}\n'
    )
    assert histories(read_log(written(content))) == {"1": ["2", "3"], "2": ["3"]}


def test_python_dicts_a_line(way):
    content = "".join(
        f"{{u'user_id': u'{u}', u'product_id': '{i}', 'time': {START + t}}}\n" for u, i, t in ROWS
    )
    assert histories(read_log(written(content))) == HISTORIES


def test_yelp(way):
    records = [
        {"review_id": t, "user_id": u, "business_id": i, "date": f"2017-07-14 02:40:0{t}"}
        for u, i, t in ROWS
    ]
    content = "".join(json.dumps(record) + "\n" for record in records)
    assert histories(read_log(written(content))) == HISTORIES


BAD_JSON = {
    "cut short": ('{"user": 1, "item": 2}\n{"user": 1, "it\n', "line 2: no whole JSON record"),
    "key twice": ('{"user": 1, "item": 2, "user": 3}\n', "line 1: the key 'user' stands twice"),
    "over lines": ('{\n "user": 1,\n "item": 2\n}\n', "line 1: no whole JSON record"),
    "no user": ('{"user": 1, "item": 2}\n{"item": 2}\n', "line 2: no user"),
    "null": ('{"user": 1, "item": 2}\n{"user": null, "item": 2}\n', "line 2: no user"),
    "object": ('{"user": {"id": 1, "x": 2}, "item": 2}\n', "line 1: 'user' holds an object"),
    "true": ('{"user": true, "item": 2}\n', "line 1: the user is"),
    "half": ('{"user": 1.5, "item": 2}\n', "line 1: the user 1.5 is a number but not a whole one"),
    "no record": ('{"user": 1, "item": 2}\n3\n', "line 2: 3 is no record"),
    "no such key": ('{"who": 1, "item": 2}\n', "which column holds the user?"),
}


@pytest.mark.parametrize("kind", BAD_JSON)
def test_bad_json(kind, way):
    content, told = BAD_JSON[kind]
    assert told in refused(written(content, "log.jsonl"))
