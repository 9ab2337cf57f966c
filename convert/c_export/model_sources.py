"""The files of an export: templates filled with what the model's plan and metadata say."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files as package_files
from typing import Any

import numpy as np

from convert.c_export.c_text import (
    array_text,
    c_string,
    comment_text,
    filled,
    float_literal,
    nested_array,
    template_text,
)
from convert.c_export.expected_logits import ExpectedLogits, expected_logits
from convert.c_export.plan_facts import MATMULS, PlanFacts, plan_facts
from edge_runtime import __version__
from edge_runtime.inference.tensors import InputTensor
from edge_runtime.model_file.metadata import CLASSIFICATION, STEP, Metadata
from edge_runtime.model_file.normalization import TOKEN_DTYPE
from edge_runtime.model_file.read_file import ModelFile
from edge_runtime.native.interpreter import NativeInterpreter
from edge_runtime.native.plan_format import Kernel, Layout, aligned
from edge_runtime.native.planner import Plan, make_plan
from edge_runtime.numpy_engine.read_graph import read_graph

ARENA_ALIGNMENT = 8
"""Of tensors in the arena: enough for plain C and small."""

ENGINE_FILES = (
    "best_kernels.h",
    "edge_rnn.h",
    "elementwise.h",
    "fixed_point.h",
    "float_functions.h",
    "kernels_cortex_m_dsp.h",
    "kernels_mve.h",
    "matmul_plain.h",
    "raw_windows.h",
)
"""The engine's files that are copied."""

WITH_SPECIAL_CODE = (Kernel.LOOKUP_S8, Kernel.ADD_S8, Kernel.MUL_S8)
"""Kernels besides the matmuls that best_kernels.h has for some processors."""

C_TYPES = {"f": "float", "b": "int8_t", "h": "int16_t", "i": "int32_t"}
BITS_TYPES = {"f": "uint32_t", "b": "int8_t", "h": "int16_t"}
FILL_NAMES = {"f": "float32", "b": "int8", "h": "int16", "i": ""}
"""By numpy's dtype.char: the type in C, one of the same size whose bits can be written down, and the
name in the engine's functions, of which tokens need none."""

RAW_C_TYPES = {
    "uint8": ("uint8_t", "bytes"),
    "float32": ("float", "floats"),
    TOKEN_DTYPE: ("int32_t", "tokens"),
}
"""dtype of raw windows -> their type in C, and what the functions that take them call them."""


@dataclass(frozen=True)
class ModelSources:
    """The text of every file, and the bytes that the model takes."""

    files: dict[str, str]
    """Path in the folder -> text."""
    flash_bytes: int
    weight_bytes: int
    model_bytes: int
    stream_bytes: int


def model_sources(file: ModelFile, path: str, name: str) -> ModelSources:
    """Everything that an export of the model file at `path` consists of.

    Raises EngineError without the native engine's library, and MalformedError for a model that it cannot
    run.
    """
    plan = make_plan(read_graph(file.flatbuffer), Layout.ROWS, ARENA_ALIGNMENT)
    expected = expected_logits(file, path, NativeInterpreter(file.flatbuffer, "plain"))
    facts = plan_facts(plan.data)
    sizes = _sizes(plan, facts, file.metadata)
    values = {
        "name": name,
        "NAME": name.upper(),
        **sizes,
        **_names(file.metadata, path),
        **_plan_values(plan, facts),
        **_tensor_values(plan, file.metadata),
        **_input_values(plan, file.metadata),
        **_probe_values(expected),
    }
    texts = {
        place: filled(template, values) for place, template in _templates(name, file.metadata).items()
    }
    engine = package_files("edge_runtime.native") / "c"
    texts |= {f"src/edge_rnn/{item}": (engine / item).read_text("utf-8") for item in ENGINE_FILES}
    return ModelSources(texts, sizes["flash"], sizes["weights"], sizes["ram_model"], sizes["ram_stream"])


def _templates(name: str, metadata: Metadata) -> dict[str, str]:
    return {
        "CMakeLists.txt": "CMakeLists.txt",
        "README.md": "README.md",
        "library.json": "library.json",
        "library.properties": "library.properties",
        "main.c": "main.c",
        "examples/probes/probes.ino": "sketch.ino",
        f"examples/probes/{name}_probes.c": "probes.c",
        f"examples/probes/{name}_probes.h": "probes.h",
        f"src/{name}.c": "model_step.c" if metadata.graph == STEP else "model_unrolled.c",
        f"src/{name}.h": "model.h",
        f"src/{name}_plan.c": "plan.c",
        f"src/{name}_plan.h": "plan.h",
        f"src/{name}_raw.c": _raw_template(metadata),
    }


