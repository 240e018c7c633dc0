"""The host as a process: probes, readiness, stops, refusals to start, and long batches."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.serving.bentos import (
    ROOT,
    TABLE_ROWS,
    Server,
    bentoml_client,
    end,
    make_tensor_bento,
    running_host,
    start_host,
    tensor_rows,
)

pytestmark = [
    # BentoML asks pathspec for a pattern by a name that has become old, and overrides a hook of pydantic's models.
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The `__get_pydantic_core_schema__` method:DeprecationWarning"),
]


def failed_start(folder: Path, *options: str) -> tuple[int, str]:
    """The exit code and stderr of a host that must not start."""
    process = start_host(folder, *options)
    try:
        out, err = process.communicate(timeout=60)
    finally:
        end(process)
    assert out == ""
    assert "Traceback" not in err
    return process.returncode, err


def test_probes_name_instance_model_and_version(tensor_host: Server) -> None:
    """Ready means warm, and says which process answers."""
    for path in ("/livez", "/healthz", "/readyz"):
        answer = tensor_host.client.get(path)
        assert answer.status_code == 200
        assert answer.json() == {"instance": "one", "model": "digits", "version": 7}


def test_the_page_and_its_document_come_from_bentoml(tensor_host: Server) -> None:
    """The application behind is loaded when it is first asked for."""
    page = tensor_host.client.get("/")
    assert page.status_code == 200
    assert "swagger" in page.text.lower()
    document = tensor_host.client.get("/docs.json").json()
    assert document["info"]["title"] == "digits"
    operation = document["paths"]["/predict"]["post"]
    rows = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["inputs"]
    shape = [rows["items"], rows["items"]["items"], rows["items"]["items"]["items"]]
    assert [(axis["minItems"], axis["maxItems"]) for axis in shape] == [(4, 4), (4, 4), (1, 1)]
    assert {"200", "400", "413", "415", "422"} <= set(operation["responses"])
    assert tensor_host.client.get("/nowhere").status_code == 404


def test_a_tables_document_shows_columns_and_what_may_be_missing(table_host: Server) -> None:
    """Types, limits, and `nullable` for the optional column only."""
    document = table_host.client.get("/docs.json").json()
    schema = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    row = schema["properties"]["inputs"]["items"]
    assert row["required"] == ["age", "job", "member"]
    assert row["additionalProperties"] is False
    assert {name: field["type"] for name, field in row["properties"].items()} == {
        "age": "integer",
        "income": "number",
        "job": "string",
        "member": "boolean",
    }
    assert [name for name, field in row["properties"].items() if field.get("nullable")] == ["income"]


def test_the_bentoml_client_calls_a_tensor_host(tensor_host: Server) -> None:
    """With an array or with lists; what comes back is an array again."""
    rows = tensor_rows(3)
    with bentoml_client(tensor_host.url) as client:
        given = client.predict(inputs=np.array(rows, np.float32))
        listed = client.predict(inputs=rows)
    assert given["model"] == "digits"
    assert given["version"] == 7
    np.testing.assert_array_equal(given["outputs"], listed["outputs"])
    np.testing.assert_array_equal(given["outputs"], np.array(tensor_host.predict(rows).json()["outputs"], np.float32))


def test_the_bentoml_client_calls_a_table_host(table_host: Server) -> None:
    """With records; an optional column may be missing."""
    with bentoml_client(table_host.url) as client:
        assert client.predict(inputs=TABLE_ROWS) == table_host.predict(TABLE_ROWS).json()


def test_metrics_tell_what_was_answered(tensor_bento: Path) -> None:
    """Over HTTP, in Prometheus' own content type."""
    with running_host(tensor_bento) as host:
        host.predict(tensor_rows(3))
        host.predict("nothing")
        answer = host.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'turnout_requests_total{model="digits",outcome="ok",version="7"} 1.0' in answer.text
    assert 'turnout_requests_total{model="digits",outcome="rejected",version="7"} 1.0' in answer.text
    assert 'turnout_batch_rows_sum{model="digits",version="7"} 3.0' in answer.text
    assert 'turnout_request_seconds_count{model="digits",version="7"} 2.0' in answer.text


def test_a_body_of_100_mb_is_a_413(tensor_host: Server) -> None:
    """Announced or not, over a real connection, and the client sees the answer."""

    def parts() -> object:
        for _ in range(100):
            yield b" " * 1_000_000

    announced = tensor_host.client.post("/predict", content=b" " * 100_000_000)
    assert (announced.status_code, announced.json()["error"]["type"]) == (413, "body_too_large")
    streamed = tensor_host.client.post("/predict", content=parts())  # type: ignore[arg-type]
    assert streamed.status_code == 413


