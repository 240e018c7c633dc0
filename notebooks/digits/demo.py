"""`make demo`: the digits classifier from its notebooks into production and back, with the commands one would type."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TURNOUT = str(Path(sys.executable).with_name("turnout"))
ROWS = 8


def turnout(*arguments: str, codes: tuple[int, ...] = (0,)) -> float:
    """Run one command, shown as it is typed, and return the seconds it took; end the demo when it fails."""
    print(f"\n$ turnout {shlex.join(arguments)}", flush=True)
    started = time.monotonic()
    code = subprocess.run([TURNOUT, *arguments], cwd=ROOT, check=False).returncode
    took = time.monotonic() - started
    if code not in codes:
        sys.exit(f"\nThe demo ends here: turnout {shlex.join(arguments)} ended with exit code {code}.")
    print(f"  ({took:.1f} s)", flush=True)
    return took


def turnout_json(*arguments: str) -> Any:
    """The JSON document of a command."""
    done = subprocess.run([TURNOUT, *arguments, "--json"], cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def predict(url: str, rows: list[Any]) -> dict[str, Any]:
    """POST the rows to the model."""
    body = json.dumps({"inputs": rows}).encode()
    request = urllib.request.Request(f"{url}/predict", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer), header=answer.headers["x-model-version"])


class Visitors:
    """A little load: a few requests a second, counted by the version that answered."""

    def __init__(self, url: str, rows: list[Any]) -> None:
        self._url, self._rows = url, rows
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.seen: list[tuple[float, str]] = []
        """When each request began, and which version answered, or why it failed."""

    def _ask(self) -> None:
        while not self._over.wait(0.02):
            started = time.monotonic()
            try:
                answered = predict(self._url, self._rows)["header"]
            except (urllib.error.URLError, OSError) as error:
                answered = f"failed: {error}"
            self.seen.append((started, answered))

    @contextlib.contextmanager
    def coming(self) -> Iterator[None]:
        """While the context lasts."""
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join(timeout=30)

    def wait_for(self, ref: str, count: int) -> None:
        """Until the version has given so many answers."""
        deadline = time.monotonic() + 60
        while sum(answered == ref for _, answered in self.seen) < count and time.monotonic() < deadline:
            time.sleep(0.05)

    def report(self, since: float) -> str:
        """Who answered how many requests that began since then."""
        counts = Counter(answered for started, answered in self.seen if started > since)
        failed = sum(count for answered, count in counts.items() if answered.startswith("failed"))
        shares = ", ".join(f"{ref} {count}" for ref, count in sorted(counts.items()) if not ref.startswith("failed"))
        return f"{shares}; failed {failed}"


def wait_until_champion(ref: str) -> None:
    """Until the version has passed its bake, which is short here."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        versions = turnout_json("status", "digits")["models"]["digits"]["versions"]
        if versions.get(ref, {}).get("role") == "champion":
            return
        time.sleep(0.5)
    sys.exit(f"{ref} did not become the champion.")


def compare(ref: str, url: str) -> list[Any]:
    """Ask for held-out images over HTTP, compare with what the Keras model said of them, and return one of them."""
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    import mlflow
    import numpy as np
    import pandas as pd

    mlflow.set_tracking_uri(f"sqlite:///{ROOT / '.turnout' / 'mlflow.db'}")
    model, _, number = ref.partition("@")
    tags = mlflow.MlflowClient().get_model_version(model, number).tags
    run = tags["turnout.validation_run_id"]
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run, artifact_path="validation"))
    images = np.load(folder / "inputs.npy")[:ROWS]
    table = pd.read_parquet(folder / "predictions.parquet").head(ROWS)
    original = table[[f"probability_{digit}" for digit in range(10)]].to_numpy()

    answer = predict(url, images.tolist())
    served = np.asarray(answer["outputs"])
    print(f"\n$ curl -X POST {url}/predict -H 'content-type: application/json' -d '{{\"inputs\": [...]}}'")
    print(f"  answered by      {answer['header']}")
    print(f"  true digits      {table['label'].tolist()}")
    print(f"  served over HTTP {served.argmax(axis=1).tolist()}")
    print(f"  original Keras   {original.argmax(axis=1).tolist()}")
    difference = float(np.abs(served - original).max())
    print(f"  largest difference of any probability: {difference:.1e}")
    if difference > 1e-4 or (served.argmax(axis=1) != original.argmax(axis=1)).any():
        sys.exit("The served answers differ from the original model's.")
    return list(images[:1].tolist())


