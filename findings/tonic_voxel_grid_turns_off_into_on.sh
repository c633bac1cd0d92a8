#!/usr/bin/env bash
# tonic 1.7.0 (transforms for event cameras).
#
# One would expect: ToVoxelGrid adds +1 for ON events and -1 for OFF events, spread over time bins. A recording of
# as many ON as OFF events sums to about nothing, one of OFF events alone is negative.
#
# What happens: it marks OFF events by writing -1 into the column of polarities. tonic's own record type for events
# holds polarity as a boolean, where -1 is True: every OFF event becomes an ON event. With an 8-bit integer column the
# same events come out right. Nothing is raised, and shape and scale of the grid look as they should.
#
# Why it matters: make_structured_array and the data sets DVSGesture, DVSLip, CIFAR10DVS and DSEC give booleans, N-MNIST
# and others integers. The same line of code is right for one data set and loses the sign in the next, on which optical
# flow and reconstruction rest; ToFrame, which counts the polarities apart, is not touched and looks right for both.
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
from tonic import datasets
from tonic.io import make_structured_array
from tonic.transforms import ToFrame, ToVoxelGrid

print("tonic", version("tonic"))
COUNT, SENSOR = 1000, (4, 4, 2)
random = np.random.default_rng(0)
x, y = random.integers(0, 4, (2, COUNT))
t = np.arange(COUNT) * 100
voxels, frames = ToVoxelGrid(SENSOR, n_time_bins=5), ToFrame(SENSOR, n_event_bins=1)


def total(polarity, kind):
    events = make_structured_array(x, y, t, polarity)
    assert events.dtype["p"] == bool, "tonic's own type"
    events = events.astype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", kind)])
    on_and_off = frames(events).sum(axis=(0, 2, 3))
    grid = voxels(events)
    print(f"  polarity as {kind}: voxel grid sums to {grid.sum():8.1f}, frame counts OFF, ON: {on_and_off}")
    return grid.sum()


print("OFF events only:")
as_bool, as_integer = total(np.zeros(COUNT, int), "?"), total(np.zeros(COUNT, int), "i1")
assert as_integer < -800 and np.isclose(as_bool, -as_integer)
kinds = {name: getattr(datasets, name).dtype["p"].kind for name in ("DVSGesture", "DVSLip", "CIFAR10DVS", "NMNIST")}
print("polarity in tonic's data sets (b boolean, i integer):", kinds)
assert set(kinds.values()) == {"b", "i"} and kinds["DVSGesture"] == "b"
print("as many ON as OFF:")
as_bool, as_integer = total(np.arange(COUNT) % 2, "?"), total(np.arange(COUNT) % 2, "i1")
assert abs(as_integer) < 20 and as_bool > 800
EOF
