import numpy as np

from experiments.parts.shared import rows


def test_the_last_step_of_a_piece_is_a_row_of_each_seed():
    alone = rows.single_rows("search", 7)(20, {"loss": np.float32([3, 2])})
    assert alone == [{"step": 20, "seed": 7, "phase": "search", "loss": 2.0}]
    both = rows.batch_rows("search", [7, 8])(20, {"loss": np.array([[3, 4], [1, 2]])})
    assert both == [{"step": 20, "seed": seed, "phase": "search", "loss": loss} for seed, loss in ((7, 1.0), (8, 2.0))]