def shipped(epochs: int) -> str:
    """Bring a version of so many epochs to its bento; its REF."""
    turnout("ship", "digits", "-p", "epochs", str(epochs))
    versions = turnout_json("versions", "digits")["versions"]
    return next(str(one["ref"]) for one in versions if one["package"] and one["parameters"]["epochs"] == epochs)


def bad_version() -> str:
    """A version that has hardly learned: its gates fail, so that only force packages it."""
    turnout("train", "digits", "-p", "epochs", "1", "-p", "learning_rate", "0.00001")
    ref = str(turnout_json("versions", "digits")["versions"][0]["ref"])
    turnout("validate", ref, codes=(1,))
    turnout("package", ref, "--force", "--reason", "the demo needs a bad version")
    return ref


def forward(url: str, image: list[Any]) -> str:
    """A second version: a canary at 10 %, then everything."""
    second = shipped(epochs=12)
    visitors = Visitors(url, image)
    with visitors.coming():
        took = turnout("deploy", second, "--canary", "10")
        moment = time.monotonic()
        visitors.wait_for(second, 5)
        print(f"  {second} was started beside the live version and has 10 % of the traffic, after {took:.1f} s.")
        print(f"  Answers since: {visitors.report(moment)}.")
        took = turnout("promote", "digits")
        moment = time.monotonic()
        visitors.wait_for(second, 50)
    print(f"  {second} carries the traffic after {took:.1f} s. Answers since: {visitors.report(moment)}.")
    wait_until_champion(second)
    print(f"  {second} has passed its bake (`rollout.bake_minutes`) and is the champion.")
    return second


def back(url: str, image: list[Any]) -> None:
    """A bad version, and the roll back."""
    bad = bad_version()
    visitors = Visitors(url, image)
    with visitors.coming():
        turnout("deploy", bad, "--canary", "50")
        moment = time.monotonic()
        visitors.wait_for(bad, 20)
        print(f"  {bad} answers half of the requests, and badly. Answers since: {visitors.report(moment)}.")
        begun = time.monotonic()
        took = turnout("rollback", "digits", "--reason", "wrong digits")
        moment = time.monotonic()
        time.sleep(1)
    late = [started for started, answered in visitors.seen if answered == bad and started > begun]
    last = max(late, default=begun) - begun
    print(f"  Rolled back in {took:.1f} s; the last request of {bad} began {last * 1000:.0f} ms after the command.")
    print(f"  Answers since: {visitors.report(moment)}. {bad} is quarantined.")


def main() -> None:
    """The whole line, then into production and back."""
    started = time.monotonic()
    first = shipped(epochs=8)
    turnout("deploy", first, "--canary", "100")
    wait_until_champion(first)
    url = str(turnout_json("status", "digits")["models"]["digits"]["url"])
    image = compare(first, url)
    print(f"\nFrom the notebooks to this answer: {time.monotonic() - started:.0f} s. The OpenAPI page is {url}/")
    try:
        forward(url, image)
        back(url, image)
        turnout("status", "digits")
        print("\nWhat to try next:")
        for command, purpose in (
            (f"{url}/", "the OpenAPI page, with a try-it-out, in a browser"),
            (".venv/bin/turnout history digits", "who did what"),
            (".venv/bin/turnout versions digits --json", "every version, for a program"),
            ("make lab", "the notebooks in JupyterLab"),
        ):
            print(f"  {command:46} {purpose}")
        if sys.stdout.isatty():
            input(f"\nStill serving at {url}. Enter ends it. ")
    except (KeyboardInterrupt, EOFError):
        print()
    finally:
        turnout("down", "--yes")


if __name__ == "__main__":
    main()