def _raw_template(metadata: Metadata) -> str:
    if metadata.normalization.tokens:
        return "raw_tokens.c"
    return "raw_bytes_by_table.c" if _has_table(metadata) else "raw_bytes_in_float.c"


def _has_table(metadata: Metadata) -> bool:
    """Whether all features are normalized alike, so that a byte alone decides its value."""
    normal = metadata.normalization
    return len(normal.mean) == 1 and len(normal.std) == 1 and not normal.tokens


def _sizes(plan: Plan, facts: PlanFacts, metadata: Metadata) -> dict[str, int]:
    arena = aligned(plan.lane_stride, 8)
    table = 256 * plan.inputs[0].tensor.dtype.itemsize if _has_table(metadata) else 0
    labels = sum(len(label.encode()) + 1 for label in metadata.labels)
    labels = labels if metadata.task == CLASSIFICATION else 0
    window = metadata.steps * metadata.features * plan.inputs[0].tensor.dtype.itemsize
    stream = arena + 8 if metadata.graph == STEP else aligned(arena + window + 12, 8)
    return {
        "arena": arena,
        "flash": len(plan.data) + table + labels,
        "weights": facts.weight_bytes,
        "ram_model": arena,
        "ram_stream": stream,
    }


def _names(metadata: Metadata, path: str) -> dict[str, Any]:
    labels = "".join(f"    {c_string(label)},\n" for label in metadata.labels)
    count = len(metadata.labels)
    shape = f"{metadata.steps} x {metadata.features}"
    description = f"Classifies windows of {shape} into {count} classes"
    if metadata.task != CLASSIFICATION:
        numbers = "1 number" if count == 1 else f"{count} numbers"
        description = f"Computes {numbers} ({metadata.task}) from windows of {shape}"
    return {
        "version": __version__,
        "model": comment_text(path.replace("\\", "/").rsplit("/", 1)[-1]),
        "digest": metadata.flatbuffer_sha256,
        "precision": comment_text(metadata.precision),
        "description": description,
        "steps": metadata.steps,
        "features": metadata.features,
        "classes": len(metadata.labels),
        "labels": labels,
        **_task_texts(metadata),
        **_raw_names(metadata),
    }


def _raw_names(metadata: Metadata) -> dict[str, Any]:
    tokens = metadata.normalization.tokens
    raw_type, raw_name = RAW_C_TYPES.get(metadata.normalization.dtype, RAW_C_TYPES["float32"])
    return {
        "raw_type": raw_type,
        "raw_name": raw_name,
        "raw_functions": template_text("raw_tokens.txt" if tokens else "raw_numbers.txt").rstrip(),
        "statuses": f"@NAME@_NOT_FINITE = -1{', @NAME@_NO_TOKEN = -2' if tokens else ''}",
        "last_token": tokens - 1,
        "raw_flash": ""
        if tokens
        else "Processors without an FPU need some 2 kB\nmore for `@name@_from_floats`. ",
    }


def _task_texts(metadata: Metadata) -> dict[str, str]:
    """The parts of the templates that depend on what the outputs are."""
    if metadata.task == CLASSIFICATION:
        return {
            "COUNT": "CLASSES",
            "output": "logit",
            "outputs": "logits",
            "names": template_text("names_of_classes.txt").rstrip(),
            "labels_defined": template_text("labels_defined.txt"),
            "class_declared": template_text("class_declared.txt"),
            "class_defined": template_text("class_defined.txt"),
            "window_use": template_text("readme_classes.txt").rstrip(),
            "row_use": "use(@name@_labels[@name@_class(logits)]);",
        }
    names = "".join(f" *   {k}: {comment_text(name)}\n" for k, name in enumerate(metadata.labels))
    unit = "They are the coordinates of a vector that has to be divided by its length. "
    return {
        "COUNT": "OUTPUTS",
        "output": "output",
        "outputs": "outputs",
        "names": template_text("names_of_outputs.txt").rstrip(),
        "output_names": names,
        "unit_length_comment": unit if metadata.unit_length else "",
        "labels_defined": "",
        "class_declared": "",
        "class_defined": "",
        "window_use": template_text("readme_numbers.txt").rstrip(),
        "row_use": "use(@name@_real(logits[0]));",
    }


