"""Architecture search: the DARTS space and AdvRush; spiking networks by evolution; NAS-Bench-201's cell.

Reference: Liu, Simonyan and Yang, arXiv 1806.09055; Mok et al., arXiv 2108.01289; Na et al., arXiv 2201.12738.
"""

__all__: list[str] = []
