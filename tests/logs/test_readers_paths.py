"""A path is a name, quotes are text where they are, and a list in a cell is a history."""

import pandas as pd
import pytest
from log_files import histories
from log_kinds import FRAME, HISTORIES, START, parquet, refused, table, written

from perflaw.logs.interaction_log import read_log

# ---------------------------------------------------------------- a path is a name


PATHS = [
    "log[1]",
    "log?",
    "log*",
    "a[!b]",
    "{a,b}",
    "quote'd",
    'double"d',
    "back\\slash",
    "sp ace",
    "per%20cent",
]
PATHS += [
    "$x",
    "semi;drop",
    "user=7/log",
    "date=2020-01-01/time=5/log",
    "[ab]/log",
    "été/日本",
    "~",
    "-o",
    "#1",
]


@pytest.mark.parametrize("stem", PATHS)
def test_a_path_of_text_is_a_name(stem, way):
    written(table().replace("u", "WRONG"), "log1.csv")
    path = written(table(), f"{stem}.csv")
    assert histories(read_log(path)) == HISTORIES


@pytest.mark.parametrize("stem", PATHS)
def test_a_path_of_parquet_is_a_name(stem):
    parquet(FRAME.assign(user="WRONG"), "log1.parquet")
    path = parquet(FRAME, f"{stem}.parquet")
    assert histories(read_log(path)) == HISTORIES


def test_a_pattern_names_no_file():
    parquet(FRAME, "log1.parquet")
    assert "does not exist" in refused("log*.parquet")


# ---------------------------------------------------------------- quotes


QUOTES_AS_TEXT = {
    "tabs": ("\t", "log.tsv"),
    "RecBole": ("\t", "log.inter"),
    "colons": ("::", "ratings.dat"),
}


@pytest.mark.parametrize("kind", QUOTES_AS_TEXT)
@pytest.mark.parametrize("odd", ['"Heroes', '7"', '12" vinyl', '"', '""', '"a"b'])
def test_quotes_are_text_between_tabs(kind, odd, way):
    delimiter, name = QUOTES_AS_TEXT[kind]
    header = (
        "user_id:token,item_id:token,timestamp:float" if kind == "RecBole" else "user,item,time"
    )
    content = table(delimiter, header).replace(
        f"{delimiter}d{delimiter}", f"{delimiter}{odd}{delimiter}"
    )
    assert histories(read_log(written(content, name)))["u3"] == ["a", "b", odd]


@pytest.mark.parametrize("odd", ['12" vinyl', 'a"b"c', '7"'])
def test_a_quote_within_a_field_is_text(odd, way):
    content = table().replace(",d,", f",{odd},")
    assert histories(read_log(written(content)))["u3"] == ["a", "b", odd]


def test_a_quoted_field_may_hold_delimiters_quotes_and_line_ends(way):
    content = table().replace(",d,", ',"a, ""b""\nc",')
    assert histories(read_log(written(content)))["u3"] == ["a", "b", 'a, "b"\nc']


@pytest.mark.parametrize("column", ["item", "unused"])
def test_a_quoted_field_that_swallows_rows_is_refused(column, way):
    lines = table(header="user,item,title,time", cell=str).splitlines()
    lines = [
        lines[0],
        *[line.replace(f",{START // 10**6}", f",t,{START // 10**6}") for line in lines[1:]],
    ]
    place = 1 if column == "item" else 2
    for row, mark in ((2, '"{}'), (6, '{}"')):
        cells = lines[row].split(",")
        cells[place] = mark.format(cells[place])
        lines[row] = ",".join(cells)
    assert "line 3: a quoted field goes over 5 lines that are rows" in refused(
        written("\n".join(lines))
    )


def test_a_quote_that_does_not_end_is_refused_at_its_line(way):
    assert "line 10: a quote that does not end" in refused(written(table().replace(",d,", ',"d,')))


def test_text_after_a_closing_quote_is_refused_at_its_line(way):
    assert "line 10: text after the end of a quoted" in refused(
        written(table().replace(",d,", ',"d"x,'))
    )


# ---------------------------------------------------------------- lists in a cell


LISTS = {"u1": "c b a", "u2": "b a c", "u3": "a b d"}
NUMBERED = {"1": "3 2 1", "2": "2 1 3 7", "3": "1 2 4"}