def test_multipart_without_a_boundary_is_a_415(tensor_host: Server) -> None:
    """BentoML alone answers 500."""
    answer = tensor_host.client.post("/predict", content=b"--x", headers={"content-type": "multipart/form-data"})
    assert answer.status_code == 415


def test_a_refused_request_leaves_the_connection_usable(tensor_host: Server) -> None:
    """Wrong ones and right ones by turns, on one connection."""
    for _ in range(3):
        assert tensor_host.client.get("/predict").status_code == 405
        assert (
            tensor_host.client.post("/predict", content=b"x" * 5000, headers={"content-type": "a/b"}).status_code == 415
        )
        assert tensor_host.client.post("/predict", content=b"{").status_code == 400
        assert tensor_host.predict(tensor_rows(1)).status_code == 200


def in_flight(host: Server) -> bool:
    """Whether a prediction is being computed."""
    return 'turnout_requests_in_flight{model="digits",version="1"} 1.0' in host.client.get("/metrics").text


def test_a_long_batch_does_not_make_probes_and_small_requests_late(slow_bento: Path) -> None:
    """While one batch computes for seconds, /livez and a single row are answered, before the batch is."""
    with running_host(slow_bento) as host, ThreadPoolExecutor() as pool:
        batch = pool.submit(httpx.post, f"{host.url}/predict", json={"inputs": tensor_rows(800)}, timeout=120)
        while not in_flight(host):
            assert not batch.done()
        for _ in range(20):
            assert host.client.get("/livez").status_code == 200
        assert host.predict(tensor_rows(1)).status_code == 200
        assert not batch.done()
        assert len(batch.result().json()["outputs"]) == 800


def test_a_stop_lets_requests_in_flight_finish(slow_bento: Path) -> None:
    """SIGTERM within a batch: it is answered whole, then the process ends without complaint."""
    with running_host(slow_bento) as host, ThreadPoolExecutor() as pool:
        batch = pool.submit(httpx.post, f"{host.url}/predict", json={"inputs": tensor_rows(400)}, timeout=120)
        while not in_flight(host):
            assert not batch.done()
        assert host.stop() == 0
        assert len(batch.result().json()["outputs"]) == 400
        assert host.process.stderr is not None
        assert host.process.stderr.read() == ""


