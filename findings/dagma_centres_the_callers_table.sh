#!/usr/bin/env bash
# dagma 1.1.1 (the authors' package of DAGMA, causal graphs by continuous optimisation).
#
# One would expect: fit(X) reads X. With least squares it may well centre the columns, of a copy.
#
# What happens: DagmaLinear(loss_type="l2").fit(X) subtracts the means from the caller's own array, so that after the
# fit X is another table; loss_type="logistic" leaves it alone. Counts as integers and arrays that may only be read
# (a memory map, the values of a frame of pandas 3) are refused for the same reason, with errors that speak of casting
# and of output.
#
# Why it matters: whatever comes after the fit sees other data, without a word: intercepts become zero, a model that
# was fitted before predicts from shifted inputs (below, an R^2 of 0.9 turns strongly negative), and a comparison of
# methods depends on which of them ran first.
#
# (Installed without torch and igraph, which only the nonlinear models and the simulations of the package import.)
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
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps \
    dagma==1.1.1 numpy==2.4.6 scipy==1.17.1 tqdm==4.70.1

"$work/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import numpy as np
from dagma.linear import DagmaLinear

print("dagma", version("dagma"))
random = np.random.default_rng(0)
cause = random.normal(20, 1, 500)
table = np.stack([cause, 2 * cause + 5 + random.normal(0, 0.5, 500)], axis=1)
kept = table.copy()
slope, intercept = np.polyfit(table[:, 0], table[:, 1], 1)


def r_squared():
    rest = kept[:, 1] - (slope * table[:, 0] + intercept)
    return 1 - rest.var() / kept[:, 1].var() - rest.mean() ** 2 / kept[:, 1].var()


before = r_squared()
binary = (table > table.mean(0)).astype(float)
kept_binary = binary.copy()
DagmaLinear(loss_type="logistic").fit(binary, T=1, warm_iter=10, max_iter=10)
assert (binary == kept_binary).all(), "the logistic loss leaves its table alone"
DagmaLinear(loss_type="l2").fit(table, lambda1=0.02, T=2, warm_iter=200, max_iter=200)
after = r_squared()
print("column means before and after the fit:", kept.mean(0).round(2), table.mean(0).round(2))
print(f"R^2 of the earlier regression on the same array, before and after: {before:.2f}, {after:.2f}")
assert np.allclose(table, kept - kept.mean(0)) and not np.allclose(table, kept)
assert before > 0.9 and after < -10

read_only = kept.copy()
read_only.flags.writeable = False
for name, array in (("counts as integers", random.poisson(3, (100, 2))), ("a table that may only be read", read_only)):
    try:
        DagmaLinear(loss_type="l2").fit(array, T=1, warm_iter=10, max_iter=10)
    except (TypeError, ValueError) as error:
        print(f"{name}: {error}")
    else:
        raise AssertionError(f"{name}: taken now")
EOF
