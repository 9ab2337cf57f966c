"""Takes a stream of rows: one row in, and an answer out when one is due."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import EngineError, InputError
from edge_runtime.inference.classifier import Classifier
from edge_runtime.inference.prediction import Estimate, Prediction
from edge_runtime.inference.predictor import AnswerT, Predictor, SelfT
from edge_runtime.inference.raw_windows import checked_row
from edge_runtime.inference.regressor import Regressor
from edge_runtime.model_file.metadata import STEP, Metadata
from edge_runtime.model_file.read_file import read_model_file


class StreamingPredictor(AbstractContextManager["StreamingPredictor[AnswerT]"], Generic[AnswerT]):
    """A converted model of any task that takes one row after the other: see StreamingClassifier."""

    _kind: type[Predictor[AnswerT]] = Predictor

    rows: int
    """How many rows came in since the start or the last `reset`."""

    def __init__(
        self,
        path: str | Path,
        *,
        hop: int = 1,
        restart: bool = False,
        threads: int = 1,
        engine: str = "auto",
        verify: bool = False,
        shared_weights: bool = False,
        trust: bool = False,
    ) -> None:
        if not isinstance(hop, int) or hop < 1:
            raise InputError(f"--hop: expected a whole number of rows, at least 1, found {hop!r}.")
        if restart:
            _check_graph(path, trust=trust)
        self._predictor = self._kind(
            path,
            threads=threads,
            engine=engine,
            verify=verify,
            shared_weights=shared_weights,
            trust=trust,
        )
        self._hop, self._restart = hop, restart
        self._lock = Lock()
        self._pixels = self.spec.normalization.dtype == "uint8"
        self._in_steps = self.spec.graph == STEP
        self._start()

    @property
    def spec(self) -> Metadata:
        """The metadata of the model file."""
        return self._predictor.spec

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the outputs, which are a classifier's classes."""
        return self.spec.labels

    def push(self, row: Any) -> AnswerT | None:
        """Take one raw row; the answer that is due after it, or None.

        Warns about float rows up to 1 where the model was trained on pixels of 0 to 255.

        Args:
            row: uint8 or float (any integer as well, if the model was not trained on uint8),
                `[features]`, in the unit of the training data.

        Raises:
            InputError: Wrong shape or dtype, NaN, infinity or too large numbers. Such a row does not
                count, and the stream is what it was before. In an unrolled float file, a window of huge
                numbers may also give no finite logits; its rows count, or the window could never move
                on.
            EngineError: The engine fails, or the stream is closed.
        """
        with self._lock:
            self._check_open()
            raw = checked_row(row, self.spec.features, integers=not self._pixels)
            return self._step(raw) if self._in_steps else self._slide(raw)

    def reset(self) -> None:
        """Forget all rows. Raises EngineError when the stream is closed."""
        with self._lock:
            self._check_open()
            self._start()

    def _check_open(self) -> None:
        if self._predictor.closed:
            raise EngineError(f"{self._predictor.path}: the stream is closed")

    def _start(self) -> None:
        self.rows = 0
        self._largest = 0.0
        if not self._in_steps:
            dtype = np.uint8 if self._pixels else np.float32
            self._twice = np.zeros((2 * self.spec.steps, self.spec.features), dtype)

    def _step(self, raw: NDArray[Any]) -> AnswerT | None:
        steps = self.spec.steps
        from_zero = self.rows % steps == 0 if self._restart else self.rows == 0
        outputs = self._predictor.step(raw, restart=from_zero)
        self.rows += 1
        if self._pixels and self.rows <= steps:
            self._watch_unit(raw)
        if self.rows % self._hop:
            return None
        return self._predictor.answer(outputs)

    def _watch_unit(self, raw: NDArray[Any]) -> None:
        """Warn as Predictor does, but for a whole window: one row of a picture may well be dark."""
        self._largest = max(self._largest, np.inf if raw.dtype == np.uint8 else float(raw.max()))
        if self.rows == self.spec.steps and 0 < self._largest <= 1:
            warnings.warn(
                "float rows with values up to 1, but the model was trained on 0 to 255", stacklevel=4
            )

    def _slide(self, raw: NDArray[Any]) -> AnswerT | None:
        """Every row is stored twice, `steps` rows apart, so the last `steps` rows are contiguous."""
        steps = self.spec.steps
        self.spec.normalization.apply(raw)  # refuses the row now, not a window with it in it later
        if raw.dtype != np.uint8 and self._twice.dtype == np.uint8:
            self._twice = self._twice.astype(np.float32)  # what the classifier makes of any number
        place = self.rows % steps
        self._twice[place] = self._twice[place + steps] = raw
        self.rows += 1
        if self.rows < steps or (self.rows - steps) % self._hop:
            return None
        outputs = self._predictor.outputs(self._twice[place + 1 : place + 1 + steps])
        return self._predictor.answer(outputs[0])

    def close(self) -> None:
        """Free the engine. A closed stream answers EngineError; closing twice is fine."""
        self._predictor.close()

    def __reduce__(self) -> Any:
        return self._predictor.__reduce__()  # says why it cannot be pickled or copied

    def __enter__(self: SelfT) -> SelfT:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class StreamingClassifier(StreamingPredictor[Prediction]):
    """A converted model that takes one row after the other.

    An unrolled file predicts from the last `steps` rows: first after `steps` rows, then after every
    `hop` rows. The predictions are those of Classifier.predict on the same windows, bit for bit.

    A step file computes once a row and keeps its states, so memory is constant whatever the number of
    steps. After every `hop` rows it predicts from all rows since `reset`. Its proof covers `steps` rows
    from zero states, no more. `restart` sets the states to zero after every `steps` rows, so that the
    proof covers every prediction: these are Classifier.logits_by_row of consecutive windows.

    Any number of threads may use one instance: a lock lets them in one after the other.

    Example:
        import numpy as np
        from edge_runtime import StreamingClassifier

        with StreamingClassifier("model.tflite", hop=4) as stream:
            for row in np.load("rows.npy"):  # [features] each, in the unit of the training data
                prediction = stream.push(row)
                if prediction is not None:
                    print(stream.rows, prediction.label)

    Args:
        path: A file written by `edge-rnn convert`.
        hop: Number of rows from one prediction to the next, at least 1.
        restart: Start from zero states again after every `steps` rows. For step files only.
        threads: Number of threads of the engine, 1 to 1024.
        engine: As for Classifier.
        verify: Run the probes that the file carries before the first row.
        shared_weights: As for Classifier.
        trust: As for Classifier.

    Raises:
        InputError: `hop` is below 1, or `restart` is set for an unrolled file.
        ModelError: As Classifier.
        EngineError: As Classifier.
        VerificationError: As Classifier.
    """

    _kind = Classifier


class StreamingRegressor(StreamingPredictor[Estimate]):
    """A converted regression or embedding that takes one row after the other, as a StreamingClassifier.

    Example:
        import numpy as np
        from edge_runtime import StreamingRegressor

        with StreamingRegressor("forecast.tflite", hop=4) as stream:
            for row in np.load("rows.npy"):  # [features] each, in the unit of the training data
                estimate = stream.push(row)
                if estimate is not None:
                    print(stream.rows, estimate.outputs)

    Args:
        path: A file written by `edge-rnn convert` whose task is regression or embedding.
        hop: As for StreamingClassifier, and so are the other arguments.

    Raises:
        InputError: As StreamingClassifier.
        ModelError: As Regressor.
        EngineError: As Classifier.
        VerificationError: As Classifier.
    """

    _kind = Regressor


def _check_graph(path: str | Path, *, trust: bool) -> None:
    """Raises InputError for an unrolled file, before an engine is opened, which prints things."""
    if read_model_file(path, trust=trust).metadata.graph != STEP:
        raise InputError(
            f"{path}: --restart is for step files. Every window of this unrolled file starts from zero "
            "states anyway."
        )
