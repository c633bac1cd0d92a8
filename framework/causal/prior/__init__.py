"""Prior knowledge from a language model: questions, replies, recorded answers."""

from framework.causal.prior.answers import Answers, answer_file, domains, read_answers, select, vote
from framework.causal.prior.elicitation import Question, Questionnaire, elicit, questionnaire, write_answers
from framework.causal.prior.endpoint import chat

__all__ = [
    "Answers",
    "Question",
    "Questionnaire",
    "answer_file",
    "chat",
    "domains",
    "elicit",
    "questionnaire",
    "read_answers",
    "select",
    "vote",
    "write_answers",
]
