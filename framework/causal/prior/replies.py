"""Parser for the replies of a language model to multiple-choice questions.

An ambiguous reply is not read: a wrong answer costs more than a lost one.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence

LETTERS = "ABCD"  # stand for the options, in their order

# parts of a reply that are no answer
_THOUGHTS = re.compile(
    r"[<\[\u25c1](/?)\s*(?:think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection|scratchpad)\s*[>\]\u25b7]", re.I
)
_FINAL, _CHANNEL, _TOKEN = "<|channel|>final<|message|>", "<|channel|>", re.compile(r"<\|[\w]*\|>|</?s>")
_FENCE = re.compile(r"```\w*")
_DECORATION = str.maketrans(
    "", "", "*_`\"'\u201c\u201d\u2018\u2019\ufe0f\u200b\u2060\ufeff"
)  # Markdown, quotes, joiners
_WIDE = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {0x3002: ".", 0x3001: ",", 0x3000: " "}

# the answer as a mark of its own
_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\[a-z]+\s*\{)?([^{}]{0,300})\}(?:\s*\})?")
_TAGGED = re.compile(r"<\s*(answer|final_?answer|choice)\s*>([^<]{0,300})<\s*/\s*\1\s*>", re.I)
_FIELDS = ("answer", "final_answer", "final answer", "choice")
_MOST_OBJECTS = 50  # of JSON in a reply

# the answer in words
_SO = r"(?:(?:so|thus|hence|therefore|overall|in\s+conclusion)\b[,:]?\s+)?"
_I = r"(?:(?:i|we)\s+(?:think|believe|conclude|would\s+say)\s+(?:that\s+)?)?"
_NOUN = r"(?:(?:the|my|our)\s+)?(?:(?:final|correct|best|right)\s+)*(?:answer|choice|option|letter|assistant)\b"
_CHOOSE = r"(?:i|we)(?:\s+would|\W?d)?\s+(?:choose|pick|select|say|go\s+with)\b"
_FOREIGN = (
    r"(?:\u6b63\u786e)?(?:\u7b54\u6848|\u56de\u7b54|\u7b54\u3048)(?:\u662f|\u4e3a|\u306f)?|"
    r"(?:antwort|r[e\u00e9]ponse|respuesta|resposta|risposta|[\u041e\u043e]\u0442\u0432\u0435\u0442|svar|cevap)(?=\s*[:=])"
)
_IS = r"(?:\s+(?:is|(?:would|must|should)\s+be)\b)?"
_LEAD = rf"{_SO}(?:{_I}(?:{_NOUN}|{_FOREIGN}){_IS}|{_CHOOSE})\s*(?:[:=]\s*)?(?:option\s+)?"
_STATED = re.compile(rf"(?P<lead>{_LEAD})?[(\[]?(?P<letter>[A-Z])\b[)\]]?(?P<rest>.*)", re.I | re.A | re.S)
_BREAK = re.compile(r"[.:!,;]?\s*\n|[.!]\s")  # the statement ends, prose follows
_BECAUSE = re.compile(r"\s*[,;:\u2013\u2014-]?\s*(?:because|since|as|given|due)\b", re.I)
_CLAUSE = re.compile(r"\s*[:\u2013\u2014,]\s|\s-\s|\s*\(")  # words of its own follow
_NEGATION = re.compile(
    r"\W*(?:no|not|never|none|nope|wrong|false|incorrect|unlikely|impossible|if|unless|or|and)\b", re.I
)
_RETRACTION = re.compile(
    r"\?|\b(?:wait|actually|second\s+thoughts?|hindsight|correction|incorrect|wrong|mistaken?|mistakes|false|sorry|"
    r"apolog\w+|reconsider\w*|retract\w*|rather|instead|either|hmm+|isn\W?t|is\s+not\s+(?:right|correct|true|the)|"
    r"not\s+(?:that|it|the\s+answer))\b",
    re.I,
)
_UNKNOWN = re.compile(
    r"\b(?:unsure|uncertain|not\s+(?:sure|certain)|unknown|cannot\s+be\s+(?:known|determined)|"
    r"can(?:no|\W)?t\s+(?:say|tell|know|determine|answer)|do(?:es)?(?:\s+not|n\W?t)\s+know)\b",
    re.I,
)
_NEITHER = re.compile(r"\bneither\b", re.I)

# capitals that are no options
_APART = re.compile(rf"(?<![^\W_])[{LETTERS}](?![^\W_])")
# the article before a noun; A may be an option in "A was", "A holds", "A probably"
_ARTICLE = re.compile(r"(?:^|(?<=[.!:;] ))A (?P<word>[a-z][a-z-]{2,}) (?=[a-z])", re.M)
_COMPOUND = re.compile(r"\b(?:vitamin|hepatitis|protein|h[a]?emoglobin|cytochrome|interleukin)s?\s[A-D]\b", re.I)
_NO_NOUN = re.compile(
    r"(?:and|nor|but|was|were|had|would|could|should|can|cannot|may|might|must|will|then|because|since|not|also|only|"
    r"rather|instead|the|answer|option|choice|right|wrong|correct|incorrect|true|false|when|while|though|although|than|"
    r"for|with|over|too|better|best|more|most|itself|alone|here|who|which|that|remain|hold|fit|\w*ly|\w*[^s]s)\Z"
)


def read(options: Sequence[str], reply: str, names: Sequence[str] = ()) -> str | None:
    """Reads the letter of the option that a reply names.

    Read is a letter by itself, decorated or not ("**A**", "(a)", "Answer: A."), perhaps with its own option's words, a
    reason ("B, because ..", "B. The second ..") or prose below it; a last line or sentence "The answer is B."; one in
    a mark (`\\boxed{B}`, `<answer>B</answer>`) or under `answer` in JSON, wherever it stands; and an option's words
    alone. Thoughts that end before the answer (`</think>`, analysis channels) do not count, and thoughts that never end
    are no answer.

    Not read is a reply that names another option as well, denies or takes back what it says, or gives another option's
    words. The article A, a vitamin C, and the columns' own names are no options.

    Args:
      options: what the letters stand for, in their order.
      reply: the text.
      names: the two columns that the question is about.

    Returns:
      One of `LETTERS`, or None.
    """
    text = _plain_text(_after_thoughts(reply))
    for letter, option in zip(LETTERS, options, strict=False):
        if text and _words(text) == _words(option):
            return letter
    marks = list(_marks(text))
    if marks:
        texts = [content.translate(_DECORATION).strip() if isinstance(content, str) else "" for _, content in marks]
        letters = {_read_statement(options, content, names) for content in texts}
        letter = letters.pop() if len(letters) == 1 else None
        for (begin, end), _ in reversed(marks):
            text = text[:begin] + " " + text[end:]
    else:
        text = text.translate(_DECORATION)
        letter = _read_statement(options, text, names) or _read_last_statement(options, text, names)
    return letter if letter and _option_letters(text, names) <= {letter} else None


def _after_thoughts(reply: str) -> str:
    """The reply after the reasoning; empty if the reasoning never ends."""
    if _CHANNEL in reply:
        reply = reply.rpartition(_FINAL)[2].partition("<|")[0] if _FINAL in reply else ""
    tags = list(_THOUGHTS.finditer(reply))
    if not tags:
        return _TOKEN.sub("", reply)
    after = reply[tags[-1].end() :] if tags[-1][1] else ""
    if not after.strip() and len(tags) == 2:  # reasons below the answer
        after = reply[: tags[0].start()] if tags[1][1] and not tags[0][1] else ""
    return _TOKEN.sub("", after)


def _plain_text(text: str) -> str:
    """ASCII letters and punctuation for wide ones, without symbols and the marks at a line's beginning."""
    text = text.translate(_WIDE)
    text = "".join(" " if ord(c) > 127 and unicodedata.category(c) == "So" else c for c in text)
    lines = (re.sub(r"\A(?:[#>\s]+|[-\u2022] )", "", " ".join(line.split())) for line in text.splitlines())
    return "\n".join(line for line in lines if line and line != "$" and not _FENCE.fullmatch(line))


