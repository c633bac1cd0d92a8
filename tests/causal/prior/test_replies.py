import pytest

from framework.causal.prior import replies

OPTIONS = ("moving salt shifts mud.", "moving mud shifts salt.", "neither moves the other.", "it cannot be known.")
NAMES = ("salt", "mud")


def read(reply, options=OPTIONS):
    return replies.read(options, reply, NAMES)


READABLE = [
    # thoughts before the answer
    *("<think>A or C?</think>{}", "It may be A.\n</think>\n\n{}", "<thinking>A?</thinking>\n{}", "[THINK]A[/THINK]{}"),
    *("<think>\nno\n</think>\n\n**Answer: {}**", "<Thought>A</Thought>\nThe answer is {}."),
    "<|channel|>analysis<|message|>A? C?<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>",
    # marks of its own
    *("\\boxed{{{}}}", "The answer is \\boxed{{{}}}.", "Mud moves first.\n$$\n\\boxed{{\\text{{{}}}}}\n$$"),
    *("<answer>{}</answer>", "<Answer> {} </Answer>", "Mud it is.\n<answer>{}</answer>\nThat is all."),
    "<answer>{}</answer>\n<reasoning>A is no cause.</reasoning>",
    # JSON wherever it stands
    'Here it is:\n```json\n{{"answer": "{}"}}\n```\nGood luck!',
    'Sure. {{"confidence": 0.9, "Answer": "{}", "reason": "A is too late"}}',
    '{{"result": {{"answer": "{}"}}}}',
    '```\n{{"final_answer": "({})"}}\n```',
    # in words
    *("I think the answer is {}.", "I believe that the correct option is {}", "So, the answer is {}.", "I choose {}."),
    *("I'd say {}.", "I would go with {}", "So the answer must be {}.", "<analysis>A?</analysis>\n{}"),
    "\u6b63\u786e\u7b54\u6848\u662f{}",
    *(
        "My final answer: **{}**",
        "### Answer\n\n**{}**",
        "Answer = {}",
        "The best choice would be {}.",
        "Assistant: {}",
    ),
    *("Antwort: {}", "R\u00e9ponse : {}", "\u7b54\u6848\uff1a{}", "\u7b54\u6848\u662f{}", "\u2705 {}", "> {}", "- {}"),
    "The mud comes first. The answer is {}.",
    "The mud comes first.\nIt drives the salt.\n\nFinal answer: {}",
    # with a reason
    *("{}, because the second drives the first.", "{} because of the mud", "The answer is {} since mud moves salt."),
    *("{}. The second one drives the first.", "{}: yes", "{} - the second one", "{} (the second drives the first)"),
    *("{}\n\nA higher value of one drives the other.", "{}. A rise of one lifts the other.", "{}!"),
    *("Answer: {}\nVitamin C is not involved.", "**Answer: {}**\n\nThe second one moves the first."),
    "{}\n\nExplanation: A strong mud lifts it.",
]


@pytest.mark.parametrize("form", READABLE)
def test_one_letter_is_read_in_every_form(form):
    assert read(form.format("B")) == "B"
    assert read(form.replace("A", "B").format("E")) is None


def test_letters_as_wide_as_ideographs_are_letters():
    assert [read(chr(ord(letter) + 0xFEE0)) for letter in "ABCDE"] == ["A", "B", "C", "D", None]


@pytest.mark.parametrize("option", OPTIONS)
def test_option_text_is_an_answer_unless_with_another_letter(option):
    letter = replies.LETTERS[OPTIONS.index(option)]
    assert read(option) == read(f'"{option.upper()}"') == read(f"{letter}) {option}") == letter
    assert read(f"{letter} - {option}") == letter
    assert read("I would say a (small) shift.") is None
    for other in set(replies.LETTERS) - {letter}:
        assert read(f"{other}) {option}") is None
        assert read(f"{other}, because {option}") is None
    assert read(f"not {option}") is None


@pytest.mark.parametrize(
    "reply",
    [
        # denied
        *(
            "not B",
            "It is not B.",
            "The answer is not B.",
            "B is wrong.",
            "B: no",
            "B, no.",
            "B\nNo.",
            "Not: B",
            "All but B",
        ),
        *(
            "The wrong answer is B",
            "The worst answer is B.",
            "Excluded: B",
            "I doubt the answer is B",
            "Anything except B",
        ),
        # taken back, asked, or on a condition
        *("B. Wait, that is wrong.", "B. Actually it is the other way.", "The answer is B. Sorry, the opposite.", "B?"),
        *(
            "The answer is B? ",
            "B if mud is wet",
            "Answer: B unless it rains",
            "If it rains, B.",
            "B, although I am unsure.",
        ),
        *("B because I don't know.", "B. But is it?", "B, or rather the first one."),
        # more than one
        *(
            "A or B",
            "B or C",
            "Both A and B.",
            "B, not A",
            "Neither A nor B",
            "B\nC",
            "C. B",
            "B.C.",
            "Answer: A\nAnswer: B",
        ),
        *("B\n\nA is right, after all.", "B\n\nA seems better.", "B\n\nA probably fits.", "B. A was my first thought."),
        *("\\boxed{A} or \\boxed{B}", "<answer>A</answer><answer>B</answer>", '{"answer": "A"} {"answer": "B"}'),
        *('{"answer": "B"} or C', "The answer is B. Option C is wrong.", "Vitamin C: Answer: B, not C"),
        # nothing
        *(
            "I cannot answer that.",
            "As an AI I can't say.",
            "",
            " \n",
            "Bob",
            "A change in mud",
            "A (direct) link exists.",
        ),
        *(
            "moving the second moves the first",
            "salt",
            "\\boxed{}",
            '{"answer": null}',
            '{"answer": ["B"]}',
            '{"b": "B"}',
        ),
        # thoughts without an end, and nothing after them
        *("<think>\nIt may be B", "<think>B</think>", "B</think>", "<think>a</think><think>B", "B <think>or C"),
        "<|channel|>analysis<|message|>The answer is B",
    ],
)
def test_what_may_mean_something_else_is_not_read(reply):
    assert read(reply) is None


def test_unknown_and_neither_belong_to_their_options():
    assert read("D, because it is unknown") == "D"
    assert read("C. Neither is near the other.") == "C"
    assert read("B, because it is unknown") is None
    assert read("A. Neither is near the other.") is None


def test_names_with_letters_of_their_own_are_no_options():
    options = tuple(option.replace("salt", "vitamin D") for option in OPTIONS)
    reply = "B, because mud is made of vitamin D."
    assert replies.read(options, reply, ("vitamin D", "mud")) == "B"
    assert replies.read(options, "B, because of phase D.", ("vitamin D", "mud")) is None


def test_an_option_that_is_not_offered_is_not_read():
    assert read("D", OPTIONS[:3]) is read("\\boxed{D}", OPTIONS[:3]) is None


@pytest.mark.parametrize(
    "piece",
    *[
        [
            "{",
            '{"answer":',
            "<answer>",
            "\\boxed{",
            "<think>",
            "final ",
            "The answer is ",
            "A high ",
            "B, ",
            "> ",
            "\n",
            "so ",
        ]
    ],
)
def test_reading_time_grows_with_the_length_of_the_reply(piece):
    """With its square, this would take minutes."""
    assert read(piece * 30_000) in (None, "B")
