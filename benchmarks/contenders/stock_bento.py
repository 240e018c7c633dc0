"""A BentoML service around the Keras model, as BentoML's documentation writes one; `bentoml serve` runs it.

It calls the model itself: `model.predict`, made for large batches, takes about twenty times as long for one image.
"""

from __future__ import annotations

import os

import bentoml
import numpy as np


@bentoml.service
class Digits:
    """Answers with the probability of each digit."""

    def __init__(self) -> None:
        import keras

        self.model = keras.saving.load_model(os.environ["BENCHMARK_KERAS_MODEL"])

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, images: np.ndarray) -> np.ndarray:
        """Images of shape (n, 8, 8, 1) to probabilities of shape (n, 10)."""
        return np.asarray(self.model(images.astype(np.float32)))
