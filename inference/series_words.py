"""What people and devices write about a series, in English and French, as the few words that are kept.

The text itself is matched and never kept: a description may hold a name.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST: Final = 256
"""Characters that are read: a description has 64 at most (PS3.5 6.2, VR LO)."""

_LEFT: Final = r"(?<![a-z0-9])"
_RIGHT: Final = r"(?![a-z0-9])"


def _any_of(*patterns: str) -> re.Pattern[str]:
    return re.compile(_LEFT + "(?:" + "|".join(patterns) + ")" + _RIGHT)


_LOCALIZER: Final = _any_of(
    r"loc(?:s|ali[sz]er\w*|ali[sz]ation|ator)?\d*",
    r"[a-z]?loc",
    r"survey\w*",
    r"scout\w*",
    r"surview",
    r"topogram\w*",
    r"scanogram\w*",
    r"reperage\w*",
    r"3 ?plans?",
    r"3 ?planes?",
    r"three plane",
)

_MR_SEQUENCES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("LOC", _LOCALIZER),
    ("ADC", _any_of(r"\w*adc\d*", r"cda", r"apparent diffusion.*", r"diffusion apparent\w*")),
    (
        "DWI",
        _any_of(
            r"[a-z]{0,3}dwi\w*",
            r"dw",
            r"diff\w*",
            r"[a-z]?dti\w*",
            r"b ?\d{3,4}s?",
            r"trace\w*",
            r"tenseur\w*",
            r"ep b\d+\w*",
        ),
    ),
    ("PERF", _any_of(r"perf\w*", r"pwi", r"dsc", r"dce", r"[a-z]?asl", r"r?cb[fv]", r"mtt", r"ttp")),
    ("BOLD", _any_of(r"bold\w*", r"fmri\w*", r"irmf", r"epfid\w*")),
    ("MRS", _any_of(r"mrs", r"spectro\w*", r"svs", r"h1 ?mrs")),
    ("TOF", _any_of(r"\d?d? ?tof\w*", r"[a-z]*tof")),
    ("MRA", _any_of(r"\w*mra", r"angio\w*", r"mrv", r"arm tsa\w*", r"inhance\w*", r"twist\w*", r"tricks")),
    (
        "T2STAR",
        _any_of(
            r"swi\w*",
            r"swan\w*",
            r"swip",
            r"veno ?bold",
            r"hemo\w*",
            r"[a-z]?t2w? ?(?:\*|star|etoile)",
            r"t2w? ?(?:eg|ge|gre|ffe|medic|fl2d|merge)",
            r"(?:eg|gre|ge) t2w?",
            r"mpgr",
        ),
    ),
    ("T1", _any_of(r"t1w? ?(?:se |tse |fse |\w+ )?flair\w*", r"flair t1\w*", r"t1 ?(?:tirm|ir)\w*")),
    ("FLAIR", _any_of(r"\w*flair\w*", r"dark ?fluid\w*")),
    ("STIR", _any_of(r"\w*stir\w*", r"t2 tirm\w*", r"tirm\w*")),
    ("SSFP", _any_of(r"ciss\w*", r"fiesta\w*", r"true?fi(?:sp)?\w*", r"b[tf]fe", r"ssfp")),
    ("PD", _any_of(r"[a-z]?pd(?!c)\w{0,3}", r"dp", r"(?:densite|density)? ?(?:de )?proton\w*(?: density)?")),
    ("T2", _any_of(r"[a-z]{0,2}t2(?!\d)\w*", r"haste\w*", r"ss ?fse", r"mrcp\w*", r"bili ?irm")),
    (
        "T1",
        _any_of(
            r"[a-z]{0,2}t1(?!\d|rho)\w*",
            r"\w*mp ?rage\w*",
            r"[a-z]?bravo",
            r"f?spgr",
            r"vibe\w*",
            r"thrive\w*",
            r"lava\w*",
            r"tfl3d\w*",
        ),
    ),
)

_WITHOUT: Final = _any_of(
    r"sans(?: (?:contraste|injection|inj|pdc|gado\w*|iv|produit\w*))?",
    r"s(?: )?pdc",
    r"spc",
    r"non ?(?:contrast\w*|inj\w*|enhanced|ce)",
    r"(?:without|w/o|wo)(?: ?(?:contrast\w*|iv|gd|gado\w*|c))?",
    r"no (?:contrast\w*|iv|gd|gado\w*|c)",
    r"unenhanced",
    r"native?",
    r"plain",
    r"ncct",
    r"pre ?(?:contrast|gd|gado\w*|inj\w*|c)?",
    r"avant (?:contraste|injection|inj|gado\w*)",
)
_SIGNED_WITHOUT: Final = _any_of(r"(?:c|iv) -(?! [a-z0-9])")
_SWALLOWED: Final = _any_of(r"(?:gi|oral|rectal|po) contrast\w*", r"contraste? (?:oral|rectal|digestif)\w*")
_CONTRAST_AGENT: Final = _any_of(
    r"avec(?: (?:contraste|injection|inj|pdc|gado\w*|iv|produit\w*))?",
    r"apc",
    r"apres (?:contraste|injection|inj|gado\w*)",
    r"inj\w*",
    r"(?:with|w/|w) ?(?:contrast|iv|gd|gado\w*)",
    r"(?:iv )?contrast\w*",
    r"gado\w*",
    r"gd(?:tpa)?",
    r"km",
    r"dotarem",
    r"magnevist",
    r"(?:pro)?hance",
    r"post(?: ?(?:contrast\w*|gd|gado\w*|inj\w*|c))?(?! ?op)",
    r"ce",
    r"enhanced",
    r"\+ ?(?:c|gd|gado\w*|k)",
    r"c ?\+",
    r"iv ?\+",
    r"[a-z]{0,2}t1w?(?:ce|c|gd|gado|km|post)",
)
_CONTRAST_PHASE: Final = _any_of(
    r"portal\w*",
    r"porte",
    r"arter\w*",
    r"venous",
    r"vein\w*",
    r"tardif\w*",
    r"delayed",
    r"nephro\w*",
    r"angio\w*",
    r"cta",
    r"perf\w*",
    r"embol\w*",
)

_PLANES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("AXIAL", _any_of(r"ax(?:ial\w*|iaux)?", r"tra(?:ns\w*)?")),
    ("CORONAL", _any_of(r"cor(?:onal\w*|onaux)?")),
    ("SAGITTAL", _any_of(r"sag(?:it\w*)?")),
)
_PROJECTIONS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("FRONTAL", _any_of(r"pa", r"ap", r"face", r"front\w*")),
    ("LATERAL", _any_of(r"profil\w*", r"lat(?:eral\w*)?", r"ll", r"rl")),
)
_MAMMOGRAPHY: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("MLO", _any_of(r"[rl]? ?mlo", r"oblique\w*", r"obl")),
    ("CC", _any_of(r"[rl]? ?x?cc[a-z]{0,2}", r"face")),
    ("LATERAL", _any_of(r"[rl]? ?(?:ml|lm)", r"profil\w*", r"lat\w*")),
)


def plain(text: str) -> str:
    """Lower case, without accents, with one space for whatever devices put between words."""
    decomposed = unicodedata.normalize("NFKD", text[:LONGEST]).lower()
    letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    spaced = re.sub(r"([+-])", r" \1 ", re.sub(r"[^a-z0-9*+/-]+", " ", letters))
    return " ".join(spaced.split())


def mr_sequence(text: str) -> str:
    """The sequence of MR that a plain text names; empty when it names none, or both T1 and T2."""
    found = next((word for word, pattern in _MR_SEQUENCES if pattern.search(_joined(text))), "")
    return "" if found == "T2" and names(text, "T1") else found


def names(text: str, sequence: str) -> bool:
    """Whether a plain text names this sequence of MR, whatever else it names."""
    return any(word == sequence and pattern.search(_joined(text)) for word, pattern in _MR_SEQUENCES)


def is_localizer(text: str) -> bool:
    """Whether a plain text speaks of a localizer."""
    return _LOCALIZER.search(_joined(text)) is not None


def has_contrast(text: str, *, phases: bool) -> bool | None:
    """Whether a plain text says with or without a contrast agent; None when neither, or both.

    `phases` lets the phase of an injection (arterial, portal ...) count, as it does for CT.
    """
    rest = _joined(_SIGNED_WITHOUT.sub(" ", text))
    bare = _WITHOUT.sub(" ", _SWALLOWED.sub(" ", rest))
    without = rest != _joined(text) or _WITHOUT.search(rest) is not None
    given = _CONTRAST_AGENT.search(bare) is not None or (phases and _CONTRAST_PHASE.search(bare) is not None)
    return None if given == without else given


def plane(text: str) -> str:
    """The plane of slices that a plain text names; empty when it names none, or two."""
    return _only(_PLANES, text)


def projection(text: str) -> str:
    """FRONTAL or LATERAL, where a plain text names one of them."""
    return _only(_PROJECTIONS, text)


def mammogram(text: str) -> str:
    """CC, MLO or LATERAL, where a plain text names one of them."""
    return _only(_MAMMOGRAPHY, text)


def _only(words: tuple[tuple[str, re.Pattern[str]], ...], text: str) -> str:
    found = [word for word, pattern in words if pattern.search(_joined(text))]
    return found[0] if len(found) == 1 else ""


def _joined(text: str) -> str:
    """Without hyphens: MP-RAGE is one word as much as T2-TSE is two."""
    return text.replace(" - ", " ")
