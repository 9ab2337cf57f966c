"""The options that describe a model of one's own, for all commands that read one. Needs click alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

import click

from edge_runtime.commands.option_groups import NamedChoice, option
from edge_runtime.errors import InputError

if TYPE_CHECKING:
    from convert.readers.read_options import ReadOptions

MODEL_KINDS = ("onnx", "torch", "tf1-basic-lstm")
"""The options that tell the format of the model."""

user_model = partial(option, "A model of your own")

SOURCE_OPTIONS = (
    user_model(
        "--labels",
        default="",
        help="The names of the classes, or of the outputs of a regression, separated by commas.",
    ),
    user_model(
        "--task",
        type=NamedChoice(["classification", "regression", "embedding"]),
        help="What the outputs are: the logits of classes, numbers in their own unit, or a vector. "
        "Default: as the model's head and loss say, or y in the data.",
    ),
    user_model("--onnx", is_flag=True, help="It is an ONNX model. The suffix .onnx implies it."),
    user_model(
        "--onnx-output",
        metavar="NAME",
        help="The output with the logits, if the ONNX model has several outputs.",
    ),
    user_model(
        "--torch",
        is_flag=True,
        help="It is a PyTorch state dict of recurrent layers and nn.Linear. The suffixes .pt and .pth "
        "imply it.",
    ),
    user_model(
        "--torch-last",
        type=NamedChoice(["output", "h_n"]),
        help="What a bidirectional PyTorch model reads: output[:, -1] (the default), or the last states "
        "h_n of both directions.",
    ),
    user_model(
        "--tf1-basic-lstm",
        is_flag=True,
        help="It is a TensorFlow 1 checkpoint of a BasicLSTMCell and a dense layer.",
    ),
)


def source_options(data_help: str) -> Callable[[Any], Any]:
    """Adds the options to a command, `--data` with its help first."""

    def add(command: Any) -> Any:
        data = user_model("--data", type=click.Path(), help=data_help)
        for decorate in reversed((data, *SOURCE_OPTIONS)):
            command = decorate(command)
        return command

    return add


def read_options(given: Mapping[str, Any], **others: Any) -> ReadOptions:
    """ReadOptions from the command's parameters by name, and `others` of its fields.

    Raises InputError for options that contradict each other, and what ReadOptions raises.
    """
    from convert.readers.read_options import ReadOptions

    labels = given["labels"]
    return ReadOptions(
        kind=_kind(given),
        data=given["data"],
        labels=tuple(label.strip() for label in labels.split(",")) if labels else (),
        task=given["task"],
        onnx_output=given["onnx_output"],
        torch_last=given["torch_last"],
        **others,
    )


def _kind(given: Mapping[str, Any]) -> str | None:
    kinds = [kind for kind in MODEL_KINDS if given[kind.replace("-", "_")]]
    if len(kinds) > 1:
        raise InputError(f"--{kinds[0]}: contradicts --{kinds[1]}. Leave one of them out.")
    return kinds[0] if kinds else None
