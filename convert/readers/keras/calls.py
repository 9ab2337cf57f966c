"""One call of a layer or an operation in a Keras model, in the form of Keras 3 or Keras 2."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from convert.readers.keras.layer_config import named
from convert.readers.keras.values import KerasValue
from edge_runtime.errors import DataError

MASKS = ("mask", "query_mask", "value_mask", "key_mask")


@dataclass(frozen=True, eq=False)
class KerasCall:
    """A layer, and what it is applied to; the tensors are Values already."""

    layer: Any
    """The layer or, in Keras 3, the operation."""
    arguments: tuple[Any, ...]
    named: dict[str, Any] = field(default_factory=dict)
    used: tuple[bool, ...] = (True,)
    """Whether the model reads each of the call's outputs."""
    apply: Callable[[Any, KerasValue], KerasValue] = field(default=lambda layer, value: value)
    """Reads another layer, applied to a value."""

    @property
    def kind(self) -> str:
        """The class of the layer."""
        return type(self.layer).__name__

    @property
    def name(self) -> str:
        """The layer's name."""
        return str(self.layer.name)

    @property
    def sources(self) -> list[KerasValue]:
        """The values that the layer is applied to. Raises DataError for numbers among them."""
        first = self.arguments[0] if self.arguments else next(iter(self.named.values()), None)
        found = list(first) if isinstance(first, (list, tuple)) else [first]
        values = [value for value in found if isinstance(value, KerasValue)]
        if len(values) < len(found) or not found:
            raise DataError(f"{named(self.layer)} is applied to numbers. Expected tensors of the model.")
        return values

    @property
    def source(self) -> KerasValue:
        """The only value that the layer is applied to."""
        found = self.sources
        if len(found) != 1:
            raise DataError(f"{named(self.layer)} takes {len(found)} inputs. Expected one.")
        return found[0]

    def require_nothing_else(self, but: Iterable[str] = ()) -> None:
        """Raise DataError for a further argument that has an effect, but those named in `but`."""
        rest = dict(self.named) if self.arguments else dict(list(self.named.items())[1:])
        rest.update({f"argument {k + 2}": value for k, value in enumerate(self.arguments[1:])})
        for setting, value in rest.items():
            if setting in but or setting == "name" or _nothing(value):
                continue
            if isinstance(value, KerasValue):
                value = "..."
            raise DataError(
                f"layer {self.name!r} is called with {setting}={value}. Leave out this argument."
            )


def _nothing(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_nothing(item) for item in value)
    return value is None or value is False


def is_operation(layer: Any) -> bool:
    """Whether it is an operation on tensors and not a layer."""
    return type(layer).__module__.startswith("keras.src.ops.") or type(layer).__name__ in (
        "TFOpLambda",
        "SlicingOpLambda",
    )


def is_model(layer: Any) -> bool:
    """Whether it is a model that can be read."""
    return type(layer).__name__ in ("Sequential", "Functional") and _of_keras(layer)


def _of_keras(layer: Any) -> bool:
    return type(layer).__module__.split(".")[0] in ("keras", "tf_keras")
