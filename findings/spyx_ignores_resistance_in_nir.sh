#!/usr/bin/env bash
# spyx 1.0.0 (spiking networks on flax NNX) and nir 1.0.8 (the exchange format for them), with jax 0.10.2.
#
# One would expect: a leaky neuron read from NIR obeys the equation that NIR prints for it,
# tau dv/dt = (v_leak - v) + r I. A steady input I takes the potential to r I and no further, so that r I = 0.5 under
# a threshold of 1 never fires, whatever the step, and with r = 0 nothing at all gets in.
#
# What happens: spyx's neuron is v <- beta v + x, whose resting point is x / (1 - beta) = x tau / dt, and its reader
# takes beta from tau and never looks at r. The neuron below fires on nearly every second step; r = 0, 1 and 20 give
# the same spikes. Its writer stores beta in the place of r, where its own dynamics need 1 / (1 - beta): exported
# with beta 0.95, the file claims a gain of 0.95 for a neuron with a gain of 20. A round trip through spyx shows
# nothing of it, since neither end uses the number.
#
# Why it matters: shapes, weights, thresholds and time constants agree on both sides, and yet every neuron answers its
# input too strongly or too weakly, by a factor like tau / dt, when a network comes to spyx or leaves it.
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
"$work/venv/bin/python" -m pip install -qq --disable-pip-version-check \
    spyx==1.0.0 nir==1.0.8 jax==0.10.2 jaxlib==0.10.2 flax==0.12.8 numpy==2.4.6

"$work/venv/bin/python" - <<'EOF'
from importlib.metadata import version

import jax.numpy as jnp
import nir
import numpy as np
from flax import nnx
from spyx.nir import from_nir, to_nir
from spyx.nn import LIF, Sequential, run

for package in ("spyx", "nir", "jax"):
    print(package, version(package))
STEPS, TAU, DRIVE = 200, 20.0, 0.5


def spikes_in_spyx(r):
    neuron = nir.LIF(tau=np.array([TAU]), r=np.array([r]), v_leak=np.zeros(1), v_threshold=np.ones(1))
    nodes = {
        "input": nir.Input({"input": np.array([1])}),
        "neuron": neuron,
        "output": nir.Output({"output": np.array([1])}),
    }
    network = nir.NIRGraph(nodes=nodes, edges=[("input", "neuron"), ("neuron", "output")])
    _, spikes = from_nir(network, jnp.full((STEPS, 1, 1), DRIVE), dt=1)
    return int(spikes.sum())


def highest_by_the_equation(tau, r, drive):
    """The potential as NIR's equation has it, in steps a thousand times finer, from rest."""
    v, highest = 0.0, 0.0
    for _ in range(STEPS * 1000):
        v += 0.001 / tau * (r * drive - v)
        highest = max(highest, v)
    return highest


counts = {r: spikes_in_spyx(r) for r in (0.0, 1.0, 20.0)}
peak = highest_by_the_equation(TAU, 1.0, DRIVE)
print(f"imported, drive {DRIVE}, threshold 1: spikes by r: {counts}; by NIR's equation with r = 1 v reaches {peak:.3f}")
assert peak < 0.51
assert counts[0.0] == counts[1.0] == counts[20.0] > 50, counts

drive = 0.2
model = Sequential(LIF((1,), beta=0.95, rngs=nnx.Rngs(0)))
out, _ = run(model, jnp.full((STEPS, 1, 1), drive))
file = to_nir(model, {"input": np.array([1])}, {"output": np.array([1])}, dt=1)
written = next(node for node in file.nodes.values() if isinstance(node, nir.LIF))
tau, r = float(written.tau[0]), float(written.r[0])
peak = highest_by_the_equation(tau, r, drive)
print(f"exported, drive {drive}: {int(out.sum())} spikes in spyx; the file has tau {tau:.2f} and r {r:.2f}, "
      f"by which v never exceeds {peak:.3f}")
assert int(out.sum()) > 10 and abs(tau - 20) < 0.01 and abs(r - 0.95) < 1e-6 and peak < 0.2
EOF
