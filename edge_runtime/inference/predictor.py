"""A converted model in an engine: raw windows in, its outputs out, and the answers made of them."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar, cast

import numpy as np

from edge_runtime.engines.engine import NATIVE, SHARED_WEIGHTS, engine_version, open_engine
from edge_runtime.errors import EngineError, InputError, ModelError
from edge_runtime.inference.prediction import Estimate, Prediction
from edge_runtime.inference.raw_windows import checked_row, checked_windows
from edge_runtime.inference.runner import (
    closed_runner,
    logits_by_row,
    one_row,
    step_runner,
    window_runners,
)
from edge_runtime.inference.tensors import InputTensor, check_ends
from edge_runtime.model_file.metadata import (
    CLASSIFICATION,
    EMBEDDING,
    REGRESSION,
    STEP,
    TASK_VERSIONS,
    Metadata,
)
from edge_runtime.model_file.normalization import TOKEN_DTYPE
from edge_runtime.model_file.read_file import read_model_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.engines.engine import OpenEngine
    from edge_runtime.inference.native_runner import NativeRunner
    from edge_runtime.inference.runner import RowModel
    from edge_runtime.inference.verification import Verification

    Float32 = NDArray[np.float32]

_UINT8, _FLOAT32 = np.dtype(np.uint8), np.dtype(np.float32)
"""numpy has one object of each."""

_WINDOWS = {"uint8": _UINT8, TOKEN_DTYPE: np.dtype(TOKEN_DTYPE)}
"""Normalization.dtype -> the dtype of the windows that need no check; float32 otherwise."""


AnswerT = TypeVar("AnswerT")
"""Prediction of a classifier, Estimate of a regression or an embedding."""

OPENED_WITH = {
    CLASSIFICATION: ("classes", "Classifier, ClassifierPool or StreamingClassifier"),
    REGRESSION: ("numbers", "Regressor, RegressorPool or StreamingRegressor"),
    EMBEDDING: ("the numbers of a vector", "Regressor, RegressorPool or StreamingRegressor"),
}
"""Task -> what such a file gives, and the classes that open it."""

SelfT = TypeVar("SelfT")


class Predictor(AbstractContextManager["Predictor[AnswerT]"], Generic[AnswerT]):
    """A converted model of any task, loaded into an engine.

    `predict` gives a Prediction for a classifier, and an Estimate for a regression or an embedding. Use
    Classifier or Regressor if your program expects one of them.

    Example:
        import numpy as np
        from edge_runtime import Predictor

        with Predictor("model.tflite") as predictor:
            print(predictor.spec.task, predictor.outputs(np.load("window.npy")))

    Args:
        path: A file written by `edge-rnn convert`.
        threads: As for Classifier, and so are the other arguments.

    Raises:
        ModelError: The file cannot be used.
        EngineError: As Classifier.
        VerificationError: As Classifier.
    """

    spec: Metadata
    """The metadata of the file."""
    engine: str
    """The name of the engine that runs the model."""
    _interpreter: Any
    _tasks: tuple[str, ...] = tuple(TASK_VERSIONS)
    """The tasks of the files that this class opens."""

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int = 1,
        engine: str = "auto",
        verify: bool = False,
        shared_weights: bool = False,
        trust: bool = False,
        kernels: str = "default",
    ) -> None:
        file = read_model_file(path, trust=trust)
        self.spec, self.path = file.metadata, str(path)
        self._check_task()
        self._file = replace(file, flatbuffer=b"")  # the engine has it
        if shared_weights or kernels == SHARED_WEIGHTS:
            _check_shareable(self.spec, self.path, kernels)
            kernels = SHARED_WEIGHTS
        opened = self._opened(file.flatbuffer, engine, threads, kernels)
        self.engine, self._interpreter = opened.engine, opened.interpreter
        self._name = f"{path}: {self.engine}"
        self._lock = Lock()
        self._window_shape = (self.spec.steps, self.spec.features)
        self._labels, self._count = self.spec.labels, len(self.spec.labels)
        self._classifies = self.spec.task == CLASSIFICATION
        self._expected = _WINDOWS.get(self.spec.normalization.dtype, _FLOAT32)
        self._step_model: RowModel | None = None
        self._scale: Callable[[Float32], Float32] = _unscaled
        self._run_batch: Callable[[NDArray[Any], Float32], None] = self._run_one_by_one
        if self.spec.graph == STEP:
            self._prepare_step()
        else:
            self._prepare_window()
        if self.spec.unit_length:
            self._prepare_unit_length()
        if verify:
            from edge_runtime.inference.verification import demand

            demand(self.verify())

    def _check_task(self) -> None:
        task = self.spec.task
        if task not in self._tasks:
            gives, openers = OPENED_WITH[task]
            raise ModelError(f"{self.path}: its task is {task}, and it gives {gives}. Use {openers}.")

    def _opened(self, flatbuffer: bytes, engine: str, threads: int, kernels: str) -> OpenEngine:
        try:
            opened = open_engine(flatbuffer, engine=engine, threads=threads, kernels=kernels)
        except EngineError as error:
            raise EngineError(f"{self.path}: {error}") from error
        tokens = self.spec.normalization.tokens > 0
        check_ends(opened.interpreter, 1 + len(self.spec.states), self.path, tokens=tokens)
        return opened

    def _prepare_step(self) -> None:
        from edge_runtime.inference.step_model import StepModel, shapes_of_step

        inputs, outputs = shapes_of_step(self._interpreter)
        expected = ([1, self.spec.features], [1, len(self.labels)], len(self.spec.states))
        found = (inputs[0], outputs[0], len(inputs) - 1)
        if found != expected or inputs[1:] != outputs[1:]:
            raise ModelError(
                f"{self.path}: metadata and model disagree. Expected a row {expected[0]}, outputs "
                f"{expected[1]} and {expected[2]} states, found inputs {inputs} and outputs {outputs}."
            )
        if self.engine == NATIVE:
            from edge_runtime.inference.native_runner import NativeStepModel

            self._step_model = NativeStepModel(self._native_runner())
        else:
            self._step_model = StepModel(self._interpreter, self.spec.normalization)
        self._run = self._run_expected = step_runner(self._step_model, self._name)

    def _prepare_window(self) -> None:
        source = self._interpreter.get_input_details()[0]
        result = self._interpreter.get_output_details()[0]
        expected_input = [1, self.spec.steps, self.spec.features]
        expected_output = [1, len(self.labels)]
        found_input, found_output = list(source["shape"]), list(result["shape"])
        if found_input != expected_input or found_output != expected_output:
            raise ModelError(
                f"{self.path}: metadata and model disagree. Expected input {expected_input} and "
                f"output {expected_output}, found {found_input} and {found_output}."
            )
        if self.engine == NATIVE:
            native = self._native_runner()
            self._run, run_bytes = native.window_runner(_FLOAT32), native.window_runner(_UINT8)
        else:
            tensor = InputTensor(source, self.spec.normalization)
            self._run, run_bytes = window_runners(self._interpreter, tensor, result, self._name)
        self._run_expected = run_bytes if self._expected is _UINT8 else self._run

    def _prepare_unit_length(self) -> None:
        from edge_runtime.inference.unit_length import scale_to_unit_length

        def scaled(run: Callable[[NDArray[Any], Float32], None]) -> Callable[..., None]:
            def run_and_scale(windows: NDArray[Any], out: Float32) -> None:
                run(windows, out)
                scale_to_unit_length(out)

            return run_and_scale

        batch = self._run_batch
        if batch != self._run_one_by_one:
            self._run_batch = scaled(batch)
        self._run, self._run_expected = scaled(self._run), scaled(self._run_expected)
        self._scale = scale_to_unit_length

    def _native_runner(self) -> NativeRunner:
        """Windows, rows and batches in single calls; batches go through it from now on."""
        from edge_runtime.inference.native_runner import NativeRunner

        native = NativeRunner(self._interpreter, self._window_shape, self.spec.normalization)
        self._run_batch = native.run_batch
        return native

    def _run_one_by_one(self, batch: NDArray[Any], out: Float32) -> None:
        for n, window in enumerate(batch):
            self._run(window, out[n : n + 1])

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the outputs, which are a classifier's classes, in the order of the outputs."""
        return self.spec.labels

    def predict(self, windows: Any) -> AnswerT | list[AnswerT]:
        """The answers for raw windows, in the unit of the training data (MNIST: 0 to 255).

        A classifier answers with a Prediction, a regression or an embedding with an Estimate. Warns
        about float windows up to 1 where the model was trained on pixels of 0 to 255.

        Args:
            windows: uint8 or float (any integer as well, if the model was not trained on uint8),
                `[steps, features]` for one answer, `[N, steps, features]` for a list of N.

        Raises:
            InputError: Wrong shape or dtype, NaN, infinity or too large numbers.
            EngineError: The engine fails, or the model is closed.
        """
        batch, answer = self.outputs(windows), self.answer
        if len(batch) == 1 and np.ndim(windows) == 2:
            return answer(batch[0])
        return [answer(outputs) for outputs in batch]

    def answer(self, outputs: NDArray[np.float32]) -> AnswerT:
        """What `predict` says about the outputs `[outputs]` of a window."""
        if self._classifies:
            return cast("AnswerT", Prediction(int(outputs.argmax()), outputs, self._labels))
        return cast("AnswerT", Estimate(outputs, self._labels))

    def outputs(self, windows: Any, out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """The outputs for raw windows, float32 `[N, outputs]` (N = 1 for a single window).

        A classifier's are its logits, a regression's are numbers in their own unit. Nothing is allocated
        per window but what the engine itself allocates.

        Args:
            windows: As `predict` takes them.
            out: An array of that shape and dtype to fill and return, instead of a new one.

        Raises:
            InputError: As `predict`, and for an `out` of another shape or dtype, or a read-only one.
            EngineError: As `predict`.
        """
        plain = windows.__class__ is np.ndarray and windows.dtype is self._expected
        if plain and windows.shape == self._window_shape:  # as most windows come: nothing to check
            out = self._checked_out(out, 1)
            with self._lock:
                self._run_expected(windows, out)
            return out
        batch = self.checked(windows)
        out = self._checked_out(out, len(batch))
        with self._lock:
            if self.closed:
                raise EngineError(f"{self.path}: the model is closed")
            self._run_batch(batch, out)
        return out

    def _checked_out(self, out: Float32 | None, count: int) -> Float32:
        if out is None:
            return np.empty((count, self._count), np.float32)
        plain = out.__class__ is np.ndarray
        if not plain or not out.flags.writeable:
            kind = "a read-only one" if plain else f"a {out.__class__.__name__}"
            raise InputError(f"out: expected a numpy array that can be written to, found {kind}.")
        if out.shape != (count, self._count) or out.dtype != _FLOAT32:
            expected = f"float32[{count}, {self._count}]"
            raise InputError(f"out: expected {expected}, found {out.dtype}{list(out.shape)}.")
        return out

    def checked(self, windows: Any) -> NDArray[Any]:
        """Raw windows as an array `[N, steps, features]` of a dtype that `predict` takes.

        Raises InputError for other dtypes and shapes, and warns as `predict` does.
        """
        pixels = self._expected is _UINT8
        batch = checked_windows(windows, *self._window_shape, integers=not pixels)
        if pixels and batch.dtype != np.uint8 and batch.size and 0 < batch.max() <= 1:
            warnings.warn(
                "float windows with values up to 1, but the model was trained on 0 to 255", stacklevel=3
            )
        return batch

    def verify(self) -> Verification:
        """Run the probes that the file carries in this engine; truthy when all of them pass.

        Raises ModelError for a file without probes, or with damaged ones.
        """
        from edge_runtime.inference.verification import verify_probes
        from edge_runtime.model_file.probes import read_probes

        self.spec.check(self.path)
        probes = read_probes(self._file, self.path)
        if probes is None:
            raise ModelError(
                f"{self.path}: carries no probes, so that it cannot be verified. It was written by an "
                "older edge-rnn. Convert it again."
            )
        return verify_probes(
            probes,
            self.outputs_by_row if probes.record.rows else self.outputs,
            path=self.path,
            engine=self.engine,
            version=engine_version(self.engine),
            labels=self.labels,
            parity=self.spec.parity,
            task=self.spec.task,
        )

    def outputs_by_row(self, windows: Any) -> NDArray[np.float32]:
        """The outputs after every row of raw windows, float32 `[N, steps, outputs]`, of a step file.

        Takes and raises what `predict` does. Raises ModelError for an unrolled file.
        """
        batch = self.checked(windows)
        outputs = np.empty((len(batch), self.spec.steps, self._count), np.float32)
        with self._lock:
            model = self._stepping()
            for window, by_row in zip(batch, outputs):
                by_row[:] = logits_by_row(model, window, self._name)
        return self._scale(outputs)

    def step(self, row: Any, *, restart: bool = False) -> NDArray[np.float32]:
        """The outputs after one more raw row `[features]` of a step file, float32 `[outputs]`.

        The states are those after the last row that was given to `step`, or with `restart` zero. Raises
        what `outputs_by_row` does; after InputError the states are what they were before the row.
        """
        raw = checked_row(row, self.spec.features, integers=self._expected is not _UINT8)
        outputs = np.empty((1, self._count), np.float32)
        with self._lock:
            one_row(self._stepping(), raw, outputs, self._name, restart=restart)
        found: Float32 = self._scale(outputs)[0]
        return found

    def _stepping(self) -> RowModel:
        """The step model. Raises EngineError when closed, and ModelError for an unrolled file."""
        if self.spec.graph != STEP:
            raise ModelError(f"{self.path}: takes whole windows. Convert with --graph step for rows.")
        if self._step_model is None:
            raise EngineError(f"{self.path}: the model is closed")
        return self._step_model

    @property
    def closed(self) -> bool:
        """Whether `close` has freed the engine."""
        return self._interpreter is None

    def close(self) -> None:
        """Free the interpreter. A closed model answers EngineError; closing twice is fine."""
        with self._lock:
            self._interpreter = self._step_model = None
            self._run_batch = self._run_one_by_one
            self._run = self._run_expected = closed_runner(self.path)

    def __reduce__(self) -> str:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled or copied, because it holds an engine. Pass its "
            "path and open the file again."
        )

    def __enter__(self: SelfT) -> SelfT:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _unscaled(outputs: Float32) -> Float32:
    return outputs


def _check_shareable(spec: Metadata, path: str, kernels: str) -> None:
    """Raises EngineError for a file whose steps cannot share one packed copy of their weights."""
    if kernels not in ("default", SHARED_WEIGHTS):
        raise EngineError(f"{path}: shared weights have kernels of their own. Leave out {kernels!r}.")
    if spec.shared_weights:
        return
    if spec.precision == "int16x8":
        raise EngineError(
            f"{path}: shared weights are for every precision but int16x8, and this file is int16x8."
        )
    raise EngineError(
        f"{path}: its record does not say that the steps can share weights. It was written by an older "
        "edge-rnn, or with a scale of its own for some step."
    )
