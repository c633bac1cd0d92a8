#!/usr/bin/env bash
# tonic 1.7.0 (transforms for event cameras).
#
# One would expect: Denoise(filter_time) drops every event whose neighbouring pixels have been silent for that long.
# Only differences of times matter, so a recording filtered now or with all its times shifted by a constant
# keeps the same events.
#
# What happens: the memory of the pixels starts as if each of them had fired at time 0, not long ago. Until the clock
# passes filter_time every event has "active" neighbours and is kept, however lonely. The isolated events below are
# all kept when the recording starts at 0 and all dropped when it starts later.
#
# Why it matters: many data sets and slices have times that start at 0 (a slice of 10 ms with its clock reset and
# a filter of 10 ms comes back as it was), whereas live recordings start at large times: the same filter removes noise
# from one and nothing from the other, and a network meets another density of events at the start of each sample.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python=
for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3.14 python3; do
    if [ -n "$candidate" ] &&
        "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "no Python 3.11 or newer found; name one in PYTHON" >&2
    exit 2
fi

"$python" -m venv "$work/venv"
cd "$work"
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check tonic==1.7.0 numpy==2.4.6

"$work/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from tonic.io import make_structured_array
from tonic.transforms import Denoise

print("tonic", version("tonic"))
denoise = Denoise(filter_time=10_000)
places = np.arange(20) * 4  # four pixels apart: no two are neighbours
times = np.arange(20) * 1_000  # 0 to 19 ms

kept = {}
for start in (0, 5_000, 10_000, 1_000_000):
    events = make_structured_array(places, places, times + start, np.ones(20, int))
    kept[start] = len(denoise(events))
    print(f"20 isolated events, the first at {start:7} us: {kept[start]:2} kept")
assert kept == {0: 10, 5_000: 5, 10_000: 0, 1_000_000: 0}, kept

# With company the filter works at any time: a pixel and its neighbour, one after the other.
pair = make_structured_array(np.array([5, 6]), np.array([5, 5]), np.array([1_000_000, 1_000_100]), np.ones(2, int))
assert len(denoise(pair)) == 1
print("a pair of neighbours at 1 s: the second is kept")
EOF
