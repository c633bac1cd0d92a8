"""Studies: what to run, with which data, and what it shows. `python launch.py --list` names them."""
