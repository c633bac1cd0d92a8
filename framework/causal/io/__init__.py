"""Results as edge lists, as files, and as predictions."""
