import inspect
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from framework.snn import saved
from framework.snn.conversion import activation
from framework.snn.meters import rasters
from framework.snn.neurons import coding, models, surrogate
from framework.snn.neurons.factories import rebuild

FACTORIES = saved.UNITS | {"relu": activation.relu, "qcfs": activation.qcfs}


@pytest.mark.parametrize("name", FACTORIES)
def test_a_unit_knows_its_factory_and_all_its_plain_options(name):
    parameters = inspect.signature(FACTORIES[name]).parameters
    record = FACTORIES[name]().record
    assert record == (name, {key: parameter.default for key, parameter in parameters.items() if key != "surrogate"})
    assert rebuild(json.loads(json.dumps(record)), FACTORIES).record == record


def test_options_given_stand_in_the_record_as_plain_values():
    unit = coding.burst(np.float32(1.5), threshold=jnp.asarray(0.25), learn=["beta"], surrogate=surrogate.boxcar())
    _, options = unit.record
    assert (options["beta"], options["threshold"], options["cap"], options["learn"]) == (1.5, 0.25, None, ("beta",))
    assert {type(options[name]) for name in ("beta", "threshold")} == {float}
    assert rebuild(unit.record, coding.CODES).params == unit.params


def test_a_factory_keeps_its_signature_and_docstring():
    assert list(inspect.signature(models.lif).parameters)[:3] == ["decay", "threshold", "surrogate"]
    assert models.lif.__doc__.startswith("A leaky membrane; ")
    assert models.lif.__module__ == "framework.snn.neurons.models"


def test_numbers_that_are_traced_or_have_axes_leave_no_record():
    records = []
    jax.jit(lambda decay: records.append(models.lif(decay).record))(0.5)
    assert records == [None]
    assert models.lif(0.5, threshold=np.ones(3)).record is None


def test_the_same_options_give_the_same_unit_and_others_another():
    assert coding.burst(threshold=0.25) is coding.burst(threshold=0.25) is not coding.burst(threshold=0.5)
    assert models.lif(surrogate=surrogate.boxcar(2.0)) is models.lif(surrogate=surrogate.boxcar(2.0))
    assert models.lif(surrogate=surrogate.boxcar(2.0)) is not models.lif(surrogate=surrogate.boxcar(1.0))
    assert rasters.bursts(3) is rasters.bursts(3) is not rasters.bursts(4)
    assert type(coding.rate(threshold=1).record[1]["threshold"]) is int  # not the 1.0 of another call
    assert models.lif(np.full(2, 0.5)) is not models.lif(np.full(2, 0.5))
    assert rebuild(coding.phase(4).record, coding.CODES) is rebuild(coding.phase(4).record, coding.CODES)


@pytest.mark.parametrize(
    ("record", "message"),
    [(("lisp", {}), "there is no 'lisp': known are real, rate"), (("rate", {"beta": 2}), "rate does not take")],
)
def test_records_of_nothing_known_are_refused(record, message):
    with pytest.raises(ValueError, match=message):
        rebuild(record, coding.CODES)
