"""The classifier: raw windows in, labels, probabilities and logits out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.engine import SHARED_WEIGHTS, choose_engine, open_interpreter
from edge_runtime.errors import EngineError, InputError, ModelError
from edge_runtime.metadata import STEP, Metadata, read_model_file
from edge_runtime.normalization import checked_windows
from edge_runtime.probes import Verification, demand, read_probes, verify_probes
from edge_runtime.quantization import dequantize, quantize
from edge_runtime.shared_weights import why_not_shared
from edge_runtime.step_model import StepModel, shapes_of_step


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the model says of one window."""

    label: str
    index: int
    """Position of `label` among the model's labels."""
    probabilities: NDArray[np.float32]
    """Softmax of the logits, float32 `[classes]`, in the order of the labels."""
    logits: NDArray[np.float32]
    """The network's output before softmax, float32 `[classes]`."""
    labels: tuple[str, ...]
    """The names of all classes."""


class Classifier:
    """A converted model, loaded into a TFLite engine.

        with Classifier("mnist-int8.tflite") as classifier:
            print(classifier.predict(window).label)

    `path`: a file written by `edge-rnn convert`. `threads`: of the engine. `engine`: "auto" (the
    fastest installed), "ai-edge-litert" or "tflite-runtime". `spec` is everything the file says of
    itself. `verify`: run the file's probes first. `shared_weights`: keep one packed copy of each
    matrix instead of one for every step: faster, less memory; for every precision but int16x8, on
    ai-edge-litert 2.1.6 or newer (edge_runtime.shared_weights). One instance serves one thread at a
    time. Raises ModelError for a file that cannot be used, EngineError when no engine is there or
    the engine refuses the model, and VerificationError when `verify` finds that it computes
    something else.
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
    ) -> None:
        kernels = SHARED_WEIGHTS if shared_weights else "default"
        self._open(path, engine=engine, threads=threads, kernels=kernels)
        if verify:
            demand(self.verify())

    @classmethod
    def with_kernels(cls, path: str | Path, *, engine: str, kernels: str) -> Classifier:
        """A classifier on a given implementation of the operators, for proofs (see engine.KERNELS)."""
        classifier = cls.__new__(cls)
        classifier._open(path, engine=engine, threads=1, kernels=kernels)
        return classifier

    def _open(self, path: str | Path, *, engine: str, threads: int, kernels: str) -> None:
        file = read_model_file(path)
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
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self._step_model = self._checked_step_model() if self.spec.graph == STEP else None
        if self._step_model is None:
            self._check_shapes()

    def _checked_step_model(self) -> StepModel:
        inputs, outputs = shapes_of_step(self._interpreter)
        expected = ([1, self.spec.features], [1, len(self.labels)], len(self.spec.states))
        found = (inputs[0], outputs[0], len(inputs) - 1)
        if found != expected or inputs[1:] != outputs[1:]:
            raise ModelError(
                f"{self.path}: metadata and model disagree: expected a row {expected[0]}, logits "
                f"{expected[1]} and {expected[2]} states, found inputs {inputs} and outputs {outputs}"
            )
        return StepModel(self._interpreter)

    def _check_shapes(self) -> None:
        expected_input = [1, self.spec.steps, self.spec.features]
        expected_output = [1, len(self.labels)]
        found_input, found_output = list(self._input["shape"]), list(self._output["shape"])
        if found_input != expected_input or found_output != expected_output:
            raise ModelError(
                f"{self.path}: metadata and model disagree: expected input {expected_input} and "
                f"output {expected_output}, found {found_input} and {found_output}"
            )

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
        batch = self.logits(windows)
        predictions = [self._prediction(logits) for logits in batch]
        return predictions[0] if np.ndim(windows) == 2 else predictions

    def logits(self, windows: Any) -> NDArray[np.float32]:
        """The logits of raw windows, float32 `[N, classes]` (N = 1 for a single window).

        Takes and raises what `predict` does.
        """
        spec, pixels = self.spec, self.spec.normalization.dtype == "uint8"
        batch = checked_windows(windows, spec.steps, spec.features, integers=not pixels)
        if pixels and batch.dtype != np.uint8 and batch.size and 0 < batch.max() <= 1:
            warnings.warn(
                "float windows with values up to 1, but the model was trained on 0 to 255", stacklevel=2
            )
        result = np.empty((len(batch), len(self.labels)), np.float32)
        for row, window in zip(result, batch):
            row[:] = self._run(spec.normalization.apply(window))
        if not np.isfinite(result).all():
            raise InputError(
                "the logits are NaN or infinite: the window's numbers are too large for this model"
            )
        return result

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

    def _run(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._interpreter is None:
            raise EngineError(f"{self.path}: the classifier is closed")
        if self._step_model is not None:
            last: NDArray[np.float32] = self._logits_by_row(self._step_model, window)[-1]
            return last
        tensor: NDArray[Any] = window
        if self._input["dtype"] is not np.float32:
            scale, zero_point = self._input["quantization"]
            tensor = quantize(window, scale, zero_point, self._input["dtype"])
        try:
            self._interpreter.set_tensor(self._input["index"], tensor[np.newaxis])
            self._interpreter.invoke()
            output = self._interpreter.get_tensor(self._output["index"])[0]
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{self.path}: {self.engine} failed: {error}") from error
        if self._output["dtype"] is not np.float32:
            output = dequantize(output, *self._output["quantization"])
        return np.asarray(output, np.float32)

    def logits_by_row(self, windows: Any) -> NDArray[np.float32]:
        """The logits after every row of raw windows, float32 `[N, steps, classes]`, of a step file.

        Takes and raises what `predict` does, and raises ModelError for a file that is not a single step.
        """
        spec = self.spec
        if self._interpreter is None:
            raise EngineError(f"{self.path}: the classifier is closed")
        if self._step_model is None:
            raise ModelError(f"{self.path}: takes whole windows: --graph step makes a file for rows")
        integers = spec.normalization.dtype != "uint8"
        batch = checked_windows(windows, spec.steps, spec.features, integers=integers)
        result = np.empty((len(batch), spec.steps, len(self.labels)), np.float32)
        for logits, window in zip(result, batch):
            logits[:] = self._logits_by_row(self._step_model, spec.normalization.apply(window))
        return result

    def _logits_by_row(self, model: StepModel, window: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            return model.logits_by_row(window)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{self.path}: {self.engine} failed: {error}") from error

    def _prediction(self, logits: NDArray[np.float32]) -> Prediction:
        index = int(logits.argmax())
        exponentials = np.exp(logits - logits[index])
        probabilities = exponentials / exponentials.sum()
        return Prediction(self.labels[index], index, probabilities, logits, self.labels)

    def close(self) -> None:
        """Free the interpreter. A closed classifier answers EngineError; closing twice is fine."""
        self._interpreter = self._step_model = None

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
