"""Which filter does a text such as "g DECam SDSS c0001 4720.0" name, and at which wavelength does it see?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isnan, nan

LETTERS_NM = {
    "u": 355.0, "b": 445.0, "g": 477.0, "v": 551.0, "r": 622.0, "i": 763.0, "z": 905.0, "y": 1000.0, "j": 1250.0,
    "h": 1640.0, "k": 2160.0,
}  # fmt: skip
WORDS_NM = {
    "fuv": 153.0, "nuv": 227.0, "vis": 720.0, "w1": 3353.0, "w2": 4603.0, "w3": 11561.0, "w4": 22088.0,
    "irac1": 3550.0, "irac2": 4490.0, "irac3": 5730.0, "irac4": 7870.0, "blue": 450.0, "green": 550.0,
    "red": 650.0,
}  # fmt: skip
SURVEYS = frozenset({
    "sdss", "des", "decam", "decals", "ls", "legacysurvey", "hsc", "lsst", "ps1", "panstarrs", "2mass", "vista",
    "viking", "vhs", "ukidss", "nir", "nisp", "euclid", "cfht", "cfhtls", "megacam", "kids", "skymapper", "acs",
    "wfc3", "wfpc2", "nircam", "miri", "niriss", "hst", "jwst", "roman", "wfi", "galex", "wise", "sci", "image",
    "band", "filter", "filt",
})  # fmt: skip
SPACE_FILTER = re.compile(r"f(?P<number>\d{3,4})(?P<width>lp|w2|w|m|n|x)?")
# Webb counts in 10 nm as Hubble's infrared camera does, Hubble's optical cameras in nm; below F200 all but the
# long-pass filters of the ultraviolet are infrared.
WEBB = frozenset({
    "f200w", "f210m", "f212n", "f250m", "f277w", "f300m", "f322w2", "f323n", "f335m", "f356w", "f360m", "f380m",
    "f405n", "f410m", "f430m", "f444w", "f460m", "f466n", "f470n", "f480m", "f560w", "f770w", "f205w", "f222m",
})  # fmt: skip
INFRARED_BELOW = 200
PREFIX = "|".join(sorted(SURVEYS))
LETTER = re.compile(rf"(?P<before>{PREFIX})?(?P<letter>[{''.join(LETTERS_NM)}])(?:band|')?|(?P<k>ks)")
SAYS_SO = ("band", "filter", "filt")  # after which a letter is a filter, whatever its case
LETTER_IN_HEADER = re.compile(rf"^(?P<letter>[{''.join(LETTERS_NM)}])(?:p|prime|2)$")  # HSC-I2, and g' as gp
NARROW = frozenset({"alpha", "beta", "halpha", "hbeta", "oiii", "oii", "nii", "sii", "nb"})
NOTHING = re.compile(r"clear.*|open|none|n/?a|unknown|empty|blank|block|[\d. +-]*", re.IGNORECASE)
TOKENS = re.compile(r"[a-z0-9]+'?")
LONGEST_NAME = 12
NANOMETRES = re.compile(r"(?P<number>\d+(\.\d+)?)nm")


def band_word(token: str) -> str:
    """Return the filter that one word of a name names, or nothing; "F814W", "g", "Ks" and "rband" do.

    A letter is set off from a survey before it, or "lsb" and "desk" would name filters.

    Example:
        >>> band_word("G"), band_word("f814w"), band_word("sdssG"), band_word("NGC"), band_word("lsb")
        ('g', 'F814W', 'g', '', '')
    """
    found = LETTER.fullmatch(token.strip().lower())
    before = found["before"] if found else None
    if before and before not in SAYS_SO and before[-1].isalpha():
        cases = [sign.isupper() for sign in token.strip()[len(before) - 1 : len(before) + 1]]
        if cases[0] == cases[1]:
            return ""
    return stated_filter(token)


def stated_filter(token: str) -> str:
    """Return the filter that one word names where a filter is expected, as in a header: there "sdssg" is g, too."""
    word = token.strip().lower()
    if SPACE_FILTER.fullmatch(word):
        return word.upper()
    if word in WORDS_NM:
        return word
    found = LETTER.fullmatch(word)
    return (found["letter"] or "k") if found else ""


def filter_of(text: object) -> str:
    """Return the filter that a header's text names, by its letter or usual name; as it stands where it is unknown.

    It holds no comma, which stands between the names of several.

    Example:
        >>> filter_of("g DECam SDSS c0001 4720.0 1520.0"), filter_of("HSC-I2"), filter_of("CLEAR1L")
        ('g', 'i', '')
        >>> filter_of("Halpha,656nm")
        'Halpha 656nm'
    """
    whole = " ".join(str(text).replace(",", " ").split())
    if NOTHING.fullmatch(whole):
        return ""
    tokens = TOKENS.findall(whole.lower())
    words = (LETTER_IN_HEADER.sub(r"\g<letter>", token) for token in tokens)
    found = [] if NARROW.intersection(tokens) else [stated_filter(word) for word in words]
    known = [band for band in found if band]
    named = [
        found for found in known if found not in LETTERS_NM
    ] or known  # "NIRCam F444W" names one, not two
    return named[-1] if named else whole[:LONGEST_NAME].strip()


def wavelength_nm(name: str) -> float:
    """Return the wavelength about which a filter sees [nm], NaN where it is unknown.

    Example:
        >>> wavelength_nm("HSC-G"), wavelength_nm("F814W"), wavelength_nm("F444W"), wavelength_nm("F125W")
        (477.0, 814.0, 4440.0, 1250.0)
    """
    stated = NANOMETRES.fullmatch(name)
    if stated:
        return float(stated["number"])
    known = filter_of(name).lower()
    space = SPACE_FILTER.fullmatch(known)
    if space is None:
        return {**WORDS_NM, **LETTERS_NM}.get(known, nan)
    number, width = int(space["number"]), space["width"]
    infrared = known in WEBB or width is None or number < INFRARED_BELOW or len(space["number"]) > 3
    return 10.0 * number if infrared and width != "lp" else float(number)


def red_first(names: Sequence[str]) -> tuple[str, ...]:
    """Order bands by wavelength, the reddest first as in a display image; unknown names stay as they are.

    Example:
        >>> red_first(("g", "r", "i")), red_first(("F277W", "F814W", "F444W")), red_first(("a", "b"))
        (('i', 'r', 'g'), ('F444W', 'F277W', 'F814W'), ('a', 'b'))
    """
    return tuple(sorted(names, key=lambda name: -wavelength_nm(name))) if are_known(names) else tuple(names)


def are_known(names: Sequence[str]) -> bool:
    """Whether there are names and the wavelength of each of them is known, so that they can be put in order."""
    return bool(names) and not any(isnan(wavelength_nm(name)) for name in names)


def as_viewed(names: Sequence[str], stretch: str) -> tuple[str, ...]:
    """Order bands as a stretch shows them: the viewer's takes those whose order is unknown to lie as g, r, z do.

    Example:
        >>> as_viewed(("one", "two", "three"), "viewer"), as_viewed(("z", "r", "g"), "viewer")
        (('three', 'two', 'one'), ('z', 'r', 'g'))
    """
    return tuple(names) if stretch != "viewer" or are_known(names) else tuple(names)[::-1]


def named_twice(names: Sequence[str]) -> str | None:
    """Return the first name that stands there more than once, in whatever case; None if there is none."""
    small = [name.lower() for name in names]
    return next((name for name in names if small.count(name.lower()) > 1), None)


def split_names(text: str, bands: int) -> tuple[str, ...]:
    """Split the names of so many bands: "g,r,z", "g r z", '["g", "r"]', "grz"; empty where it does not fit.

    Example:
        >>> split_names("z, r, g", 3), split_names("grz", 3), split_names("DES-G DES-R", 2), split_names("grz", 2)
        (('z', 'r', 'g'), ('g', 'r', 'z'), ('DES-G', 'DES-R'), ())
    """
    plain = re.sub(r"[\[\](){}\"]|(?<![a-z])'|'(?=\s*(,|$|\]))", " ", text.strip(), flags=re.IGNORECASE)
    for separators in (r"[,;|/]", r"[,;|/\s:+]+", r"[,;|/\s:+\-_]+"):
        parts = [part.strip() for part in re.split(separators, plain.strip()) if part.strip()]
        if len(parts) == bands:
            return tuple(parts)
    letters = plain.strip()
    return tuple(letters) if len(letters) == bands and letters.isalpha() else ()
