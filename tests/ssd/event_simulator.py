"""The oracle: a device as a plain event simulation, one heap, one request at a time.

It shares no code with the framework. Times are Python integers, which cannot overflow.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field

READ, PROGRAM, ERASE = 0, 1, 2


@dataclass
class Op:
    """A page's work: on flash, or in memory."""

    request: int  # -1: internal
    where: str  # flash, memory (a hit), buffer (a cached write)
    channel: int = 0
    lun: int = 0
    plane: int = 0
    second: bool = False  # in the class that waits for reads
    kind: int = READ
    page_type: int = 0
    size: int = 0
    evicts: bool = False  # a buffered write that pushes a page out
    frees: bool = False  # a program whose end makes room for one more eviction
    of_eviction: bool = False  # goes to flash when the buffered write before it is let in
    begun: int = -1
    ended: int = -1
    arrived: int = -1


@dataclass
class Lane:
    queues: dict  # (plane, second) -> deque
    state: str = "idle"  # idle, array (program or erase), sensing, data
    until: int = 0
    work: list = field(default_factory=list)
    suspended_planes: list = field(default_factory=list)
    remaining: int = 0
    margin: int = 0
    cost: int = 0


class Device:
    def __init__(self, ops, requests, channels, luns, timing, rules, queue_depth=0, flushes=1):
        """ops: in order of requests; requests: (arrival, is_write, link ns) each; timing, rules: plain dicts."""
        self.timing, self.rules, self.depth = timing, rules, queue_depth
        self.requests = requests
        self.of_request = [[] for _ in requests]
        for op in ops:
            self.of_request[op[0]].append(op[1])
        planes = range(rules["planes"])
        make = lambda: Lane({(plane, second): deque() for plane in planes for second in (False, True)})
        self.luns = [[make() for _ in range(luns)] for _ in range(channels)]
        self.bus, self.round_robin_next = [0] * channels, [0] * channels
        self.heap, self.count = [], 0
        self.missing = [0] * len(requests)
        self.end = [-1] * len(requests)
        self.in_free = self.out_free = 0
        self.buffer, self.room = deque(), flushes
        self.issued = 0

    def push(self, time, what, *data):
        heapq.heappush(self.heap, (time, self.count, what, data))
        self.count += 1

    def run(self):
        if self.depth:
            for _ in range(min(self.depth, len(self.requests))):
                self.issue(0)
        else:
            for arrival, _, _ in self.requests:
                self.issue(arrival)
        while self.heap:
            now, over = self.heap[0][0], []
            while self.heap and self.heap[0][0] == now:
                _, _, what, data = heapq.heappop(self.heap)
                if what == "over":
                    over.append(data[0])
                elif what == "arrive":
                    self.arrive(now, data[0])
                elif what == "issue":
                    self.issue(now)
                elif what == "array":
                    self.array_over(now, *data)
                if not (self.heap and self.heap[0][0] == now):
                    for op in sorted(over, key=lambda op: op.request):
                        self.page_over(now, op)
                    over = []
            for channel in range(len(self.bus)):
                if self.bus[channel] <= now:
                    self.grant(now, channel)
        return self.end

    def issue(self, now):
        if self.issued == len(self.requests):
            return
        request = self.issued
        self.issued += 1
        _, is_write, link = self.requests[request]
        self.in_free = max(now, self.in_free) + (link if is_write else 0)
        self.push(self.in_free, "arrive", request)

    def arrive(self, now, request):
        ops = self.of_request[request]
        self.missing[request] = sum(op.request >= 0 for op in ops)
        for op in ops:
            if op.of_eviction:
                self.buffer[-1][1].append(op)
            elif op.where == "flash":
                self.enqueue(now, op)
            elif op.where == "memory":
                self.push(now + self.timing["memory"], "over", op)
            else:
                self.buffer.append((op, []))
        self.admit(now)

    def admit(self, now):
        while self.buffer:
            op, flash = self.buffer[0]
            if op.evicts:
                if not self.room:
                    return
                self.room -= 1
            self.buffer.popleft()
            self.push(now + self.timing["memory"], "over", op)
            for item in flash:
                self.enqueue(now, item)

    def enqueue(self, now, op):
        op.arrived = now
        self.luns[op.channel][op.lun].queues[op.plane, op.second].append(op)

    def page_over(self, now, op):
        if op.frees:
            self.room += 1
            self.admit(now)
        if op.request < 0:
            return
        self.missing[op.request] -= 1
        if self.missing[op.request] == 0:
            _, is_write, link = self.requests[op.request]
            self.out_free = max(now, self.out_free) + (0 if is_write else link)
            self.end[op.request] = self.out_free
            if self.depth:
                self.push(self.out_free, "issue")

    def array_over(self, now, channel, lun, work):
        here = self.luns[channel][lun]
        if here.work is not work or here.until != now:
            return  # was suspended
        if here.state == "sensing":
            here.state = "data"
            return
        for op in here.work:
            op.ended = now
            if op.request >= 0 or op.frees:
                self.push(now, "over", op)
        here.state, here.work = "idle", []

    def grant(self, now, channel):
        luns = self.luns[channel]
        data = [(lun.until, i) for i, lun in enumerate(luns) if lun.state == "data"]
        order = [(self.round_robin_next[channel] + k) % len(luns) for k in range(len(luns))]
        commands = [i for i in order if self.wants(now, luns[i])]
        if data and (self.rules["data_first"] or not commands):
            self.send_data(now, channel, min(data)[1])
        elif commands:
            self.round_robin_next[channel] = (commands[0] + 1) % len(luns)
            self.command(now, channel, commands[0])

    def wants(self, now, lun):
        if lun.state == "idle":
            return any(lun.queues.values())
        if lun.state != "array" or not lun.margin:
            return False
        reads = any(queue for (_, second), queue in lun.queues.items() if not second)
        return reads and now + lun.margin - 1 < lun.until

    def transfer(self, op):
        return round(op.size * self.timing["byte"])

    def send_data(self, now, channel, i):
        lun = self.luns[channel][i]
        at = now
        for op in sorted(lun.work, key=lambda op: op.plane):
            at += self.timing["setup"] + self.transfer(op)
            op.ended = at
            if op.request >= 0:
                self.push(at, "over", op)
        self.bus[channel] = at
        self.push(at, "bus")
        if lun.remaining:
            lun.state, lun.work, lun.until, lun.remaining = "array", lun.suspended_planes, at + lun.remaining, 0
            self.push(lun.until, "array", channel, i, lun.work)
        else:
            lun.state, lun.work, lun.until, lun.margin = "array", [], at, 0
            self.push(at, "array", channel, i, lun.work)

    def command(self, now, channel, i):
        lun, timing = self.luns[channel][i], self.timing
        waiting = [(queue[0].arrived, second) for (_, second), queue in lun.queues.items() if queue]
        second = min(second for _, second in waiting) if self.rules["read_first"] else min(waiting)[1]
        head_arrival = {plane: queue[0] for (plane, s), queue in lun.queues.items() if s == second and queue}
        oldest = min(head_arrival.values(), key=lambda op: (op.arrived, op.plane))
        work = [
            lun.queues[plane, second].popleft() for plane, op in sorted(head_arrival.items()) if op.kind == oldest.kind
        ]
        for op in work:
            op.begun = now
        further = (len(work) - 1) * timing["plane"]
        if oldest.kind == READ:
            end = now + timing["read_command"] + further
            until = end + max(timing["read"][op.page_type] for op in work)
            if lun.state == "array":
                lun.suspended_planes, lun.remaining = lun.work, lun.until - now
                until += lun.cost
            lun.state = "sensing"
        elif oldest.kind == PROGRAM:
            end = now + timing["program_command"] + further + sum(self.transfer(op) for op in work)
            until = end + max(timing["program"][op.page_type] for op in work)
            lun.state = "array"
            lun.margin = timing["margin_program"] + 1 if self.rules["suspend_program"] else 0
            lun.cost = timing["suspend_program"]
        else:
            end = now + timing["erase_command"] + further
            until = end + timing["erase"]
            lun.state = "array"
            lun.margin = timing["margin_erase"] + 1 if self.rules["suspend_erase"] else 0
            lun.cost = timing["suspend_erase"]
        lun.work, lun.until = work, until
        self.bus[channel] = end
        self.push(end, "bus")
        self.push(until, "array", channel, i, work)