def test_a_stop_does_not_wait_beyond_its_deadline(slow_bento: Path) -> None:
    """A batch of many seconds is given up after the grace, and the process ends all the same."""
    with running_host(slow_bento, "--grace", "0.2") as host, ThreadPoolExecutor() as pool:
        batch = pool.submit(httpx.post, f"{host.url}/predict", json={"inputs": tensor_rows(3000)}, timeout=120)
        while not in_flight(host):
            assert not batch.done()
        assert host.stop() == 0
        answer = batch.result()
        assert answer.status_code == 503
        assert answer.headers["connection"] == "close"
        assert "stopping" in answer.json()["error"]["what"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_host_stops_at_once_without_complaint(tensor_bento: Path, number: signal.Signals) -> None:
    """Both signals, with the BentoML application loaded."""
    with running_host(tensor_bento) as host:
        host.client.get("/schema.json")
        host.process.send_signal(number)
        assert host.process.wait(30) == 0
        assert host.process.stderr is not None
        assert host.process.stderr.read() == ""


def test_a_unix_socket_serves_and_is_gone_after_the_stop(tensor_bento: Path, tmp_path: Path) -> None:
    """Only its owner may connect; a socket that a killed process left is taken over."""
    path = tmp_path / "host.sock"
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = start_host(tensor_bento, "--uds", str(path))
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert (said["level"], said["version"], said["message"].split(": ")[0]) == (
            "INFO",
            "digits@7",
            "digits@7 is ready",
        )
        assert str(path) in said["message"]
        assert path.stat().st_mode & 0o777 == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://host") as client:
            assert client.post("/predict", json={"inputs": tensor_rows(1)}).status_code == 200
            code, err = failed_start(tensor_bento, "--uds", str(path))
            assert (code, "another process does" in err) == (1, True)
        process.send_signal(number)
        process.communicate(timeout=30)
    assert not path.exists()


def test_a_taken_port_is_named(tensor_bento: Path) -> None:
    """One line, no traceback, exit code 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, err = failed_start(tensor_bento, "--port", str(port))
    assert code == 1
    assert f"ServeFailed: cannot listen on port {port} of 127.0.0.1: Address already in use" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--port", "70000"), "70000 is no port"),
        (("--host", "no.such.host.invalid"), "cannot listen on port 3000 of no.such.host.invalid"),
        (("--uds", "/nowhere/" + "x" * 200), "cannot listen on /nowhere/xxx"),
    ],
)
def test_an_impossible_place_is_named(tensor_bento: Path, options: tuple[str, ...], message: str) -> None:
    """One line, no traceback, exit code 1."""
    code, err = failed_start(tensor_bento, *options)
    assert code == 1
    assert message in err


def test_a_folder_that_is_no_bento_is_named(tmp_path: Path) -> None:
    """With the command that makes one."""
    code, err = failed_start(tmp_path)
    assert code == 1
    assert f"{tmp_path} is no bento" in err


def test_a_bento_whose_model_does_not_load_ends_the_host(tmp_path: Path) -> None:
    """It never says that it is ready."""
    folder = make_tensor_bento(tmp_path)
    (folder / "model" / "model.onnx").write_bytes(b"")
    code, err = failed_start(folder, "--port", "0")
    assert code == 1
    assert "ServeFailed: the model of digits@7 cannot be loaded" in err


def test_a_manifest_of_another_schema_ends_the_host(tmp_path: Path) -> None:
    """An older host does not guess."""
    folder = make_tensor_bento(tmp_path)
    manifest = folder / "turnout-model.json"
    manifest.write_text(manifest.read_text().replace('"schema": 1', '"schema": 99'))
    code, err = failed_start(folder, "--port", "0")
    assert code == 1
    assert "has the schema 99" in err


def test_a_built_bento_is_served_by_its_own_copy(tmp_path: Path) -> None:
    """An upgrade changes nothing in a packaged version: here its copy is told apart by a word of its own."""
    folder = make_tensor_bento(tmp_path / "digits" / "src")
    copy = folder / "pipelines" / "serving" / "host.py"
    copy.write_text(copy.read_text().replace(" is ready: POST", " is ready by its own copy: POST"))
    process = start_host(tmp_path / "digits", "--port", "0")
    assert process.stdout is not None
    line = process.stdout.readline()
    process.terminate()
    process.communicate(timeout=30)
    assert "digits@7 is ready by its own copy" in line


LOADED = """
import asyncio, json, sys
from pathlib import Path
from pipelines.serving.host import Host
from tests.serving.asgi import exchange

host = Host(Path(sys.argv[1]), "one", "nowhere")
host.replica.load()

async def main():
    body = json.dumps({"inputs": json.loads(sys.argv[2])}).encode()
    found = [await exchange(host.app, [body], {}, "POST", "/predict")]
    found += [await exchange(host.app, [b""], {}, "GET", path) for path in ("/readyz", "/metrics", *sys.argv[3:])]
    await host._late.stop()
    return [answer.status for answer in found]

statuses = asyncio.run(main())
print(json.dumps([statuses, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
HEAVY = {"mlflow", "papermill", "pandas", "tensorflow", "keras", "torch", "sklearn", "matplotlib", "onnx", "IPython"}


def loaded(bento: Path, row: object, *paths: str) -> set[str]:
    """What a process has imported after it served that row and those paths of an ONNX bento."""
    command = [sys.executable, "-c", LOADED, str(bento), json.dumps([row]), *paths]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    statuses, modules = json.loads(done.stdout)
    assert set(statuses) == {200}
    return set(modules)


def test_serving_an_onnx_bento_loads_no_training_framework(tensor_bento: Path, table_bento: Path) -> None:
    """Predictions, probes and metrics need neither BentoML nor any framework."""
    assert loaded(tensor_bento, tensor_rows(1)[0]).isdisjoint(HEAVY | {"bentoml"})
    assert loaded(table_bento, TABLE_ROWS[0]).isdisjoint(HEAVY | {"bentoml"})


def test_its_page_needs_bentoml_and_no_training_framework(tensor_bento: Path) -> None:
    """Also with the BentoML application loaded."""
    modules = loaded(tensor_bento, tensor_rows(1)[0], "/docs.json", "/schema.json", "/")
    assert "bentoml" in modules
    assert modules.isdisjoint(HEAVY)
