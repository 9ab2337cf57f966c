"""All that decides a training, as the options of `edge-rnn train` and as a file that --config reads.

The file is TOML or YAML. Its keys are the options without their dashes in front: `units = [64, 32]`,
`label-column = "activity"`. An option on the command line wins over the file, and the file over
--preset. Every run holds such a file, config.toml, with all settings that it was trained with.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from edge_runtime.errors import InputError, reason
from edge_runtime.host.optional_packages import needs_extra
from train.hyperparameters import Hyperparameters
from train.recordings.data_options import DataOptions

YAML_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class TrainingSettings:
    """What is trained on, and how."""

    data: str = "mnist"
    """A name or path, as `load_dataset` takes it."""
    data_dir: str | None = None
    options: DataOptions = field(default_factory=DataOptions)
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)

    def to_config(self) -> dict[str, Any]:
        """Option name without dashes in front -> value, of all settings that are not None or empty."""
        data = {"data": self.data, "data-dir": self.data_dir, **_options(self.options)}
        return {**_given(data), **hyperparameters_config(self.hyperparameters)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TrainingSettings:
        """Read what `to_config` wrote. Raises InputError for a key or value that it does not know."""
        values = {name.replace("-", "_"): value for name, value in config.items()}
        data = {name: values.pop(name) for name in ("data", "data_dir") if name in values}
        known = {item.name for item in fields(DataOptions)}
        options = {name: values.pop(name) for name in list(values) if name in known}
        if "feature_columns" in options:
            options["feature_columns"] = tuple(options["feature_columns"])
        try:
            return cls(**data, options=DataOptions(**options), hyperparameters=Hyperparameters(**values))
        except TypeError as error:
            raise InputError(f"config.toml: not the settings of a training ({error}).") from None


def settings_keys() -> set[str]:
    """The keys of a file that `to_config` describes."""
    names = ["data", "data_dir"]
    names += [item.name for kind in (DataOptions, Hyperparameters) for item in fields(kind)]
    return {name.replace("_", "-") for name in names}


def hyperparameters_config(hyperparameters: Hyperparameters) -> dict[str, Any]:
    """The hyperparameters as option name -> value, without those that are None or empty."""
    return _given(_options(hyperparameters))


def _options(settings: Any) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in asdict(settings).items()}


def _given(config: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in config.items()
        if value is not None and value != ()
    }


def config_text(config: dict[str, Any]) -> str:
    """The settings as TOML."""
    with needs_extra("workstation", "tomli-w", "edge-rnn train"):
        import tomli_w
    return tomli_w.dumps(config)


def read_config(path: str | Path, known: Collection[str]) -> dict[str, Any]:
    """The settings in a TOML or YAML file, key -> text, number, truth value or list.

    `known`: the keys that it may have. Raises InputError that names the file and the key at fault.
    """
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot read the settings ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot read the settings ({reason(error)}).") from None
    content = _parsed(Path(path), text)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected settings such as 'units: 64', found {content!r}.")
    for key, value in content.items():
        if key not in known:
            raise InputError(f"{path}: unknown key {key!r}. Choose {', '.join(sorted(known))}.")
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, (str, int, float)) for item in values):
            raise InputError(f"{path}: {key}: expected a text, a number or a list, found {value!r}.")
    return content


def _parsed(path: Path, text: str) -> Any:
    if path.suffix.lower() in YAML_ENDINGS:
        with needs_extra("workstation", "pyyaml", f"the settings in {path}"):
            import yaml
        try:
            return yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            raise InputError(f"{path}: not YAML ({' '.join(str(error).split())}).") from None
    if path.suffix.lower() != ".toml":
        raise InputError(f"{path}: expected a name that ends in .toml, .yaml or .yml.")
    if sys.version_info < (3, 11):
        raise InputError(f"{path}: TOML needs Python 3.11 or newer. Write YAML instead.")
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML ({error}).") from None
