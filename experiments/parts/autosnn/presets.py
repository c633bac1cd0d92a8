"""Presets of the experiment on AutoSNN: the settings that differ from `default`."""

LAMBDA = -0.08  # the paper's; figures show the search with the nearest value
SMALL = ("skip_connect", "SRB_k3")
PRESETS = {
    "smoke": {
        "seeds": 1,
        "space.channels": 4,
        "space.macro": "short",
        "space.candidates": SMALL,
        "training.epochs": 12,
        "training.rate": 2e-2,
        "retrain.epochs": 12,
        "retrain.rate": 2e-2,
        "search.rounds": 2,
        "search.pool": 2,
        "search.top": 2,
        "search.lambdas": (0.0, -0.24),
    },
    "default": {"seeds": 1},
    "paper": {
        "seeds": 1,
        "data.name": "cifar10",
        "space.channels": 16,
        "space.steps": 8,
        "training.epochs": 600,
        "training.batch": 96,
        "training.rate": 1e-3,
        "retrain.epochs": 600,
        "retrain.batch": 96,
        "retrain.rate": 1e-3,
        "retrain.all": True,
        "search.repeats": 1,
        "search.exact": False,
        "search.lambdas": (LAMBDA,),
    },
}
