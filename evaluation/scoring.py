"""Every figure of a benchmark for the vectors of one encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.benchmark import Benchmark
from evaluation.concepts import Concepts, concept_overlap
from evaluation.errors import BenchmarkError
from evaluation.fourier_descriptor import ShapeSimilarity
from evaluation.identity import identify
from evaluation.measurement import CONCEPTS, IDENTITY, LABELS, RELEVANCE, TEXT, Measurement, measurements
from evaluation.ranking import CHANCE, Labelled, Names, retrieval_by_label, unit_vectors
from evaluation.relevance import GreyHistograms, MaskOverlap, Relevance, ndcg
from evaluation.tasks import LabelTask, datasets, identity_datasets, label_tasks, lesion_datasets, of_dataset
from evaluation.text_retrieval import recall_and_rank, text_retrieval
from evaluation.vectors import ImageVectors
from indexer.domain import Vector

SEQUENCES: Final = ("same", "other")


class Scorer:
    """A benchmark, ready to judge vectors; what it must know of masks and images is made once."""

    def __init__(self, benchmark: Benchmark, concepts: Mapping[str, Concepts] | None = None) -> None:
        """Find out what can be asked.

        Args:
            benchmark: what the vectors are of.
            concepts: by image, as far as they are known; see `evaluation.concepts`.

        Raises:
            BenchmarkError: there is not one label that can be asked for.
        """
        self.benchmark = benchmark
        self.tasks: tuple[LabelTask, ...] = label_tasks(benchmark)
        self._concepts = concepts or {}
        self._subject: Names = np.array([f"{image.dataset}/{image.subject}" for image in benchmark.images])

    def score(self, vectors: ImageVectors) -> tuple[Measurement, ...]:
        """All figures of one encoder.

        Raises:
            BenchmarkError: an image of the benchmark has no vector.
        """
        vector = aligned(self.benchmark, vectors)
        return (
            *self._by_label(vector),
            *self._by_lesion(vector),
            *self._by_caption(vector, vectors),
            *self._by_concepts(vector),
            *self._by_identity(vector),
        )

    def labels(self, task: LabelTask) -> Names:
        """(n,) the label of each image of a task."""
        return np.array([self.benchmark.images[i].label(task.label) for i in task.index])

    def labelled(self, task: LabelTask, vector: Vector) -> Labelled:
        """The images of a task; `vector` is (all images, d)."""
        return Labelled(vector[task.index], self.labels(task), self._subject[task.index])

    def _by_label(self, vector: Vector) -> Iterator[Measurement]:
        for task in self.tasks:
            labelled = self.labelled(task, vector)
            values = retrieval_by_label(labelled, labelled)
            yield from measurements(LABELS, task.name, values, self._subjects(task.index))

    def _by_lesion(self, vector: Vector) -> Iterator[Measurement]:
        for dataset, index in lesion_datasets(self.benchmark):
            for kind, relevance in self._relevances[dataset].items():
                for sequence in SEQUENCES:
                    yield from self._ndcg(f"{dataset} {kind}, {sequence} sequence", index, vector, relevance)

    def _ndcg(
        self, task: str, index: NDArray[np.intp], vector: Vector, relevance: Relevance
    ) -> Iterator[Measurement]:
        images = [self.benchmark.images[i] for i in index]
        sequence = np.array([image.view_or_sequence for image in images])
        subject = self._subject[index]
        same = ", same " in task

        def allowed(query: int) -> NDArray[np.intp]:
            is_same = sequence == sequence[query]
            return np.flatnonzero((subject != subject[query]) & (is_same if same else ~is_same))

        queries = [i for i, image in enumerate(images) if image.mask]
        try:
            kept, values = ndcg(vector[index], relevance, queries, allowed)
        except BenchmarkError:
            return
        for name, column in values.items():
            if name.startswith("nDCG"):
                chance = float(values[name.replace("nDCG", CHANCE)].mean())
                yield Measurement(RELEVANCE, task, name, column, self._subjects(index[kept]), chance)

    def _by_caption(self, vector: Vector, vectors: ImageVectors) -> Iterator[Measurement]:
        if vectors.caption_vector is None:
            return
        for dataset in datasets(self.benchmark):
            index = of_dataset(self.benchmark, dataset)
            captions = [self.benchmark.images[i].caption for i in index]
            if not set(captions) & set(vectors.caption):
                continue
            found = text_retrieval(vector[index], captions, vectors.caption, vectors.caption_vector)
            first = [captions.index(vectors.caption[caption]) for caption in found.caption]
            task = f"{dataset} image<->caption"
            i2t, t2i = found.image_to_text_tied, found.text_to_image_tied
            for direction, ahead, chance, subjects, tied in (
                ("i2t", found.image_to_text, found.chance_image_to_text, index[found.image], i2t),
                ("t2i", found.text_to_image, found.chance_text_to_image, index[first], t2i),
            ):
                who = self._subjects(subjects)
                for name, column in recall_and_rank(ahead).items():
                    yield Measurement(TEXT, task, f"{direction}_{name}", column, who, chance[name])
                if tied.any():  # ties count for the right answer: the figures above are too good
                    yield Measurement(TEXT, task, f"{direction}_tied", tied.astype(np.float64), who)

    def _by_concepts(self, vector: Vector) -> Iterator[Measurement]:
        for dataset in datasets(self.benchmark):
            images = self.benchmark.images
            of = of_dataset(self.benchmark, dataset)
            index = np.array([i for i in of if self._concepts.get(images[i].image)], dtype=np.intp)
            subject = self._subject[index] if len(index) else np.array([], dtype=np.str_)
            if len(set(subject.tolist())) < 2:
                continue
            known = [self._concepts[images[i].image] for i in index]
            values = concept_overlap(vector[index], known, subject)
            chance = float(values.pop(CHANCE).mean())
            for name, column in values.items():
                yield Measurement(
                    CONCEPTS, f"{dataset} concepts", name, column, self._subjects(index), chance
                )

    def _by_identity(self, vector: Vector) -> Iterator[Measurement]:
        for dataset, index in identity_datasets(self.benchmark):
            # "T1" of one subject is not the series "T1" of another.
            series = np.array([f"{self._subject[i]}/{self.benchmark.images[i].series}" for i in index])
            found = identify(vector[index], self._subject[index], series)
            who, task = self._subjects(index[found.query]), f"{dataset} same patient, other series"
            yield Measurement(IDENTITY, task, "P@1", found.precision_at_1, who, float(found.chance.mean()))
            at_r = float(found.chance_at_r.mean())
            yield Measurement(IDENTITY, task, "mAP@R", found.average_precision_at_r, who, at_r)

    @cached_property
    def _relevances(self) -> dict[str, dict[str, Relevance]]:
        return {dataset: self._relevances_of(index) for dataset, index in lesion_datasets(self.benchmark)}

    def _relevances_of(self, index: NDArray[np.intp]) -> dict[str, Relevance]:
        masks = [self.benchmark.mask(i) for i in index]
        images = [self.benchmark.pixels(i) for i in index]
        return {
            "mask IoU": MaskOverlap.of_masks(masks),
            "lesion shape (GFD)": ShapeSimilarity.of_masks(masks),
            "grey histogram": GreyHistograms.of_images(images),
        }

    def _subjects(self, index: NDArray[np.intp] | Sequence[int]) -> tuple[str, ...]:
        return tuple(self._subject[np.asarray(index, dtype=np.intp)].tolist())


def aligned(benchmark: Benchmark, vectors: ImageVectors) -> Vector:
    """float32 (n, d), unit rows, in the order of the benchmark.

    Raises:
        BenchmarkError: an image has no vector, or one is named twice.
    """
    where = {name: index for index, name in enumerate(vectors.image)}
    if len(where) != len(vectors.image):
        raise BenchmarkError("An image has two vectors: make them again.")
    missing = [image.image for image in benchmark.images if image.image not in where]
    if missing:
        raise BenchmarkError(
            f"{len(missing)} of {len(benchmark)} images have no vector, first {missing[0]}: these are "
            "vectors of other images."
        )
    return unit_vectors(vectors.vector)[[where[image.image] for image in benchmark.images]]