def _words(text: str) -> str:
    return " ".join(text.translate(_DECORATION).casefold().split()).rstrip(".")


def _marks(text: str) -> Iterator[tuple[tuple[int, int], object]]:
    """The answers in explicit marks, each with its span, in order."""
    marks: list[tuple[tuple[int, int], object]] = [(match.span(), match[1]) for match in _BOXED.finditer(text)]
    marks += [(match.span(), match[2]) for match in _TAGGED.finditer(text)]
    marks += _objects(text)
    return iter(sorted(marks, key=lambda mark: mark[0]))


def _objects(text: str) -> Iterator[tuple[tuple[int, int], object]]:
    """The answers in JSON objects; None for an object without one."""
    answers: list[object] = []

    def collect(pairs: list[tuple[str, object]]) -> dict:
        answers.extend(value for name, value in pairs if name.casefold() in _FIELDS)
        return dict(pairs)

    decoder, begin = json.JSONDecoder(object_pairs_hook=collect), 0
    for _ in range(_MOST_OBJECTS):
        begin = text.find("{", begin)
        if begin < 0:
            return
        answers.clear()
        try:
            _, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            begin += 1
            continue
        yield from (((begin, end), answer) for answer in answers or [None])
        begin = end


def _read_statement(options: Sequence[str], text: str, names: Sequence[str], needs_lead: bool = False) -> str | None:
    """The letter of an offered option that a text states, with nothing after it that would say otherwise."""
    match = _STATED.fullmatch(text)
    if match is None or (needs_lead and not match["lead"]):
        return None
    letter, rest = match["letter"].upper(), match["rest"]
    if letter not in LETTERS[: len(options)]:
        return None
    option = options[LETTERS.index(letter)]
    rest_text = re.sub(r"\A(?:[.:)]|\s[-=\u2013\u2014])?\s+", "", rest)
    if re.fullmatch(r"[.:!)\]]*\s*", rest) or _words(rest_text) == _words(option):
        return letter
    explicit = match["lead"] or match["letter"].isupper()
    ended = _BREAK.match(rest) and (explicit or "\n" in rest[:3])
    reasoned = _BECAUSE.match(rest) and explicit
    clause = _CLAUSE.match(rest) and explicit and not all(name in rest for name in names or ("",))
    article = letter == "A" and rest.startswith(" (") and not (match["lead"] and match["letter"].isupper())
    if not (ended or reasoned or clause) or article or _contradicts(letter, rest, options):
        return None
    return letter


