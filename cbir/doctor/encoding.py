"""The encoder and the decoders of this machine, really started."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from cbir.doctor.finding import Finding, ok, problem, warning
from cbir.settings import Settings
from indexer.errors import CbirError
from inference.decoders import Decoders
from inference.encoder import OnnxEncoder, check_runtime
from inference.frames import render
from inference.limits import Limits
from inference.registry import Registry

GPU_DEVICES = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"))
GPU_PROVIDERS = frozenset({"CUDAExecutionProvider", "TensorrtExecutionProvider"})
SIDE = 32


def examine_encoding(settings: Settings) -> Iterator[Finding]:
    """Runtime, card and hash, parity vector and provider, decoders; a later one needs those before it."""
    try:
        check_runtime()
        yield ok("runtime", "One ONNX Runtime is installed.")
    except CbirError as error:
        yield problem("runtime", "ONNX Runtime cannot be used.", str(error))
        return
    for name in settings.encoder_names:
        yield from _examine_encoder(settings, name)
    yield _examine_decoders(settings)


def _examine_encoder(settings: Settings, name: str) -> Iterator[Finding]:
    registry = Registry(settings.encoders_dir, settings.non_commercial_encoders)
    try:
        card = registry.card(name)
        encoder = OnnxEncoder(settings.encoders_dir / name, settings.providers, settings.threads)
    except CbirError as error:
        yield problem("encoder", f"The encoder {name} cannot be used.", str(error))
        return
    yield ok("encoder", f"{card.encoder_version}: its card, its file and its parity vector agree.")
    used = encoder.providers[0] if encoder.providers else "none"
    if (
        used not in GPU_PROVIDERS
        and any(device.exists() for device in GPU_DEVICES)
        and not settings.providers
    ):
        yield warning(
            "provider",
            f"There is an NVIDIA GPU, and the encoder runs on {used}.",
            "Install with RUNTIME=gpu, or set CBIR_PROVIDERS=CPUExecutionProvider if that is meant.",
        )
    else:
        yield ok("provider", f"The encoder runs on {used}.")


def _examine_decoders(settings: Settings) -> Finding:
    """Have a decoder process render a drawing of our own."""
    with tempfile.TemporaryDirectory(prefix="cbir-doctor-") as folder:
        path = Path(folder) / "drawing.dcm"
        _draw(path)
        try:
            with Decoders(Limits(timeout_s=settings.decode_timeout_s), 1) as decoders:
                decoders.result(decoders.submit(render, path, 0, SIDE, decoders.limits))
        except (CbirError, OSError) as error:
            return problem(
                "decoders",
                f"A decoder process cannot read a plain instance ({type(error).__name__}).",
                "See that this machine has memory left and may start processes.",
            )
    return ok("decoders", "The decoder processes start and read.")


def _draw(path: Path) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.PhotometricInterpretation = "CT", "MONOCHROME2"
    dataset.Rows = dataset.Columns = SIDE
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelData = np.arange(SIDE * SIDE, dtype=np.uint16).tobytes()
    dataset.save_as(path, enforce_file_format=True)
