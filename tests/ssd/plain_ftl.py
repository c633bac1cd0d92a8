"""The oracle of the page map: one plane after another in plain Python, pages as dictionary entries."""


class Plane:
    """Blocks of a plane as lists of rows; None where a page is invalid."""

    def __init__(self, blocks, pages, reserve, victim, rows=0):
        self.pages, self.reserve, self.victim = pages, reserve, victim
        self.content = {block: [] for block in range(blocks)}  # rows as written
        self.valid = {block: set() for block in range(blocks)}  # offsets
        self.where = {}  # row -> (block, offset)
        self.erases = [0] * blocks
        self.age = {0: 0}  # used blocks, when they were begun
        self.at, self.clock = 0, 1
        for row in range(rows):
            self.write(row)

    def free(self):
        return [block for block in self.content if block not in self.age]

    def begin(self):
        self.at = min(self.free(), key=lambda block: (self.erases[block], block))
        self.age[self.at] = self.clock
        self.clock += 1

    def put(self, row):
        if len(self.content[self.at]) == self.pages:
            self.begin()
        offset = len(self.content[self.at])
        self.content[self.at].append(row)
        self.valid[self.at].add(offset)
        self.where[row] = (self.at, offset)
        return offset

    def choose(self):
        used = [block for block in self.age if block != self.at]
        if self.victim == "greedy":
            return min(used, key=lambda block: (len(self.valid[block]), block))
        if self.victim == "fifo":
            return min(used, key=lambda block: self.age[block])
        gain = lambda block: self.gain(len(self.valid[block]) / self.pages, self.clock - self.age[block])
        return max(sorted(used), key=gain)

    def gain(self, share, age):
        return age * (1 - share) / max(2 * share, 1e-6)

    def collect(self, victim):
        relocated = [self.content[victim][offset] for offset in sorted(self.valid[victim])]
        self.valid[victim] = set()
        for row in relocated:
            self.put(row)
        self.content[victim] = []
        self.erases[victim] += 1
        del self.age[victim]
        return len(relocated)

    def trim(self, row):
        if row in self.where:
            block, offset = self.where.pop(row)
            self.valid[block].discard(offset)

    def write(self, row):
        """(pages moved, blocks erased, offset of the page)."""
        relocated = erased = 0
        while len(self.content[self.at]) == self.pages:
            self.begin()
            while len(self.free()) < self.reserve:
                relocated += self.collect(self.choose())
                erased += 1
        self.trim(row)
        return relocated, erased, self.put(row)
