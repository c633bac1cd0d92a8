#!/usr/bin/env bash
# grain 0.2.18 (Google's input pipelines for JAX).
#
# One would expect: shuffle a data set with a fixed seed, take the first part for training and the rest for
# validation, repeat the training part for several epochs, and no validation example is ever trained on. The two
# parts are disjoint when they are listed, so the usual check of a split passes.
#
# What happens: a slice of a shuffled set is no set of examples but a window of positions. Repeating it counts the
# epoch on to the shuffle below, which draws a new order, and other examples lie in the same window. From the second
# epoch on the training part yields validation examples. A seed given to shuffle itself changes nothing. Sliced first
# and shuffled afterwards, the split stays clean.
#
# Why it matters: accuracy on held-out data is measured on data that was trained on; nothing warns, and one epoch
# (the test run) is right. Known as issue 1200 of google/grain since January 2026; still so in this release.
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
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check grain==0.2.18 numpy==2.4.6

"$work/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import grain

print("grain", version("grain"))

for shuffled in (grain.MapDataset.range(100).seed(0).shuffle(), grain.MapDataset.range(100).shuffle(seed=0)):
    train, held_out = shuffled[:80], shuffled[80:]
    print("shuffled, then cut:", len(train), "for training,", len(held_out), "held out")
    assert set(train).isdisjoint(held_out) and set(train) | set(held_out) == set(range(100))

    leaked = []
    for epochs in (1, 2, 3, 10):
        leaked.append(len(set(train.repeat(epochs)) & set(held_out)))
        print(f"  held-out examples seen in training within {epochs} epochs: {leaked[-1]} of 20")
    assert leaked[0] == 0, "one epoch is clean"
    assert 0 < leaked[1] <= leaked[2] <= leaked[3], "later epochs leak"
    assert leaked[3] == 20, "in the end everything leaks"

source = grain.MapDataset.range(100).seed(0)
train, held_out = source[:80].shuffle(), source[80:]
seen = len(set(train.repeat(10)) & set(held_out))
print("cut, then shuffled: held-out examples seen within 10 epochs:", seen)
assert seen == 0
EOF
