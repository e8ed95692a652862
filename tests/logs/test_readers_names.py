"""Names of columns, headers, and ids that are there twice or not at all."""

import pytest
from log_files import histories
from log_kinds import FRAME, HISTORIES, START, refused, table, written

from perflaw.logs.interaction_log import read_log

# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "names", ["User,user,item", "user,item,Item", "user,user,item", "user_id,userId,item"]
)
def test_names_given_twice_are_refused_by_name(names, way):
    message = refused(written(f"{names}\na,b,c\nd,e,f\n"))
    assert "twice" in message or "may both hold" in message
    assert names.split(",")[1] in message


def test_columns_that_differ_in_case_are_kept_apart():
    frame = FRAME.assign(User="WRONG")
    assert histories(read_log(frame, user="user", item="item")) == HISTORIES
    assert "may both hold the user" in refused(frame)


@pytest.mark.parametrize(
    "name", ["select", "rowid", "place", "user", 'a"b', "c0", "file_row_number", "filename", ""]
)
def test_names_that_an_engine_reserves(name, way):
    frame = FRAME.rename(columns={"item": name or "item"}).assign(**{"other " + name: 1})
    assert (
        histories(read_log(frame, user="user", item=name or "item")) == HISTORIES
        if name != "user"
        else True
    )
    content = table(header=f"user,{name.replace(chr(34), '')},time")
    if name not in ("user", ""):
        assert histories(read_log(written(content), item=name.replace('"', ""))) == HISTORIES


@pytest.mark.parametrize("how", ["index", "comma", "comma in rows", "two", "row names"])
def test_columns_without_a_name_are_left_out(how, way):
    lines = table().splitlines()
    ends = {
        "index": lambda k, line: f"{k - 1},{line}" if k else f",{line}",
        "comma": lambda _, line: f"{line},",
        "comma in rows": lambda k, line: f"{line}," if k else line,
        "two": lambda k, line: f"{k - 1},{line}," if k else f",{line},",
        "row names": lambda k, line: f"{k},{line}" if k else line,
    }
    content = "\n".join(ends[how](k, line) for k, line in enumerate(lines)) + "\n"
    log = read_log(written(content))
    assert histories(log) == HISTORIES
    assert any("left out" in note for note in log.notes)


def test_pandas_with_its_index_is_read_back():
    FRAME.to_csv("log.csv")
    assert histories(read_log("log.csv")) == HISTORIES


# ---------------------------------------------------------------- headers


SECOND = {
    "as it was": "user,item,time",
    "capitals": "USER,Item,TIME",
    "mark": "\ufeffuser,item,time",
    "types": "user:token,item:token,time:float",
    "quoted": '"user","item","time"',
    "spaces": " user , item , time ",
    "other names": "user_id,movie_id,timestamp",
}


@pytest.mark.parametrize("kind", SECOND)
def test_a_second_header_is_refused_at_its_line(kind, way):
    lines = table().splitlines()
    content = "\n".join([*lines[:5], SECOND[kind], *lines[5:]])
    assert "line 6: the header again" in refused(written(content))


def test_a_second_header_of_a_table_without_times(way):
    assert "line 3: the header again" in refused(written("uid,iid\nu1,a\nUID,IID\nu2,b\n"))


def test_a_mark_within_the_file_is_refused(way):
    assert "line 3: a byte-order mark" in refused(written("user,item\nu1,a\n\ufeffu2,b\nu2,c\n"))


@pytest.mark.parametrize("first", ["0,1,2", "1,2,3", "0,7,5", "2019,2020,2021"])
def test_numbers_above_words_are_asked_about(first, way):
    message = refused(written(table(header=first)))
    assert "header=True or header=False" in message


@pytest.mark.parametrize(
    "content",
    [
        "client,book,1500000000\nclient,news,1500000001\nother,news,1500000002\n",
        "u1,news\nu1,sports\nu2,news\n",
        "u1,item,2020-01-01\nu1,track,2020-01-02\n",
    ],
)
def test_ids_that_are_names_of_columns_are_no_header_without_a_word(content, way):
    assert "may be a header or a row" in refused(written(content))
    assert read_log(written(content), header=False, user=1, item=2).tokens == content.count("\n")


