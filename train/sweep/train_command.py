"""The commands that make a trial's model, as somebody types them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from train.sweep.spec import Configuration, SweepSpec


def train_arguments(spec: SweepSpec, chosen: Configuration, out: str) -> list[str]:
    """The arguments of `edge-rnn train` for a configuration of the spec."""
    arguments = ["train", "--out", out, "--data", spec.data, "--preset", spec.preset]
    if spec.data_dir is not None:
        arguments += ["--data-dir", spec.data_dir]
    searched: dict[str, Any] = {
        key: getattr(chosen.options, key) for key in ("window", "hop") if key in spec.search
    }
    return arguments + _as_options({**spec.options, **searched, **chosen.settings})


def convert_arguments(spec: SweepSpec, chosen: Configuration, run: str, out: str) -> list[str]:
    """The arguments of `edge-rnn convert` for the run that `train_arguments` makes."""
    options = ["--precision", chosen.precision, "--target", spec.target, "--out", out]
    return ["convert", run, *options]


def commands(spec: SweepSpec, chosen: Configuration, name: str) -> tuple[str, str]:
    """Both as lines for a shell. `name`: of the run, and of the model without its ending."""
    train = train_arguments(spec, chosen, name)
    convert = convert_arguments(spec, chosen, name, f"{name}.tflite")
    return shlex.join(["edge-rnn", *train]), shlex.join(["edge-rnn", *convert])


def _as_options(settings: Mapping[str, Any]) -> list[str]:
    arguments: list[str] = []
    for key, value in settings.items():
        option = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(option if value else option.replace("--", "--no-", 1))
        elif isinstance(value, (list, tuple)):
            arguments += [option, ",".join(map(str, value))] if value else []
        else:
            arguments += [option, str(value)]
    return arguments
