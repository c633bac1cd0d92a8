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
    lane: int = 0
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
    held: list = field(default_factory=list)
    rest: int = 0
    margin: int = 0
    cost: int = 0


class Device:
    def __init__(self, ops, requests, channels, lanes, timing, rules, queue_depth=0, flushes=1):
        """ops: in order of requests; requests: (arrival, is_write, link ns) each; timing, rules: plain dicts."""
        self.timing, self.rules, self.depth = timing, rules, queue_depth
        self.requests = requests
        self.of_request = [[] for _ in requests]
        for op in ops:
            self.of_request[op[0]].append(op[1])
        planes = range(rules["planes"])
        make = lambda: Lane({(plane, second): deque() for plane in planes for second in (False, True)})
        self.lanes = [[make() for _ in range(lanes)] for _ in range(channels)]
        self.bus, self.turn = [0] * channels, [0] * channels
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
            for each in flash:
                self.enqueue(now, each)

    def enqueue(self, now, op):
        op.arrived = now
        self.lanes[op.channel][op.lane].queues[op.plane, op.second].append(op)

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

    def array_over(self, now, channel, lane, work):
        here = self.lanes[channel][lane]
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
        lanes = self.lanes[channel]
        data = [(lane.until, i) for i, lane in enumerate(lanes) if lane.state == "data"]
        order = [(self.turn[channel] + k) % len(lanes) for k in range(len(lanes))]
        commands = [i for i in order if self.wants(now, lanes[i])]
        if data and (self.rules["data_first"] or not commands):
            self.send_data(now, channel, min(data)[1])
        elif commands:
            self.turn[channel] = (commands[0] + 1) % len(lanes)
            self.command(now, channel, commands[0])

    def wants(self, now, lane):
        if lane.state == "idle":
            return any(lane.queues.values())
        if lane.state != "array" or not lane.margin:
            return False
        reads = any(queue for (_, second), queue in lane.queues.items() if not second)
        return reads and now + lane.margin - 1 < lane.until

    def transfer(self, op):
        return round(op.size * self.timing["byte"])

    def send_data(self, now, channel, i):
        lane = self.lanes[channel][i]
        at = now
        for op in sorted(lane.work, key=lambda op: op.plane):
            at += self.timing["setup"] + self.transfer(op)
            op.ended = at
            if op.request >= 0:
                self.push(at, "over", op)
        self.bus[channel] = at
        self.push(at, "bus")
        if lane.rest:
            lane.state, lane.work, lane.until, lane.rest = "array", lane.held, at + lane.rest, 0
            self.push(lane.until, "array", channel, i, lane.work)
        else:
            lane.state, lane.work, lane.until, lane.margin = "array", [], at, 0
            self.push(at, "array", channel, i, lane.work)

    def command(self, now, channel, i):
        lane, timing = self.lanes[channel][i], self.timing
        waiting = [(queue[0].arrived, second) for (_, second), queue in lane.queues.items() if queue]
        second = min(second for _, second in waiting) if self.rules["read_first"] else min(waiting)[1]
        heads = {plane: queue[0] for (plane, s), queue in lane.queues.items() if s == second and queue}
        oldest = min(heads.values(), key=lambda op: (op.arrived, op.plane))
        work = [lane.queues[plane, second].popleft() for plane, op in sorted(heads.items()) if op.kind == oldest.kind]
        for op in work:
            op.begun = now
        further = (len(work) - 1) * timing["plane"]
        if oldest.kind == READ:
            end = now + timing["read_command"] + further
            until = end + max(timing["read"][op.page_type] for op in work)
            if lane.state == "array":
                lane.held, lane.rest = lane.work, lane.until - now
                until += lane.cost
            lane.state = "sensing"
        elif oldest.kind == PROGRAM:
            end = now + timing["program_command"] + further + sum(self.transfer(op) for op in work)
            until = end + max(timing["program"][op.page_type] for op in work)
            lane.state = "array"
            lane.margin = timing["margin_program"] + 1 if self.rules["suspend_program"] else 0
            lane.cost = timing["suspend_program"]
        else:
            end = now + timing["erase_command"] + further
            until = end + timing["erase"]
            lane.state = "array"
            lane.margin = timing["margin_erase"] + 1 if self.rules["suspend_erase"] else 0
            lane.cost = timing["suspend_erase"]
        lane.work, lane.until = work, until
        self.bus[channel] = end
        self.push(end, "bus")
        self.push(until, "array", channel, i, work)
