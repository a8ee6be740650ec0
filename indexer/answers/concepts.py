"""The coded concepts that no standard scheme has, and the scheme that defines them: 99CBIR.

| Code            | Meaning                          | Used as                                      |
|-----------------|----------------------------------|----------------------------------------------|
| similar-image   | Similar image                    | IMAGE: the prior case's frame that is alike  |
| similarity      | Visual similarity score          | NUM, no units, in [-1, 1], larger is nearer  |
| percentage      | Less alike pairs of this archive | NUM, percent, of different patients          |
| rank            | Rank among similar cases         | NUM, no units, 1 is the most alike           |
| likeness        | Likeness                         | CODE, one of the five below                  |
| nearly-the-same | Nearly the same                  |                                              |
| very-alike      | Very alike                       |                                              |
| alike           | Alike                            |                                              |
| somewhat-alike  | Somewhat alike                   |                                              |
| hardly-alike    | Hardly alike                     |                                              |
| whose           | Whose case                       | CODE, one of the three below                 |
| other-patient   | Another patient                  |                                              |
| same-patient    | The same patient                 |                                              |
| possible-same   | Possibly the same person         | another patient by its id                    |
| carried-by      | Series that carried the match    | TEXT: modality, sequence and plane           |
| region          | Region asked about               | SCOORD on the source                         |
| place           | Place where the region was found | SCOORD on the similar image                  |
| asked           | How it was asked                 | TEXT: a phrase for each way                  |
| outcome         | Outcome of similar case search   | CODE, one of the three below                 |
| found           | Similar prior cases found        |                                              |
| none-found      | No similar prior case found      |                                              |
| refused         | Question refused                 | the comment says why                         |
"""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from indexer.answers.words import Likeness

SCHEME: Final = "99CBIR"

SIMILAR_IMAGE: Final = Code("similar-image", SCHEME, "Similar image")
SIMILARITY: Final = Code("similarity", SCHEME, "Visual similarity score")
PERCENTAGE: Final = Code("percentage", SCHEME, "Less alike pairs of this archive")
RANK: Final = Code("rank", SCHEME, "Rank among similar cases")
LIKENESS: Final = Code("likeness", SCHEME, "Likeness")
LIKENESSES: Final = {
    Likeness.NEARLY_THE_SAME: Code("nearly-the-same", SCHEME, "Nearly the same"),
    Likeness.VERY_ALIKE: Code("very-alike", SCHEME, "Very alike"),
    Likeness.ALIKE: Code("alike", SCHEME, "Alike"),
    Likeness.SOMEWHAT_ALIKE: Code("somewhat-alike", SCHEME, "Somewhat alike"),
    Likeness.HARDLY_ALIKE: Code("hardly-alike", SCHEME, "Hardly alike"),
}
WHOSE: Final = Code("whose", SCHEME, "Whose case")
OTHER_PATIENT: Final = Code("other-patient", SCHEME, "Another patient")
SAME_PATIENT: Final = Code("same-patient", SCHEME, "The same patient")
POSSIBLE_SAME_PERSON: Final = Code("possible-same", SCHEME, "Possibly the same person")
CARRIED_BY: Final = Code("carried-by", SCHEME, "Series that carried the match")
REGION: Final = Code("region", SCHEME, "Region asked about")
PLACE: Final = Code("place", SCHEME, "Place where the region was found")
ASKED: Final = Code("asked", SCHEME, "How it was asked")
OUTCOME: Final = Code("outcome", SCHEME, "Outcome of similar case search")
FOUND: Final = Code("found", SCHEME, "Similar prior cases found")
NONE_FOUND: Final = Code("none-found", SCHEME, "No similar prior case found")
REFUSED: Final = Code("refused", SCHEME, "Question refused")

SOURCE: Final = Code("260753009", "SCT", "Source")
QUALITATIVE_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")


def scheme_identification() -> Dataset:
    """The item of (0008,0110) that says who defines 99CBIR."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = "pacs-cbir concepts"
    item.CodingSchemeResponsibleOrganization = "pacs-cbir"
    return item
