"""Random devices and loads, and what the event simulator makes of them."""

import numpy as np

from framework.ssd import Load
from framework.ssd.device import presets
from tests.ssd.event_simulator import PROGRAM, READ, Device, Op

CHANNELS, CHIPS = 3, 2
STRUCTURES = {
    "data first": {},
    "command first": {"arbitration": "command-first"},
    "chip serial": {"die_mode": "chip-serial", "dies": 2},
    "dies overlap, page types": {"dies": 2, "read_us": (50.0, 70.0, 90.0), "program_us": (300.0, 500.0, 800.0)},
    "multi-plane": {"multiplane": True, "planes": 2},
    "reads first": {"scheduling": "read-first"},
    "programs give way": {"scheduling": "read-first", "suspend": "program"},
    "everything": {
        "arbitration": "command-first",
        "scheduling": "read-first",
        "suspend": "both",
        "multiplane": True,
        "planes": 2,
        "dies": 2,
    },
}


def design(structure, rng, **fields):
    """A device of a structure with random numbers."""
    numbers = {
        "channel_mt_s": float(rng.choice([200.0, 1000 / 3, 800.0])),
        "host_gb_s": float(rng.choice([0.4, 4.0])),
        "suspend_program_us": float(rng.integers(0, 50)),
        "margin_program_us": float(rng.integers(0, 100)),
        "memory_us": float(rng.integers(1, 20)),
        "erase_us": float(rng.integers(500, 4000)),
    }
    small = {"channels": CHANNELS, "chips": CHIPS, "dies": 1, "planes": 1, "blocks": 16, "pages": 16}
    varied = {"read_us": float(rng.integers(10, 120)), "program_us": float(rng.integers(100, 900))}
    return presets.isp_ml(**(small | varied | numbers | STRUCTURES[structure] | fields))


def load(device, rng, requests, read_ratio, queue_depth=0, trims=0.0, largest=1):
    """Requests of random sizes, many of which come at one time."""
    page = device.geometry.page_bytes
    gap = int(rng.choice([1000, 20_000, 200_000]))
    kinds = rng.choice(3, requests, p=[(1 - trims) * read_ratio, (1 - trims) * (1 - read_ratio), trims])
    size = rng.choice([512, 4096, page], requests) + rng.integers(0, largest, requests) * page
    offset = rng.integers(0, device.logical_pages - largest, requests) * page + rng.choice([0, 512], requests)
    offset = np.minimum(offset, device.capacity - size)
    arrival = np.cumsum(rng.integers(0, 2, requests) * rng.integers(0, gap, requests))
    arrival = np.zeros(requests, np.int64) if queue_depth else arrival
    return Load(arrival, offset, size, kinds.astype(np.int32), queue_depth)


def numbers(device):
    """Durations of a design as the event simulator takes them, worked out again from the data sheet."""
    timing = device.timing
    ns = lambda us: round(us * 1000)
    types = lambda us: [ns(item) for item in (us if isinstance(us, tuple) else (us,))]
    names = ("suspend_program", "suspend_erase", "margin_program", "margin_erase", "memory", "erase")
    return {
        "read_command": 290,
        "program_command": 361,
        "erase_command": 220,
        "plane": 650,
        "setup": 30,
        "byte": 1000 / timing.channel_mt_s,
        "read": types(timing.read_us),
        "program": types(timing.program_us),
        **{name: ns(getattr(timing, f"{name}_us")) for name in names},
    }


def rules(device):
    policy = device.policy
    return {
        "planes": device.geometry.planes if policy.multiplane else 1,
        "read_first": policy.scheduling == "read-first",
        "data_first": policy.arbitration == "data-first",
        "suspend_program": policy.suspend in ("program", "both"),
        "suspend_erase": policy.suspend in ("erase", "both"),
    }


def index(device, page):
    """Channel, LUN and plane queue of a logical page, striped channel, chip, die, plane; and its row."""
    geometry, policy = device.geometry, device.policy
    channel, page = page % geometry.channels, page // geometry.channels
    chip, page = page % geometry.chips, page // geometry.chips
    die, page = page % geometry.dies, page // geometry.dies
    plane, row = page % geometry.planes, page // geometry.planes
    lun = chip * geometry.dies + die if policy.die_mode == "overlap" else chip
    return channel, lun, plane if policy.multiplane else 0, row


def flash(device, request, page, kind, size, offset=None, **more):
    """A flash operation; `offset` is its page's in the block, by default that of its row."""
    channel, lun, plane, row = index(device, page)
    types = device.timing.read_us if kind == READ else device.timing.program_us
    page_type = (row if offset is None else offset) % len(types) if isinstance(types, tuple) else 0
    apart = device.policy.scheduling == "read-first" or device.cache.pages > 0
    second = apart and (kind != READ or request < 0)
    return Op(request, "flash", channel, lun, plane, second, kind, page_type, size, **more)


def pages(device, load):
    """(request, page, bytes, kind) of every page asked for."""
    size = device.geometry.page_bytes
    for request in range(len(load)):
        begin, end = int(load.offset[request]), int(load.offset[request] + load.size[request])
        for page in range(begin // size, (end - 1) // size + 1):
            yield request, page, min(end, (page + 1) * size) - max(begin, page * size), int(load.kind[request])


def direct(device, load):
    """Every page to flash as it comes; TRIMs to memory."""
    for request, page, size, kind in pages(device, load):
        if kind == 2:
            yield request, Op(request, "memory")
        else:
            yield request, flash(device, request, page, PROGRAM if kind else READ, size)


def simulate(device, load, ops=direct):
    """Ends of all requests, and the operations with their times."""
    link = lambda size: int(np.ceil(-(-size // 128) * 156 / device.timing.host_gb_s))
    requests = [
        (int(arrival), kind == 1, link(int(size)) if kind < 2 else 0)
        for arrival, size, kind in zip(load.arrival, load.size, load.kind, strict=True)
    ]
    made = list(ops(device, load))
    luns, channels = device.luns, device.geometry.channels
    simulator = Device(
        made, requests, channels, luns, numbers(device), rules(device), load.queue_depth, device.cache.flushes
    )
    return np.array(simulator.run()), [op for _, op in made]
