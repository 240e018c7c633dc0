"""Trains the network that every contender serves, in a process of its own: `python -m benchmarks.train FOLDER`.

It leaves in FOLDER: `model.keras`; `mlflow/`, the MLflow model that Turnout packages; `mlflow-exported/`, the one that
`mlflow models serve` gets; `rows.npy`, held-out images, float32 of shape (n, 8, 8, 1), pixels 0 to 16; and
`expected.npy`, what Keras itself answers for them, float32 of shape (n, 10).
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

HELD_OUT = 200


def network() -> Any:
    """The convolutional network of the digits example, uncompiled."""
    from keras import Sequential, layers

    return Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            layers.Rescaling(1 / 16),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def train(folder: Path) -> None:
    """Train on all but the held-out rows and write the files."""
    import keras
    import mlflow.keras
    import numpy as np
    from mlflow.models import infer_signature
    from sklearn.datasets import load_digits

    keras.utils.set_random_seed(7)
    digits = load_digits()
    images = digits.images[..., None].astype(np.float32)
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[:-HELD_OUT], digits.target[:-HELD_OUT], batch_size=64, epochs=15, verbose=0)

    rows = images[-HELD_OUT:]
    expected = np.asarray(model(rows), np.float32)
    np.save(folder / "rows.npy", rows)
    np.save(folder / "expected.npy", expected)
    model.save(folder / "model.keras")
    said: dict[str, Any] = {
        "signature": infer_signature(rows, expected),
        "pip_requirements": [f"{name}=={version(name)}" for name in ("keras", "tensorflow", "numpy")],
    }
    mlflow.keras.save_model(model, str(folder / "mlflow"), **said)
    # An exported model answers through its `serve` signature, not through `predict`, which is many times slower.
    mlflow.keras.save_model(model, str(folder / "mlflow-exported"), save_exported_model=True, **said)
    accuracy = float((expected.argmax(1) == digits.target[-HELD_OUT:]).mean())
    print(f"trained; {accuracy:.3f} of {HELD_OUT} held-out digits are recognised")


if __name__ == "__main__":
    train(Path(sys.argv[1]))
