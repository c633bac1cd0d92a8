"""Wordings of the question about a pair of columns, each with its options by letter."""

WORDINGS = (
    "One quantity is moved from outside while every other listed quantity is held fixed. A: moving {a} shifts {b}. "
    "B: moving {b} shifts {a}. C: moving either leaves the other as it is. D: it cannot be known.",
    "In a causal diagram of all the listed quantities, who is whose parent? A: {a} is a parent of {b}. "
    "B: {b} is a parent of {a}. C: neither is a parent of the other. D: it cannot be known.",
    "A simulation computes each listed quantity from its direct causes alone. A: the formula for {b} contains {a}. "
    "B: the formula for {a} contains {b}. C: neither formula contains the other quantity. D: it cannot be known.",
    "Think of the mechanism between {a} and {b} that passes through no other listed quantity. "
    "A: it leads from {a} to {b}. B: it leads from {b} to {a}. C: there is no such mechanism. D: it cannot be known.",
    "Which statement fits best? A: {a} has an influence on {b}. B: {b} has an influence on {a}. "
    "C: neither has an influence on the other.",
)
