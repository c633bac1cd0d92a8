"""In-storage processing: training in the channel controllers, and the host it is compared with."""
