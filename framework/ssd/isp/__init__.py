"""In-storage processing: training in the channel controllers, and the host it is compared with."""

from framework.ssd.isp.training import Trace, train

__all__ = ["Trace", "train"]
