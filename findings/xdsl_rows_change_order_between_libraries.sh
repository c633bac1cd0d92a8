#!/usr/bin/env bash
# pyAgrum 3.3.1 and pgmpy 1.1.2 (Bayesian networks), exchanging a network by XDSL, the format of GeNIe.
#
# One would expect: a Bayesian network that one library writes and the other reads is the same network, or the reader
# refuses it. BIF and XMLBIF files of the same network do arrive unchanged.
#
# What happens: for a node with two parents the two libraries order the rows of the table differently. pyAgrum lets the
# first parent named in <parents> change fastest, pgmpy the last. Each reads its own files correctly, so a round trip
# within one library shows nothing. Across them, in either direction, the file is read without a warning, every row
# still sums to one, `check_model()` says True, and the probabilities belong to other parent states. Parents with
# different numbers of states do not give it away.
#
# Why it matters: benchmarks and causal queries on a converted network run on a different network. Exchange by BIF, or
# compare the marginals of both programs after reading.
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
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check pyagrum==3.3.1 pgmpy==1.1.2

"$work/venv/bin/python" - <<'EOF'
import warnings
from importlib.metadata import version

import pyagrum
from pgmpy.readwrite import BIFReader, XDSLReader, XDSLWriter

warnings.filterwarnings("ignore")  # deprecations within the libraries
print("pyagrum", version("pyagrum"), "pgmpy", version("pgmpy"))

network = pyagrum.fastBN("rain{no|light|heavy}->wet{no|yes}<-sprinkler{off|on}")
network.cpt("rain")[:] = [0.6, 0.3, 0.1]
network.cpt("sprinkler")[:] = [0.8, 0.2]
wet = {("no", "off"): 0.0, ("light", "off"): 0.5, ("heavy", "off"): 0.9}
wet |= {("no", "on"): 0.8, ("light", "on"): 0.9, ("heavy", "on"): 1.0}
for (rain, sprinkler), probability in wet.items():
    network.cpt("wet")[{"rain": rain, "sprinkler": sprinkler}] = [1 - probability, probability]


def of_pgmpy(model):
    table = model.get_cpds("wet")
    return {(r, s): round(float(table.get_value(wet="yes", rain=r, sprinkler=s)), 3) for r, s in wet}


def of_pyagrum(model):
    return {(r, s): round(float(model.cpt("wet")[{"rain": r, "sprinkler": s, "wet": "yes"}]), 3) for r, s in wet}


for name in ("network.bif", "network.xdsl"):
    pyagrum.saveBN(network, name)
by_bif = BIFReader("network.bif").get_model()
by_xdsl = XDSLReader("network.xdsl").get_model()
print("P(wet = yes | rain, sprinkler) as pyAgrum wrote it")
print("  read by pyAgrum, XDSL:", of_pyagrum(pyagrum.loadBN("network.xdsl")))
print("  read by pgmpy, BIF:   ", of_pgmpy(by_bif))
print("  read by pgmpy, XDSL:  ", of_pgmpy(by_xdsl), "check_model:", by_xdsl.check_model())
assert of_pyagrum(pyagrum.loadBN("network.xdsl")) == of_pgmpy(by_bif) == wet
assert by_xdsl.check_model() and of_pgmpy(by_xdsl) != wet
assert sorted(of_pgmpy(by_xdsl).values()) == sorted(wet.values())  # the same rows, at other states

XDSLWriter(by_bif).write("back.xdsl")
own, other = of_pgmpy(XDSLReader("back.xdsl").get_model()), of_pyagrum(pyagrum.loadBN("back.xdsl"))
print("the other way, written by pgmpy")
print("  read by pgmpy, XDSL:  ", own)
print("  read by pyAgrum, XDSL:", other)
assert own == wet != other
EOF
