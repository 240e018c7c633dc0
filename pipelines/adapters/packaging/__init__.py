"""Makes a bento of a logged model: export to ONNX, prove the export equal, build, measure.

In running order: `packager` is the port's implementation and tells the story; it starts `worker`, which loads the
model, asks it for the answers to real rows (`rows`, `schema`), exports it (`exporters`, `graph`) and proves the export
(`parity`); then `build` lays out the bento's files (`pins`, `digest`) and has BentoML build it; `measure` starts it.
"""

from pipelines.adapters.packaging.packager import BentoPackager

__all__ = ["BentoPackager"]
