"""The classifier: raw windows in, labels, probabilities and logits out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from edge_runtime.engine import SHARED_WEIGHTS, choose_engine, open_interpreter
from edge_runtime.errors import EngineError, InputError, ModelError, reason
from edge_runtime.metadata import STEP, Metadata, read_model_file
from edge_runtime.normalization import checked_windows
from edge_runtime.probes import Verification, demand, read_probes, verify_probes
from edge_runtime.shared_weights import why_not_shared
from edge_runtime.step_model import StepModel, shapes_of_step
from edge_runtime.tensor_types import check_ends
from edge_runtime.tensors import InputTensor, LogitsTensor


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one window."""

    index: int
    """Position of the predicted class among `labels`."""
    logits: NDArray[np.float32]
    """The network's output before softmax, float32 `[classes]`."""
    labels: tuple[str, ...]
    """The names of all classes."""

    @property
    def label(self) -> str:
        """The name of the predicted class."""
        return self.labels[self.index]

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Softmax of the logits, float32 `[classes]`, in the order of the labels."""
        exponentials = np.exp(self.logits - self.logits[self.index])
        result: NDArray[np.float32] = exponentials / exponentials.sum()
        return result


class Classifier:
    """A converted model, loaded into an engine.

        with Classifier("mnist-int8.tflite") as classifier:
            print(classifier.predict(window).label)

    `path`: a file written by `edge-rnn convert`. `threads`: of the engine. `engine`: "auto" (the
    fastest TFLite engine installed), "ai-edge-litert", "tflite-runtime" or "numpy" (needs no TFLite
    engine, slow). `spec` is everything the file says of itself. `verify`: run the file's probes first.
    `shared_weights`: keep one packed copy of each matrix instead of one for every step: faster, less
    memory; for every precision but int16x8, on ai-edge-litert 2.1.6 or newer
    (edge_runtime.shared_weights). `trust`: load the model even if it is not the one whose SHA-256 the
    file records; an engine may crash on a damaged one.

    Any number of threads may use one instance: a lock lets them in one after the other. To compute at
    the same time, open one instance per thread (edge_runtime.pool). An instance cannot be pickled.

    Raises ModelError for a file that cannot be used, EngineError when no engine is there or the engine
    refuses the model, and VerificationError when `verify` finds that it computes something else.
    """

    spec: Metadata

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int = 1,
        engine: str = "auto",
        verify: bool = False,
        shared_weights: bool = False,
        trust: bool = False,
    ) -> None:
        kernels = SHARED_WEIGHTS if shared_weights else "default"
        self._open(path, engine=engine, threads=threads, kernels=kernels, trust=trust)
        if verify:
            demand(self.verify())

    @classmethod
    def with_kernels(cls, path: str | Path, *, engine: str, kernels: str) -> Classifier:
        """A classifier on a given implementation of the operators, for proofs (see engine.KERNELS)."""
        classifier = cls.__new__(cls)
        classifier._open(path, engine=engine, threads=1, kernels=kernels, trust=False)
        return classifier

    def _open(self, path: str | Path, *, engine: str, threads: int, kernels: str, trust: bool) -> None:
        file = read_model_file(path, trust=trust)
        self.spec, self.path = file.metadata, str(path)
        self._file = replace(file, flatbuffer=b"")  # the engine has it
        self.engine = choose_engine(engine)
        if kernels == SHARED_WEIGHTS and not self.spec.shared_weights:
            raise EngineError(f"{path}: {why_not_shared(self.spec)}")
        try:
            self._interpreter: Any = open_interpreter(
                file.flatbuffer, engine=self.engine, threads=threads, kernels=kernels
            )
        except EngineError as error:
            raise EngineError(f"{path}: {error}") from error
        check_ends(self._interpreter, 1 + len(self.spec.states), self.path)
        self._lock = Lock()
        self._window_shape = (self.spec.steps, self.spec.features)
        self._pixels = self.spec.normalization.dtype == "uint8"
        if self.spec.graph == STEP:
            self._step_model: StepModel | None = self._checked_step_model()
        else:
            self._step_model = None
            self._prepare_window()

    def _checked_step_model(self) -> StepModel:
        inputs, outputs = shapes_of_step(self._interpreter)
        expected = ([1, self.spec.features], [1, len(self.labels)], len(self.spec.states))
        found = (inputs[0], outputs[0], len(inputs) - 1)
        if found != expected or inputs[1:] != outputs[1:]:
            raise ModelError(
                f"{self.path}: metadata and model disagree: expected a row {expected[0]}, logits "
                f"{expected[1]} and {expected[2]} states, found inputs {inputs} and outputs {outputs}"
            )
        return StepModel(self._interpreter, self.spec.normalization)

    def _prepare_window(self) -> None:
        source = self._interpreter.get_input_details()[0]
        result = self._interpreter.get_output_details()[0]
        expected_input = [1, self.spec.steps, self.spec.features]
        expected_output = [1, len(self.labels)]
        found_input, found_output = list(source["shape"]), list(result["shape"])
        if found_input != expected_input or found_output != expected_output:
            raise ModelError(
                f"{self.path}: metadata and model disagree: expected input {expected_input} and "
                f"output {expected_output}, found {found_input} and {found_output}"
            )
        self._source_index, self._result_index = source["index"], result["index"]
        self._source = InputTensor(source, self.spec.normalization)
        self._result = LogitsTensor(result)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes' names, in the order of the logits."""
        return self.spec.labels

    def predict(self, windows: Any) -> Prediction | list[Prediction]:
        """Classify raw windows, in the unit of the training data (MNIST: 0 to 255).

        `windows`: uint8 or float (a model that was not trained on uint8 takes any integer, too),
        `[steps, features]` for one Prediction, or `[N, steps, features]` for a list of N. Raises
        InputError for a wrong shape or dtype, NaN, infinity or too large numbers, and EngineError when
        the engine fails.
        Warns of float windows up to 1 where the model was trained on pixels of 0 to 255.
        """
        batch, labels = self.logits(windows), self.spec.labels
        predictions = [Prediction(int(logits.argmax()), logits, labels) for logits in batch]
        return predictions[0] if np.ndim(windows) == 2 else predictions

    def logits(self, windows: Any, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """The logits of raw windows, float32 `[N, classes]` (N = 1 for a single window).

        Takes and raises what `predict` does. `out`: an array of that shape and dtype to fill and
        return, instead of a new one; InputError for another one. Nothing is allocated per window
        but what the engine itself allocates.
        """
        batch = self._checked(windows)
        shape = (len(batch), len(self.spec.labels))
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape or out.dtype != np.float32:
            raise InputError(f"out is {out.dtype}{list(out.shape)}: expected float32{list(shape)}")
        with self._lock:
            run = self._running()
            for logits, window in zip(out, batch):
                run(window, logits)
        return out

    def _checked(self, windows: Any) -> Sequence[NDArray[Any]] | NDArray[Any]:
        """The windows one by one, sound in shape and dtype."""
        if (
            type(windows) is np.ndarray
            and windows.shape == self._window_shape
            and windows.dtype == (np.uint8 if self._pixels else np.float32)
        ):
            return (windows,)
        batch = checked_windows(windows, *self._window_shape, integers=not self._pixels)
        if self._pixels and batch.dtype != np.uint8 and batch.size and 0 < batch.max() <= 1:
            warnings.warn(
                "float windows with values up to 1, but the model was trained on 0 to 255", stacklevel=3
            )
        return batch

    def verify(self) -> Verification:
        """Run the probes that the file carries in this engine; truthy when all came out as expected.

        Raises ModelError for a file without probes, or with damaged ones.
        """
        probes = read_probes(self._file, self.path)
        if probes is None:
            raise ModelError(
                f"{self.path}: carries no probes, so it cannot be verified: it was written by an older "
                "edge-rnn (convert it again)"
            )
        return verify_probes(self, probes)

    def _running(self) -> Callable[[NDArray[Any], NDArray[np.float32]], None]:
        """What computes the logits of a raw window. Raises EngineError when the classifier is closed."""
        if self._interpreter is None:
            raise EngineError(f"{self.path}: the classifier is closed")
        return self._run if self._step_model is None else self._run_steps

    def _run(self, window: NDArray[Any], logits: NDArray[np.float32]) -> None:
        interpreter = self._interpreter
        self._source.fill(window)
        try:
            interpreter.set_tensor(self._source_index, self._source.values)
            interpreter.invoke()
            output = interpreter.get_tensor(self._result_index)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise EngineError(f"{self.path}: {self.engine} failed: {reason(error)}") from error
        self._result.read(output[0], logits)

    def _run_steps(self, window: NDArray[Any], logits: NDArray[np.float32]) -> None:
        logits[:] = self._logits_by_row(window)[-1]

    def logits_by_row(self, windows: Any) -> NDArray[np.float32]:
        """The logits after every row of raw windows, float32 `[N, steps, classes]`, of a step file.

        Takes and raises what `predict` does, and raises ModelError for a file that is not a single step.
        """
        batch = self._checked(windows)
        with self._lock:
            self._running()
            if self._step_model is None:
                raise ModelError(f"{self.path}: takes whole windows: --graph step makes a file for rows")
            return np.stack([self._logits_by_row(window) for window in batch])

    def _logits_by_row(self, window: NDArray[Any]) -> NDArray[np.float32]:
        assert self._step_model is not None
        try:
            return self._step_model.logits_by_row(window)
        except InputError:
            raise
        except (RuntimeError, ValueError, MemoryError) as error:
            raise EngineError(f"{self.path}: {self.engine} failed: {reason(error)}") from error

    def close(self) -> None:
        """Free the interpreter. A closed classifier answers EngineError; closing twice is fine."""
        with self._lock:
            self._interpreter = self._step_model = None

    def __reduce__(self) -> str:
        raise TypeError(
            "a Classifier cannot be pickled or copied, as it holds an engine: pass its path on, "
            "and open it there"
        )

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