def _plan_values(plan: Plan, facts: PlanFacts) -> dict[str, Any]:
    words = np.frombuffer(plan.data.tobytes(), "<u8")
    return {
        "calls": facts.calls,
        "call_count": facts.call_count,
        "words": len(words),
        "plan": array_text(words),
        "kernels": "".join(
            f"    [ER_{kernel.name}] = {_function(kernel)},\n" for kernel in facts.kernels
        ),
    }


def _function(kernel: Kernel) -> str:
    """The C function. The template chooses among the matmuls."""
    return (
        f"ER_BEST_{kernel.name}"
        if kernel in (*MATMULS, *WITH_SPECIAL_CODE)
        else f"er_{kernel.name.lower()}"
    )


def _tensor_values(plan: Plan, metadata: Metadata) -> dict[str, Any]:
    logits = plan.outputs[0]
    affine = logits.tensor.quantization
    real = "logit"
    if affine is not None:
        real = f"{float_literal(affine.scale[0])} * (float)(logit - ({affine.zero_point}))"
    passes, resets = [], []
    for before, after in zip(plan.inputs[1:], plan.outputs[1:]):
        size = int(np.prod(before.tensor.shape)) * before.tensor.dtype.itemsize
        quantization = before.tensor.quantization
        zero = quantization.zero_point & 0xFF if quantization and before.tensor.dtype == np.int8 else 0
        passes.append(f"    memcpy(arena + {before.offset}, arena + {after.offset}, {size});\n")
        resets.append(f"    memset(arena + {before.offset}, {zero}, {size});\n")
    return {
        "input_type": C_TYPES[plan.inputs[0].tensor.dtype.char],
        "input_offset": plan.inputs[0].offset,
        "output_type": C_TYPES[logits.tensor.dtype.char],
        "bits_type": BITS_TYPES[logits.tensor.dtype.char],
        "logits_offset": logits.offset,
        "logits_are_float": int(affine is None),
        "real": real,
        "passes": "".join(passes),
        "resets": "".join(resets),
        **_comments(affine is None, metadata),
    }


def _comments(float_logits: bool, metadata: Metadata) -> dict[str, str]:
    graph = "step" if metadata.graph == STEP else "unrolled"
    return {
        "run_status": ", or @NAME@_NOT_FINITE for logits that are NaN or infinite"
        if float_logits
        else "",
        "push_status": ", or @NAME@_NOT_FINITE" if float_logits else "",
        "graph_comment": template_text(f"rows_{graph}.txt").rstrip(),
        "stream_text": template_text(f"readme_{graph}.txt").rstrip(),
        "stream_fields": "" if metadata.graph == STEP else template_text("stream_unrolled.txt"),
    }


def _input_values(plan: Plan, metadata: Metadata) -> dict[str, Any]:
    tensor, normal = plan.inputs[0].tensor, metadata.normalization
    affine = tensor.quantization
    limits = np.iinfo(tensor.dtype) if affine is not None else np.iinfo(np.int8)
    return {
        "means": ", ".join(map(float_literal, normal.mean)),
        "stds": ", ".join(map(float_literal, normal.std)),
        "one_mean": int(len(normal.mean) == 1),
        "one_std": int(len(normal.std) == 1),
        "input": FILL_NAMES[tensor.dtype.char],
        "input_scale": float_literal(affine.scale[0] if affine else 1.0),
        "input_zero": affine.zero_point if affine else 0,
        "lowest": int(limits.min),
        "highest": int(limits.max),
        "table": _table(plan, metadata) if _has_table(metadata) else "",
        "raw_comment": "normalized" if affine is None else "normalized and quantized",
    }


def _table(plan: Plan, metadata: Metadata) -> str:
    """What each byte becomes: the values of a tensor of 256 features that are the 256 bytes."""
    tensor = plan.inputs[0].tensor
    affine = tensor.quantization
    detail = {
        "shape": np.array([1, 256]),
        "dtype": tensor.dtype.type,
        "index": 0,
        "quantization": (affine.scale[0], affine.zero_point) if affine else (0.0, 0),
    }
    source = InputTensor(detail, metadata.normalization)
    source.fill(np.arange(256, dtype=np.uint8))
    return array_text(source.values)


def _probe_values(expected: ExpectedLogits) -> dict[str, Any]:
    count, logits = len(expected.windows), expected.logits
    bits = logits.view(np.uint32) if logits.dtype == np.float32 else logits
    raw_type, raw = RAW_C_TYPES[str(expected.windows.dtype)]
    return {
        "probes": count,
        "probe_type": raw_type,
        "windows": nested_array(expected.windows.reshape(count, -1)),
        "expected": nested_array(bits),
        "probe_name": raw,
    }
