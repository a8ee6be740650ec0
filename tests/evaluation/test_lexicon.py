"""What the lexicon finds in English and French sentences, and what it knows to be denied or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.errors import BenchmarkError
from evaluation.lexicon import Lexicon, concepts_of, default_lexicon

ORGANS = [
    ("The liver is normal in size and echotexture.", {"liver"}),
    ("Hepatic echogenicity is mildly increased.", {"liver"}),
    ("Both kidneys are of normal size.", {"kidney"}),
    ("The left renal cortex is thin.", {"kidney"}),
    ("The GB is distended.", {"gallbladder"}),
    ("The common bile duct measures 4 mm.", {"bile ducts"}),
    ("The CBD and the pancreatic duct are not dilated.", {"bile ducts", "pancreas"}),
    ("Splenomegaly of 15 cm is seen.", {"spleen"}),
    ("The urinary bladder is well distended.", {"bladder"}),
    ("A mass of the hepatic flexure.", {"colon"}),
    ("The ovaries are normal and the uterus is anteverted.", {"ovary", "uterus"}),
    ("The heart rate was fast but the heart is of normal size.", {"heart"}),
    ("Consolidation in the right lower lobe with a small pleural effusion.", {"lung", "pleura"}),
    ("Fluid in the maxillary sinuses.", {"paranasal sinus"}),
    ("Le foie est de taille normale.", {"liver"}),
    ("La stéatose hépatique est modérée.", {"liver"}),
    ("La VB est alithiasique.", {"gallbladder"}),
    ("La vésicule biliaire est à paroi fine.", {"gallbladder"}),
    ("Les vésicules séminales sont symétriques.", {"seminal vesicle"}),
    ("Les deux reins sont de taille normale.", {"kidney"}),
    ("Kyste rénal gauche de 3 cm dans le pôle supérieur.", {"kidney"}),
    ("La rate est homogène et le pancréas est bien vu.", {"spleen", "pancreas"}),
    ("Le cœur est de taille normale.", {"heart"}),
    ("L\u2019utérus est antéversé, les ovaires sont normaux.", {"uterus", "ovary"}),
    ("La vessie est en bonne réplétion et la prostate est augmentée de volume.", {"bladder", "prostate"}),
    ("Le lobe droit de la thyroïde est nodulaire.", {"thyroid"}),
    ("LES VOIES BILIAIRES SONT FINES ET LE FOIE EST HOMOGENE.", {"bile ducts", "liver"}),
    ("Nodule du sein droit.", {"breast"}),
    ("La patiente est revenue.", set()),
    ("The main finding was seen at a normal rate.", set()),
]

SPOKEN_OF_THOUGH_DENIED = [
    ("No focal lesion of the liver.", {"liver"}),
    ("No liver lesion is seen.", {"liver"}),
    ("There is no hydronephrosis in either kidney.", {"kidney"}),
    ("Absence of gallbladder wall thickening.", {"gallbladder"}),
    ("Pas de dilatation des voies biliaires intrahépatiques.", {"bile ducts"}),
    ("Absence de lésion hépatique focale.", {"liver"}),
    ("Rate sans anomalie.", {"spleen"}),
    ("The liver has not changed.", {"liver"}),
    ("Les reins ne sont pas dilatés.", {"kidney"}),
    ("No hydronephrosis.", {"kidney"}),
    ("Pas de pneumothorax.", {"pleura"}),
]

ABSENT = [
    ("Status post cholecystectomy.", set()),
    ("S/p splenectomy; the liver is normal.", {"liver"}),
    ("The gallbladder is surgically absent.", set()),
    ("The gallbladder was not visualized.", set()),
    ("No spleen is seen.", set()),
    ("Agenesis of the left kidney.", set()),
    ("The spleen has been removed and the liver is enlarged.", {"liver"}),
    ("The uterus is absent, the bladder is normal.", {"bladder"}),
    ("Patient cholécystectomisé.", set()),
    ("Antécédent de néphrectomie droite.", set()),
    ("La vésicule biliaire n'est pas vue.", set()),
    ("Vésicule biliaire non visualisée, foie homogène.", {"liver"}),
    ("Agénésie du rein gauche.", set()),
    ("Pas de rate visible.", set()),
    ("Absence de la vésicule biliaire.", set()),
    ("Utérus absent après hystérectomie.", set()),
]

STILL_THERE = [
    ("Scheduled for cholecystectomy.", {"gallbladder"}),
    ("Status post partial nephrectomy.", {"kidney"}),
    ("Néphrectomie partielle gauche.", {"kidney"}),
    ("Bilan avant cholécystectomie.", {"gallbladder"}),
]

AFFIRMED = [
    ("A simple cyst of 2 cm.", {"cyst"}),
    ("No cyst, mass or hydronephrosis.", set()),
    ("No cyst but a mass of 3 cm.", {"mass"}),
    ("No evidence of metastases; small stone.", {"stone"}),
    ("Hydronephrosis is not seen.", set()),
    ("An abscess has been ruled out.", set()),
    ("Without calculus or dilatation.", set()),
    ("The duct is non-dilated.", set()),
    ("No change in the mass.", {"mass"}),
    ("A metastasis cannot be excluded.", {"metastasis"}),
    ("There is no acute hemorrhage, infarct, or mass effect.", set()),
    ("Neither fracture nor dislocation.", set()),
    ("Free of stones.", set()),
    ("Pleural effusion without pneumothorax.", {"effusion"}),
    ("Pas de calcul.", set()),
    ("Kyste cortical gauche sans calcification.", {"cyst"}),
    ("Pas d'adénopathie, pas d'épanchement.", set()),
    ("Aucune lésion, mais un calcul de 5 mm.", {"stone"}),
    ("Absence d'ascite.", set()),
    ("Les cavités ne sont pas dilatées.", set()),
    ("Canal non dilaté.", set()),
    ("Sans modification du nodule.", {"nodule"}),
    ("La métastase n'est pas exclue.", {"metastasis"}),
    ("Épanchement non retrouvé.", set()),
    ("Ni fracture ni luxation.", set()),
    ("L'hématome a disparu.", set()),
]


@pytest.mark.parametrize(("sentence", "organs"), [*ORGANS, *SPOKEN_OF_THOUGH_DENIED, *ABSENT, *STILL_THERE])
def test_the_organs_that_a_sentence_speaks_of(sentence: str, organs: set[str]) -> None:
    assert default_lexicon().organs_of(sentence) == organs


@pytest.mark.parametrize(("sentence", "findings"), AFFIRMED)
def test_only_findings_that_are_affirmed_are_concepts(sentence: str, findings: set[str]) -> None:
    found = {c.removeprefix("finding:") for c in concepts_of(sentence) if c.startswith("finding:")}
    assert found - {"normal"} == findings


def test_a_text_s_concepts_are_those_of_all_its_sentences() -> None:
    report = "FINDINGS: The liver is enlarged. No stone.\n\nThere is a cyst of the right kidney."
    assert concepts_of(report) == {
        "organ:liver", "organ:kidney", "finding:enlargement", "finding:cyst"
    }  # fmt: skip


def test_a_word_that_two_languages_share_is_read_in_the_text_s_own() -> None:
    assert default_lexicon().organs_of("La rate est normale.") == {"spleen"}
    assert default_lexicon().organs_of("The rate is normal.") == set()
    assert default_lexicon().organs_of("rate", "fr") == {"spleen"}


def test_an_abbreviation_counts_in_capitals_only() -> None:
    lexicon = default_lexicon()
    assert lexicon.organs_of("The GB is thin.") == {"gallbladder"}
    assert lexicon.organs_of("The gb is thin.") == set()


def test_a_user_s_own_lexicon_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("concept,kind,region,language,terms\nmilz,organ,abdomen,,Milz|splen*\n", encoding="utf-8")
    assert Lexicon.read(path).organs_of("Die Milz. Splenomegalie.") == {"milz"}


@pytest.mark.parametrize(
    "text",
    ["concept,terms\n", "concept,kind,region,language,terms\nliver,muscle,,en,liver\n"],
)
def test_a_lexicon_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BenchmarkError, match="exicon"):
        Lexicon.read(path)


def test_a_lexicon_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="cannot be read"):
        Lexicon.read(tmp_path / "none.csv")