def listed(lists, form, header="user_id,item_list", delimiter=","):
    lines = [header.replace(",", delimiter)]
    lines += [f"{user}{delimiter}{form(text.split())}" for user, text in lists.items()]
    return "\n".join(lines) + "\n"


FORMS = {
    "commas": lambda items: f'"{",".join(items)}"',
    "spaces": " ".join,
    "bars": "|".join,
    "JSON": lambda items: '"[' + ", ".join(items) + ']"',
    "Python": lambda items: '"[' + ", ".join(f"'{item}'" for item in items) + ']"',
    "NumPy": lambda items: "[" + " ".join(items) + "]",
    "tuples": lambda items: '"(' + ", ".join(items) + ')"',
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["item_list", "sequence_item_ids", "history", "item_id"])
def test_lists_in_cells_are_histories(form, name, way):
    log = read_log(written(listed(NUMBERED, FORMS[form], f"user_id,{name}")))
    assert histories(log) == {user: items.split() for user, items in NUMBERED.items()}
    assert any("a list of items in each cell" in guess for guess in log.guesses)


def test_lists_of_words_go_by_the_name_of_the_column(way):
    log = read_log(written(listed(LISTS, " ".join)))
    assert histories(log) == HISTORIES


def test_token_seq_is_a_list(way):
    content = listed(LISTS, " ".join, "user_id:token,item_id_list:token_seq", "\t")
    assert histories(read_log(written(content, "log.inter"))) == HISTORIES


def test_the_item_after_the_list_is_the_last(way):
    lines = ["session_id:token\titem_id_list:token_seq\titem_id:token", "s1\tc b\ta", "s2\tb\ta"]
    assert histories(read_log(written("\n".join(lines)))) == {
        "s1": ["c", "b", "a"],
        "s2": ["b", "a"],
    }


def test_lists_of_times_belong_to_lists_of_items(way):
    lines = ["user_id,sequence_item_ids,sequence_timestamps", f'1,"3,4","{START + 2},{START + 1}"']
    lines += [f'2,"5","{START}"']
    log = read_log(written("\n".join(lines)))
    assert histories(log) == {"1": ["4", "3"], "2": ["5"]}


def test_lists_of_unequal_length_are_refused(way):
    lines = ["user_id,item_list,timestamp_list", f'1,"3,4","{START}"', f'2,"5","{START}"']
    assert "line 2: 1 times in 'timestamp_list' and 2 items in 'item_list'" in refused(
        written("\n".join(lines))
    )


def test_two_lists_of_a_user_are_refused(way):
    content = "session_id:token\titem_id_list:token_seq\titem_id:token\ns1\t1\t2\ns1\t1 2\t3\n"
    assert "line 3: a second list of the user 's1' in 'item_id_list'" in refused(written(content))


def test_a_number_with_a_comma_may_be_one_item(way):
    content = 'user,item,time\n1,"1,025",1\n1,"1,026",2\n'
    assert "join them, or write 1,026 without a comma if it is one item" in refused(
        written(content)
    )


def test_a_link_to_nothing_is_told(tmp_path):
    (tmp_path / "link.csv").symlink_to("nowhere.csv")
    assert "link.csv is a link to nothing" in refused(tmp_path / "link.csv")


def test_a_zero_byte_is_no_path():
    assert "does not exist" in refused("a\0b.csv")


def test_lists_of_users_are_refused(way):
    assert "'user' holds lists" in refused(written('item,user\na,"[1, 2]"\nb,"[2]"\n'))


def test_names_with_spaces_are_no_lists(way):
    content = "user,item\nu1,the beatles\nu1,new order\nu2,blink 182\n"
    assert histories(read_log(written(content))) == {
        "u1": ["the beatles", "new order"],
        "u2": ["blink 182"],
    }


def test_lists_of_parquet():
    frame = pd.DataFrame(
        {
            "user": [1, 2],
            "items": [[3, 2, 1], [5]],
            "times": [[START + k for k in (5, 1, 3)], [START]],
        }
    )
    assert histories(read_log(parquet(frame, "log.parquet"))) == {"1": ["2", "1", "3"], "2": ["5"]}
    assert histories(read_log(frame)) == {"1": ["2", "1", "3"], "2": ["5"]}