@pytest.mark.parametrize("header", [True, False])
def test_numbers_above_words_when_told(header, way):
    path = written(table(header="0,1,2").replace(str(START // 10**6), ""), "log.csv")
    options = {"user": 1, "item": 2} if not header else {"user": "0", "item": "1"}
    log = read_log(path, header=header, **options)
    assert log.n_users == (3 if header else 4)


@pytest.mark.parametrize(
    "content",
    [
        "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,0\n",
        "1\t1500000001\tx\n1\t1500000002\ty\n",
        "1,a,01/02/2020\n1,b,03/02/2020\n",
        "1,2,3,4,5\n6,7,8,9,10\n",
    ],
)
def test_columns_without_a_header_that_are_not_as_usual_are_asked_about(content, way):
    assert "name them by number, as in user=1" in refused(written(content))


# ---------------------------------------------------------------- what else would go unseen


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("user,item\n'u1',a\n'u2',b\n", "2 ids have quotes around them"),
        ("user,item\n\u00a0u1,a\nu1,b\n", "1 ids begin or end with a character that is not seen"),
        ("user,item\nu1,1.23E+15\nu1,1.24E+15\n", "a spreadsheet may have rounded them"),
        ("user,item,date\nu1,a,2020-01-02\nu1,b,2020-01-01\n", "times: whole days"),
        ("user,item\n" + "-1,a\n" * 15 + "u,b\n" * 10, "-1 has 15 of 25 rows"),
        ("user,item\nu1,a \nu1,a\nu2,b\n", "spaces around ids are not part of them"),
    ],
)
def test_what_would_go_unseen_is_noted(content, told, tmp_path):
    assert any(told in note for note in read_log(written(content)).notes)


def test_times_that_a_spreadsheet_has_rounded_are_refused(way):
    assert "line 2: the time 1.5E+09 has lost digits" in refused(
        written(table(time=lambda t: "1.5E+09"))
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("1 -1 2 -1 -2\n3 -1 4 -1 5 -1 -2\n", "SPMF"),
        ("1 3:1 5:1\n2 4:1 7:1 8:1\n", "LIBSVM"),
    ],
)
def test_sequences_of_other_programs_are_named(content, told, way):
    assert told in refused(written(content))


# ---------------------------------------------------------------- missing users


@pytest.mark.parametrize("token", ["NA", "\\N", "nan", "null", "NULL", "None", "N/A"])
def test_ids_that_look_missing_are_noted(token, way):
    log = read_log(written(table().replace("u2", token)))
    assert log.n_users == 3
    assert any(f"3 of 9 rows have the user {token!r}" in note for note in log.notes)


@pytest.mark.parametrize("token", ["NA", "\\N", "nan", "null", "", " "])
@pytest.mark.parametrize("role", ["user", "item", "time"])
def test_drop_incomplete(token, role, way):
    part = {"user": "u2", "item": "d", "time": str(START + 4)}[role]
    left = {"user": 6, "item": 8, "time": 8}[role]
    log = read_log(written(table().replace(part, token)), drop_incomplete=True)
    assert log.tokens == left
    assert any(f"left out as incomplete: {9 - left} of 9" in note for note in log.notes)


@pytest.mark.parametrize("role", ["user", "item", "time"])
def test_blank_cells_are_refused(role, way):
    part = {"user": "u2", "item": "d", "time": str(START + 4)}[role]
    assert f"no {role}; fill it in or remove the row, or leave all such rows out" in refused(
        written(table().replace(part, ""))
    )


def test_missing_times_are_refused(way):
    assert "line 7: no time" in refused(written(table().replace(str(START + 4), "NA")))


def test_nothing_left_is_refused(way):
    assert "all of 2 rows are incomplete" in refused(
        written("user,item\nNA,a\n,b\n"), drop_incomplete=True
    )


# ---------------------------------------------------------------- ids beside names


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ("user,user_id,movie,movie_id", ("user_id", "movie_id")),
        ("userId,user,itemId,item", ("userId", "itemId")),
        ("customer,customer_id,product,product_id", ("customer_id", "product_id")),
        ("song,song_id,user,uid", ("uid", "song_id")),
    ],
)
def test_ids_are_preferred(names, chosen, way):
    columns = names.split(",")
    lines = [names]
    lines.extend(
        ",".join(f"id{row}" if name in chosen else "Alex" for name in columns) for row in range(4)
    )
    log = read_log(written("\n".join(lines)))
    assert log.n_users == 4
    assert log.n_items == 4


@pytest.mark.parametrize(
    ("content", "named"),
    [("u,v,w\nx,y,z\n", "time=3"), ("1,2,3,4,5\n6,7,8,9,1\n", "time=4")],
)
def test_no_column_is_suggested_that_is_not_there(content, named):
    assert named in refused(written(content), header=False)
