#!/usr/bin/env bash
# gadjid 0.1.0 (adjustment identification distances between causal graphs).
#
# One would expect: a learner that can see no directions at best returns the equivalence class (CPDAG) of the true
# graph. Against the true DAG that answer should be better than a graph without edges, and far better than the true
# graph with every arrow turned round. gadjid takes DAGs and CPDAGs alike.
#
# What happens: for the chain 0 -> 1 -> 2 the right class scores 1.0, the maximum: all 6 of 6 ordered pairs are
# mistakes, for each of the three distances. That ties with the completely reversed chain; the empty graph scores
# 0.5. The distance asks of each pair whether the guessed graph identifies the effect, and how. Where a possibly
# directed path starts with an undirected edge it does not, and "not identified" against a DAG counts as a mistake
# even though nothing false was said. The empty graph says "no effect" for all pairs, which is true of three. Against
# the class, the class itself scores 0, and the true DAG 1.0.
#
# Why it matters: averages over learners that return classes and learners that return DAGs rank silence above the
# best answer possible. Compare class with class, or DAG with DAG.
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
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check gadjid==0.1.0 numpy==2.4.6

"$work/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import gadjid
import numpy as np

print("gadjid", version("gadjid"))


def graph(*edges):
    matrix = np.zeros((3, 3), np.int8)
    for tail, head, mark in edges:
        matrix[tail, head] = mark  # 1 directed, 2 undirected
    return matrix


true = graph((0, 1, 1), (1, 2, 1))
guesses = {
    "the true chain": (true, (0.0, 0)),
    "its own class 0 - 1 - 2": (graph((0, 1, 2), (1, 2, 2)), (1.0, 6)),
    "every arrow reversed": (graph((1, 0, 1), (2, 1, 1)), (1.0, 6)),
    "the fork 0 <- 1 -> 2": (graph((1, 0, 1), (1, 2, 1)), (0.5, 3)),
    "no edges": (graph(), (0.5, 3)),
}
distances = (gadjid.parent_aid, gadjid.ancestor_aid, gadjid.oset_aid)
for name, (guess, expected) in guesses.items():
    found = [distance(true, guess, edge_direction="from row to column") for distance in distances]
    print(f"{name:24} parent, ancestor, oset: {found}  shd: {gadjid.shd(true, guess)}")
    assert found == [expected] * 3, (name, found)

of_class = guesses["its own class 0 - 1 - 2"][0]
same = [distance(of_class, of_class, edge_direction="from row to column") for distance in distances]
against = [distance(of_class, true, edge_direction="from row to column") for distance in distances]
print("class against class:", same)
print("chain against class:", against)
assert same == [(0.0, 0)] * 3 and against == [(1.0, 6)] * 3
EOF
