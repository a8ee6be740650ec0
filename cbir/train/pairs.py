"""`cbir train pairs`: image-sentence pairs from examinations whose report speaks of many organs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from indexer.errors import Rejected

if TYPE_CHECKING:
    from evaluation.benchmark import Benchmark
    from training.pairs.mining import MinedPairs
    from training.pairs.tagging import Tagger

EXAMINATIONS = "examinations"


def pairs(
    out: Annotated[Path, typer.Argument(help="Folder for the pairs; they hold text of reports.")],
    *,
    benchmark: Annotated[
        Path | None, typer.Option("--bench", exists=True, file_okay=False, help="Images with reports.")
    ] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Of the benchmark; several may be named.")] = None,
    archive: Annotated[
        bool, typer.Option("--archive", help="Take the configured archive's images and reports.")
    ] = False,
    reports: Annotated[
        Path | None, typer.Option(exists=True, help="CSV study_instance_uid,text in place of the archive's.")
    ] = None,
    modality: Annotated[list[str] | None, typer.Option(help="Of the archive's images, such as US.")] = None,
    max_frames: Annotated[int, typer.Option(min=1, help="Sampled from each series.")] = 8,
    clusters: Annotated[int, typer.Option(min=2)] = 8,
    assignment: Annotated[
        Path | None, typer.Option(exists=True, help="CSV cluster,organ by hand; else it is learned.")
    ] = None,
    shared: Annotated[bool, typer.Option("--shared", help="Several clusters may show one organ.")] = False,
    level: Annotated[str, typer.Option(help="organ or region.")] = "organ",
    lexicon: Annotated[
        Path | None, typer.Option(exists=True, help="Your own: concept,kind,region,language,terms.")
    ] = None,
    umls: Annotated[str, typer.Option(help="QuickUMLS index, in place of the lexicon.")] = "",
    weights: Annotated[
        Path | None, typer.Option(exists=True, help="Initial weights, .safetensors; else they are drawn.")
    ] = None,
    tuned_blocks: Annotated[int, typer.Option(min=0, help="Last blocks that learn; 0: the head only.")] = 0,
    neighbours: Annotated[int, typer.Option(min=0, help="That may stand for a second view.")] = 0,
    steps: Annotated[int, typer.Option(min=1)] = 600,
    concentration: Annotated[float, typer.Option(min=1.0, help="Of the Dirichlet prior.")] = 2.0,
    side: Annotated[int, typer.Option(min=32, help="Pixels.")] = 128,
    seed: int = 0,
    device: str = "cpu",
    threads: Annotated[int, typer.Option(min=0, help="0 lets torch choose.")] = 0,
) -> None:
    """Find out which image shows which organ, and join it with the sentences that speak of it."""
    from training.fit import FitSettings
    from training.methods.clusters import ClusterSettings
    from training.pairs.mining import mine_pairs

    settings = ClusterSettings(
        weights=str(weights or ""),
        clusters=clusters,
        side=side,
        tuned_blocks=tuned_blocks,
        neighbours=neighbours,
        steps=steps,
        concentration=concentration,
        fit=FitSettings(seed=seed, device=device, threads=threads, bfloat16=False),
    )
    _refuse_both_or_neither(benchmark, archive)
    examinations = (
        _of_benchmark(benchmark, dataset or ())
        if benchmark is not None
        else _of_archive(out, reports, modality or (), max_frames)
    )
    tagger = _tagger(level, lexicon, umls)
    mined = mine_pairs(examinations, tagger, settings, out, by_hand=assignment, shared=shared)
    _print(Console(), mined, clusters)


def _refuse_both_or_neither(benchmark: Path | None, archive: bool) -> None:
    if archive == (benchmark is not None):
        raise Rejected("Say either --archive or --bench FOLDER.")


def _of_benchmark(folder: Path, datasets: list[str] | tuple[()]) -> Benchmark:
    from evaluation.benchmark import Benchmark

    whole = Benchmark.open(folder)
    return whole.dataset(*datasets) if datasets else whole


def _of_archive(
    out: Path, reports: Path | None, modalities: list[str] | tuple[()], max_frames: int
) -> Benchmark:
    from cbir.deployment import Deployment
    from cbir.environment import settings_of_environment
    from training.pairs.examinations import Examinations, private_folder
    from training.pairs.reports import read_table

    private_folder(out)
    given = read_table(reports) if reports is not None else None
    with Deployment(settings_of_environment()) as deployment:
        return Examinations(
            archive=deployment.archive,
            decoders=deployment.decoders,
            pseudonym=deployment.pseudonyms.of,
            folder=out / EXAMINATIONS,
            modalities=modalities,
            max_frames=max_frames,
        ).take(given)


def _tagger(level: str, lexicon: Path | None, umls: str) -> Tagger:
    from evaluation.lexicon import Lexicon, default_lexicon
    from training.pairs.tagging import LexiconTagger, QuickUmlsTagger

    if level not in ("organ", "region"):
        raise Rejected("The level is organ or region.")
    if umls:
        return QuickUmlsTagger(umls)
    wanted: Literal["organ", "region"] = "region" if level == "region" else "organ"
    return LexiconTagger(Lexicon.read(lexicon) if lexicon else default_lexicon(), wanted)


def _print(console: Console, mined: MinedPairs, clusters: int) -> None:
    """Counts only: no word of a report."""
    images = Counter(mined.clusters.tolist())
    sentences = Counter(pair.organ for pair in mined.pairs)
    table = Table("cluster", "images", "organ", "pairs of the organ")
    for number in range(clusters):
        organ = mined.assignment.get(number, "")
        table.add_row(str(number), str(images[number]), organ, str(sentences[organ]) if organ else "")
    console.print(table)
    console.print(f"{len(mined.pairs)} pairs of {len(mined.folder)} images.", highlight=False)
