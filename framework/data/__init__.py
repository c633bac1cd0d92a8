"""Real data as plain arrays: scikit-learn's digits, image sets of TFDS, numeric tables.

Nothing here needs TensorFlow, and scikit-learn and TFDS are imported only by the call that needs them.
"""

from framework.data.images import ImageSet, digits, images, prepare
from framework.data.shared import shared_path
from framework.data.tables import Table, read_edges, read_table

__all__ = ["ImageSet", "Table", "digits", "images", "prepare", "read_edges", "read_table", "shared_path"]
