"""Experiments: programs, data and claims of a run, one experiment a file. `python launch.py --list` names them."""
