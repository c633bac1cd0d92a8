"""Tables of other programs in, edges and fitted results out."""
