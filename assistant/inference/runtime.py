"""ONNX Runtime with its telemetry switched off.

Left alone, it collects events in the user's cache folder and sends them to its maker (seen in 1.31 and 1.32): the
path of the program, a device id, names of graphs, run times, texts of errors. It reads the variable when it is
imported; so it is imported here and nowhere else.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