def _contradicts(letter: str, rest: str, options: Sequence[str]) -> bool:
    """True if what follows a letter denies it, takes it back, or gives another option's words."""
    index = LETTERS.index(letter)
    others = [_words(option) for k, option in enumerate(options) if k != index]
    rest_words = _words(rest)
    return bool(
        _NEGATION.match(rest)
        or _RETRACTION.search(rest)
        or (index != 3 and _UNKNOWN.search(rest))
        or (index != 2 and _NEITHER.search(rest))
        or any(words and words in rest_words for words in others)
    )


def _read_last_statement(options: Sequence[str], text: str, names: Sequence[str]) -> str | None:
    """The letter, if the last line or the last sentence states it in so many words."""
    lines = text.splitlines()
    last = lines[-1] if lines else ""
    sentence = re.split(r"(?<=[.!]) ", last)[-1]
    return _read_statement(options, last, names, needs_lead=True) or _read_statement(
        options, sentence, names, needs_lead=True
    )


def _option_letters(text: str, names: Sequence[str]) -> set[str]:
    """The options that a text names by their letters."""
    for name in names:
        text = text.replace(name, "it") if len(name) > 1 else text
    text = _ARTICLE.sub(lambda match: match[0] if _NO_NOUN.match(match["word"]) else " ", _COMPOUND.sub(" ", text))
    return set(_APART.findall(text))
