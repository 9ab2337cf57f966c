"""The public functions of the package: they collect their parameters and call the pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

from convert.auto_precision import Choice, choose_and_convert
from convert.compiler.recipe import Recipe
from convert.options import AUTO_PRECISION, ConversionOptions
from convert.pipeline import Conversion, convert_files, output_files
from convert.readers.read_options import CALIBRATION_SAMPLES, PARITY_WINDOWS, ReadOptions
from convert.readers.user_data import DataSource
from convert.targets.target import target_named
from edge_runtime.errors import ParityError

Progress = Callable[[str], None]


def convert_run(
    run_directory: str | Path,
    out: str | Path,
    *,
    precision: str | None = None,
    target: str = "any",
    graph: str = "unrolled",
    calibration_samples: int = CALIBRATION_SAMPLES,
    calibration_seed: int = 0,
    parity_windows: int = PARITY_WINDOWS,
    min_agreement: float | None = None,
    max_logit_difference: float | None = None,
    prove: bool = False,
    require_engine: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
    recipe: str | Path | Recipe | None = None,
    explain: str | Path | None = None,
    strip: bool = False,
) -> Conversion:
    """Convert a run directory of `edge-rnn train` to one model file, and prove the file.

        from convert import convert_run

        conversion = convert_run("runs/mnist", "mnist-int8.tflite", precision="int8")
        print(conversion.report)

    - `run_directory`: what `edge-rnn train --out` wrote. It has its own windows and labels.
    - `out`: the file to write. An older file is replaced.

    All other parameters are those of `convert_model`. Raises DataError for a directory that is not a run
    or was changed, and what `convert_model` raises.
    """
    read = ReadOptions(
        calibration_samples=calibration_samples,
        calibration_seed=calibration_seed,
        parity_windows=parity_windows,
    )
    options = ConversionOptions(
        target=target_named(target),
        graph=graph,
        min_agreement=min_agreement,
        max_logit_difference=max_logit_difference,
        require_engine=require_engine,
        strict=strict,
        explain=explain,
        strip=strip,
    ).with_recipe(recipe)
    outputs = {options.precision(precision): out}
    (result,) = convert_files(run_directory, outputs, read, options, prove=prove, progress=progress)
    return _proven(result)


def convert_model(
    model: Any,
    data: DataSource,
    out: str | Path,
    *,
    kind: str | None = None,
    labels: Sequence[str] = (),
    task: str | None = None,
    onnx_output: str | None = None,
    torch_last: str | None = None,
    forget_bias: float | None = None,
    precision: str | None = None,
    target: str = "any",
    graph: str = "unrolled",
    calibration_samples: int = CALIBRATION_SAMPLES,
    calibration_seed: int = 0,
    parity_windows: int = PARITY_WINDOWS,
    min_agreement: float | None = None,
    max_logit_difference: float | None = None,
    max_error: float | None = None,
    min_cosine: float | None = None,
    prove: bool = False,
    require_engine: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
    recipe: str | Path | Recipe | None = None,
    explain: str | Path | None = None,
    strip: bool = False,
) -> Conversion:
    """Convert a model of your own to one model file, and prove the file.

        from convert import convert_model

        windows = {"x": x, "y": y}  # x: float32 [N, steps, features], y: int64 [N]
        conversion = convert_model("activity.keras", windows, "activity.tflite", precision="mixed")
        print(conversion.report)

    The model and its windows:

    - `model`: the path of a Keras model (`.keras`, `.h5`, `.hdf5`, or a SavedModel folder), an ONNX
      model (`.onnx`), a PyTorch state dict (`.pt`, `.pth`) or a TensorFlow 1 checkpoint; or a Keras
      model object.
    - `data`: the path of an `.npz` file, or its arrays by name, with the windows as the model takes
      them. `x` is `[N, steps, features]`, uint8 or a type that becomes float32; tokens are integers
      `[N, steps]`. `static` `[N, k]` is a second, static input. `y` `[N]`, the class indices, and
      `labels` may be missing. `calibration_x` and `test_x`, with `calibration_y` and
      `test_y`, take the place of `x` and `y` where you have split the windows yourself.
    - `out`: the file to write. An older file is replaced.
    - `kind`: "keras", "onnx", "torch" or "tf1-basic-lstm". Default: told by the suffix of `model`.
    - `labels`: the names of the classes. Default: the labels in `data`, or "0", "1" and so on. For a
      regression or an embedding: the names of the outputs, by default "output_0" and so on.
    - `task`: "classification", "regression" or "embedding": what the outputs are. Default: as the
      model's head and loss say, or `y`: class indices `[N]` for a classifier, and for a regression
      numbers `[N]` or `[N, outputs]`.
    - `onnx_output`: for ONNX, the name of the output with the logits. Default: the only output.
    - `torch_last`: for PyTorch, what a bidirectional last module is read by: "output" (the default) is
      `output[:, -1]`, "h_n" the last states of both directions.
    - `forget_bias`: for TensorFlow 1, the forget bias that BasicLSTMCell adds at run time. Default: 1.

    The file:

    - `precision`: "float32", "float16", "dynamic", "int4", "int16x8", "mixed" or "int8". Default: the
      recipe's, or "int8".
    - `target`: the engine of the device, one of `TARGETS`. Default: "any", which means all
      of them but TFLM, the engine for microcontrollers.
    - `graph`: "unrolled" (the default) takes a window and gives its logits. "step" takes one row and the
      states, for streams.
    - `recipe`: the path of a TOML file with ranges and weight formats by tensor. Default: none.
    - `explain`: a folder for the loss by time step and gate, as JSON and as a picture. Default: none.
    - `strip`: leave out the tensor names, a tenth of the file. Default: False.

    Calibration and proof:

    - `calibration_samples`: the number of calibration windows. Default: 500.
    - `calibration_seed`: the seed that chooses them. Default: 0.
    - `parity_windows`: the largest number of held-out windows that the proof compares, at least 1,000.
      Default: 10,000.
    - `min_agreement`: the smallest fraction of windows, 0 to 1, that must get the full model's class.
      Default: the precision's own budget.
    - `max_logit_difference`: the largest difference allowed in any logit. Default: the precision's own
      budget.
    - `max_error`: for a regression or an embedding, the largest root mean square error of an output, in
      standard deviations of the full model's. Default: the precision's own budget.
    - `min_cosine`: for an embedding, the smallest cosine with the full model's vector. Default: the
      precision's own budget.
    - `prove`: make an isolated environment for each engine of the target that is not installed, and
      prove the file there too. Needs the network. Default: False.
    - `require_engine`: write the file only if every engine of the target has proven it. Default: False.
    - `strict`: write the file only if its windows prove the budget, instead of merely not refuting it.
      Default: False.
    - `progress`: a function that gets a line of text before each environment is made. Default: none.

    Raises InputError for options that contradict each other, for a precision that the target does not
    have and for values out of range, before any file is opened; DataError for a model or windows that
    cannot be converted; MissingExtraError where a package is not installed; EngineError when an
    environment cannot be made; and ParityError, with the report, when the file does not meet the budget.
    Then nothing is left at `out`.
    """
    read = ReadOptions(
        kind=kind,
        data=data,
        labels=tuple(labels),
        task=task,
        onnx_output=onnx_output,
        torch_last=torch_last,
        forget_bias=forget_bias,
        calibration_samples=calibration_samples,
        calibration_seed=calibration_seed,
        parity_windows=parity_windows,
    )
    options = ConversionOptions(
        target=target_named(target),
        graph=graph,
        min_agreement=min_agreement,
        max_logit_difference=max_logit_difference,
        max_error=max_error,
        min_cosine=min_cosine,
        require_engine=require_engine,
        strict=strict,
        explain=explain,
        strip=strip,
    ).with_recipe(recipe)
    outputs = {options.precision(precision): out}
    (result,) = convert_files(model, outputs, read, options, prove=prove, progress=progress)
    return _proven(result)


def convert_each(
    model: Any,
    outputs: Mapping[str, str | Path],
    *,
    data: DataSource | None = None,
    kind: str | None = None,
    labels: Sequence[str] = (),
    task: str | None = None,
    onnx_output: str | None = None,
    torch_last: str | None = None,
    forget_bias: float | None = None,
    target: str = "any",
    graph: str = "unrolled",
    calibration_samples: int = CALIBRATION_SAMPLES,
    calibration_seed: int = 0,
    parity_windows: int = PARITY_WINDOWS,
    min_agreement: float | None = None,
    max_logit_difference: float | None = None,
    max_error: float | None = None,
    min_cosine: float | None = None,
    prove: bool = False,
    require_engine: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
    recipe: str | Path | Recipe | None = None,
    explain: str | Path | None = None,
    strip: bool = False,
) -> Iterator[Conversion]:
    """Convert one model to several precisions; yields each result when its file is done.

        from convert import convert_each

        outputs = {"int8": "mnist-int8.tflite", "mixed": "mnist-mixed.tflite"}
        for conversion in convert_each("runs/mnist", outputs):
            print(conversion)

    - `model`: a run directory, or a model of your own as in `convert_model`.
    - `outputs`: precision -> file to write.
    - `data`: the windows for a model of your own. Default: none, for a run directory.

    All other parameters are those of `convert_model`. The call itself checks the options and raises
    InputError. The model is read when the first result is asked for, which raises what `convert_model`
    raises, with one exception: after a failed proof the `Conversion` is falsy, and no file is left.
    """
    read = ReadOptions(
        kind=kind,
        data=data,
        labels=tuple(labels),
        task=task,
        onnx_output=onnx_output,
        torch_last=torch_last,
        forget_bias=forget_bias,
        calibration_samples=calibration_samples,
        calibration_seed=calibration_seed,
        parity_windows=parity_windows,
    )
    options = ConversionOptions(
        target=target_named(target),
        graph=graph,
        min_agreement=min_agreement,
        max_logit_difference=max_logit_difference,
        max_error=max_error,
        min_cosine=min_cosine,
        require_engine=require_engine,
        strict=strict,
        explain=explain,
        strip=strip,
    ).with_recipe(recipe)
    return convert_files(model, outputs, read, options, prove=prove, progress=progress)


def convert_auto(
    model: Any,
    out: str | Path | None = None,
    *,
    data: DataSource | None = None,
    kind: str | None = None,
    labels: Sequence[str] = (),
    task: str | None = None,
    onnx_output: str | None = None,
    torch_last: str | None = None,
    forget_bias: float | None = None,
    target: str = "any",
    graph: str = "unrolled",
    calibration_samples: int = CALIBRATION_SAMPLES,
    calibration_seed: int = 0,
    parity_windows: int = PARITY_WINDOWS,
    min_agreement: float | None = None,
    max_logit_difference: float | None = None,
    max_error: float | None = None,
    min_cosine: float | None = None,
    prove: bool = False,
    require_engine: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
    recipe: str | Path | Recipe | None = None,
    explain: str | Path | None = None,
    strip: bool = False,
) -> tuple[Choice, Conversion | None]:
    """Choose the precision with the smallest file within the budget, convert to it, and prove the file.

        from convert import convert_auto

        choice, conversion = convert_auto("runs/mnist", min_agreement=0.999)
        print(choice)

    - `model`: a run directory, or a model of your own as in `convert_model`.
    - `out`: the file to write. Default: NAME-PRECISION.tflite in the run directory, or beside the model.
    - `data`: the windows for a model of your own. Default: none, for a run directory.
    - `min_agreement`: as in `convert_model`, but by default 0.999 for every precision.

    All other parameters are those of `convert_model`. Returns the table of precisions, and the
    conversion, which is None where no precision meets the budget. Then no file is left at `out`. Raises
    what `convert_model` raises, with one exception: after a failed proof the `Conversion` is falsy.
    Raises InputError for a recipe that sets a precision.
    """
    read = ReadOptions(
        kind=kind,
        data=data,
        labels=tuple(labels),
        task=task,
        onnx_output=onnx_output,
        torch_last=torch_last,
        forget_bias=forget_bias,
        calibration_samples=calibration_samples,
        calibration_seed=calibration_seed,
        parity_windows=parity_windows,
    )
    options = ConversionOptions(
        target=target_named(target),
        graph=graph,
        min_agreement=min_agreement,
        max_logit_difference=max_logit_difference,
        max_error=max_error,
        min_cosine=min_cosine,
        require_engine=require_engine,
        strict=strict,
        explain=explain,
        strip=strip,
    ).with_recipe(recipe)
    return choose_and_convert(model, out, read, options, prove=prove, progress=progress)


def convert_named(
    model: str,
    out: str | None,
    precision: str | None,
    read: ReadOptions,
    options: ConversionOptions,
    *,
    prove: bool = False,
    progress: Progress | None = None,
) -> Iterator[Choice | Conversion]:
    """What `edge-rnn convert` does: `precision` may also be "all" or "auto". Yields printable results.

    A falsy result stands for a file that was not written. The options are checked by the call itself.
    """
    chosen = options.precision(precision)
    if chosen != AUTO_PRECISION:
        outputs = output_files(model, chosen, out, graph=options.graph, target=options.target)
        return convert_files(model, outputs, read, options, prove=prove, progress=progress)
    choice, found = choose_and_convert(model, out, read, options, prove=prove, progress=progress)
    return iter([choice] if found is None else [choice, found])


def _proven(result: Conversion) -> Conversion:
    if not result:
        raise ParityError(result.refusal, result.report)
    return result
