"""Logs by name, against a publisher on this machine that also fails in every way."""

import hashlib
import io
import os
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from perflaw.errors import InputError
from perflaw.logs import datasets
from perflaw.logs.datasets import Source

RATINGS = "1::10::5::978300760\n1::20::3::978302109\n2::10::4::978301968\n"


def archive(member="ml-x/ratings.dat", content=RATINGS):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        packed.writestr(member, content)
    return buffer.getvalue()


@pytest.fixture
def publisher(tmp_path, monkeypatch):
    """Serves `published.body`; counts requests. The log is called ml-x, the cache is empty."""

    class Published(BaseHTTPRequestHandler):
        body, short, requests = archive(), False, 0

        def do_GET(self):
            Published.requests += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(Published.body)))
            self.end_headers()
            self.wfile.write(
                Published.body[: len(Published.body) // 2] if Published.short else Published.body
            )

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Published)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/ml-x.zip"
    checksum = "md5:" + hashlib.md5(Published.body).hexdigest()
    monkeypatch.setattr(datasets, "SOURCES", {"ml-x": Source(url, checksum, "ml-x/ratings.dat")})
    monkeypatch.setenv("PERFLAW_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PERFLAW_DATA", raising=False)
    yield Published
    server.shutdown()
    server.server_close()


def cached(tmp_path):
    return sorted(path.name.split("-")[0] + path.suffix for path in (tmp_path / "cache").glob("*"))


def test_downloaded_once_converted_once(publisher, tmp_path):
    log = datasets.load_log("ml-x")
    assert (log.n_users, log.tokens, log.name) == (2, 3, "ml-x")
    assert log.timestamps[0] == 978300760
    assert cached(tmp_path) == ["ml.parquet", "ml.zip"]
    (tmp_path / "cache" / "ml-x.zip").unlink()
    assert datasets.load_log("ml-x").hash == log.hash
    assert publisher.requests == 1


def test_an_archive_put_there_by_hand_is_used(publisher, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "ml-x.zip").write_bytes(publisher.body)
    assert datasets.load_log("ml-x").tokens == 3
    assert publisher.requests == 0


def refused(told):
    with pytest.raises(InputError, match=told) as caught:
        datasets.load_log("ml-x")
    message = str(caught.value)
    assert "\n" not in message
    assert "put it, as ml-x.zip, into" in message


def test_wrong_checksum(publisher, tmp_path):
    good = publisher.body
    publisher.body = archive(content=RATINGS * 2)
    refused("is not the published file")
    assert cached(tmp_path) == []
    publisher.body = good
    assert datasets.load_log("ml-x").tokens == 3


def test_half_finished_download(publisher, tmp_path):
    publisher.short = True
    refused("could not be downloaded|is not the published file")
    assert cached(tmp_path) == []
    publisher.short = False
    assert datasets.load_log("ml-x").tokens == 3


def test_without_the_internet(publisher, tmp_path, monkeypatch):
    closed = Source("http://127.0.0.1:9/ml-x.zip", "md5:0", "ml-x/ratings.dat")
    monkeypatch.setattr(datasets, "SOURCES", {"ml-x": closed})
    refused("ml-x is not here and could not be downloaded")
    assert cached(tmp_path) == []


@pytest.mark.parametrize(
    "body", [archive("../../ratings.dat"), archive("/etc/ratings.dat"), b"PK not a zip"]
)
def test_archives_that_do_not_hold_the_log(publisher, tmp_path, monkeypatch, body):
    publisher.body = body
    source = datasets.SOURCES["ml-x"]._replace(checksum="md5:" + hashlib.md5(body).hexdigest())
    monkeypatch.setattr(datasets, "SOURCES", {"ml-x": source})
    refused("does not hold ml-x/ratings.dat")
    assert cached(tmp_path) == [
        "ml.zip"
    ]  # the archive is as published; nothing was written from it
    assert not (tmp_path / "ratings.dat").exists()
    assert not os.path.exists("/etc/ratings.dat")


def test_a_failed_conversion_leaves_nothing(publisher, tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "ml-x.zip").write_bytes(publisher.body)
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(InputError, match=r"ml-x could not be converted in .* \(disk full\)"):
        datasets.load_log("ml-x")
    monkeypatch.undo()
    assert not list((tmp_path / "cache").glob("*.parquet*"))


# ---------------------------------------------------------------- your folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "shop.csv").write_text("user,item\nu,a\nu,b\n")
    (tmp_path / "shop.tsv.gz").write_bytes(b"")
    (tmp_path / "u.data").write_text("1\t2\t3\t900000000\n")
    (tmp_path / "shop.items.parquet").write_text("")
    (tmp_path / "notes.md").write_text("")
    (tmp_path / "nested.csv").mkdir()
    monkeypatch.setenv("PERFLAW_DATA", str(tmp_path))
    return tmp_path


def test_names_of_a_folder(folder):
    assert datasets.available_logs() == ["synthetic", "shop", "shop.tsv.gz", "u"]
    assert (
        datasets.load_log("shop").hash
        == datasets.load_log("shop.csv").hash
        == datasets.load_log(folder / "shop.csv").hash
    )
    assert datasets.load_log("u").name == "u"


def test_a_local_log_comes_before_a_download(folder, monkeypatch):
    (folder / "ml-100k.csv").write_text("user,item\nu,a\n")
    assert datasets.load_log("ml-100k").tokens == 1


def test_synthetic_is_always_there(monkeypatch):
    monkeypatch.setenv("PERFLAW_DATA", "/nowhere/at/all")
    assert datasets.load_log("synthetic").n_users == 2_000
    with pytest.raises(InputError, match="PERFLAW_DATA is /nowhere/at/all, which is no folder"):
        datasets.load_log("shop")


def test_unknown_names(folder):
    for name, told in (
        (
            "nonesuch",
            "there is no log 'nonesuch': name a file, or one of synthetic, ml-100k, ml-1m;"
            " the folder PERFLAW_DATA has shop",
        ),
        ("nonesuch.csv", "nonesuch.csv does not exist"),
        (str(folder), "is a folder"),
    ):
        with pytest.raises(InputError, match=told):
            datasets.load_log(name)
    with pytest.raises(InputError, match="synthetic is known; user= is for files of your own"):
        datasets.load_log("synthetic", user="who")
