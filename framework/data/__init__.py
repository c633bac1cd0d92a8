"""Real data as plain arrays: scikit-learn's digits, image sets of TFDS, numeric tables.

Nothing here needs TensorFlow, and scikit-learn and TFDS are imported only by the call that needs them.
"""

from framework.data.distortion import amplify
from framework.data.events import Recording, frames, read_events
from framework.data.image_sets import ImageSet, digits, first, images, pool, prepare
from framework.data.shared import shared_path
from framework.data.tables import Table, read_edges, read_table

__all__ = [
    "ImageSet",
    "Recording",
    "Table",
    "amplify",
    "digits",
    "first",
    "frames",
    "images",
    "pool",
    "prepare",
    "read_edges",
    "read_events",
    "read_table",
    "shared_path",
]
