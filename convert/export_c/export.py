"""Model file -> folder of C sources."""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.export_c.sources import sources
from edge_runtime.errors import InputError, ModelError, OutputError
from edge_runtime.model_file.read_file import read_model_file
from edge_runtime.tflite.flatbuffer_reader import MalformedError
