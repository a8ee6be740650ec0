"""The coded concepts that no standard scheme has, and the scheme that defines them: 99CBIR.

| Code          | Meaning                        | Used as                                                 |
|---------------|--------------------------------|---------------------------------------------------------|
| similar-image | Similar image                  | IMAGE: the frame of a prior case that looks alike       |
| similarity    | Visual similarity score        | NUM, no units, in [-1, 1], larger is nearer             |
| rank          | Rank among similar cases       | NUM, no units, 1 is the most alike                      |
| outcome       | Outcome of similar case search | CODE, one of the three below                            |
| found         | Similar prior cases found      |                                                         |
| none-found    | No similar prior case found    |                                                         |
| refused       | Question refused               | the comment says why                                    |
"""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

SCHEME: Final = "99CBIR"

SIMILAR_IMAGE: Final = Code("similar-image", SCHEME, "Similar image")
SIMILARITY: Final = Code("similarity", SCHEME, "Visual similarity score")
RANK: Final = Code("rank", SCHEME, "Rank among similar cases")
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
