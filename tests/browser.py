"""Pages in headless Chromium, where one is installed: spoken to over a pipe in the DevTools protocol."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe"),
)
PATIENCE = 60.0  # seconds
# the browser reads commands from descriptor 3 and answers on 4
PIPES = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
LOOK = """({
  width: innerWidth,
  wide: document.documentElement.scrollWidth,
  broken: [...document.images].filter(image => !image.naturalWidth).length,
  hidden: [...document.images].filter(image => image.getBoundingClientRect().width < 100).length,
  figures: document.images.length,
  smallest: Math.min(...[...document.querySelectorAll("p, td, th, figcaption, small, a")]
    .map(element => parseFloat(getComputedStyle(element).fontSize))),
})"""


def executable() -> str | None:
    """The path of a browser, or None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A running browser with one page."""

    def __init__(self, commands: int, answers: int):
        self.commands, self.answers, self.buffer, self.number, self.session = commands, answers, b"", 0, None
        self.events: list[dict[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command; what the page says meanwhile is kept."""
        self.number += 1
        session = {"sessionId": self.session} if self.session else {}
        command = {"id": self.number, "method": method, "params": parameters} | session
        os.write(self.commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, page: Path, width: int) -> None:
        """Loads a page at a width in pixels."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.events.clear()
        self.ask("Page.navigate", url=page.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next())

    def look(self) -> dict[str, Any]:
        """What the loaded page is like; see `LOOK`."""
        return self.ask("Runtime.evaluate", expression=LOOK, returnByValue=True)["result"]["value"]

    def errors(self) -> list[dict[str, Any]]:
        """What the page put into its console as an error, or threw."""
        levels = {
            "Runtime.exceptionThrown": lambda said: "error",
            "Runtime.consoleAPICalled": lambda said: said["type"],
            "Log.entryAdded": lambda said: said["entry"]["level"],
        }
        known = [event for event in self.events if event["method"] in levels]
        return [event for event in known if levels[event["method"]](event["params"]) == "error"]

    def picture(self) -> bytes:
        """The whole page as a PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            assert select.select([self.answers], [], [], PATIENCE)[0], "the browser does not answer"
            part = os.read(self.answers, 2**20)
            assert part, "the browser has ended"
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)


@contextlib.contextmanager
def opened(profile: Path) -> Iterator[Browser]:
    """A browser with a profile of its own, in an empty folder."""
    theirs_in, commands = os.pipe()
    answers, theirs_out = os.pipe()
    command = [sys.executable, "-c", PIPES, str(theirs_in), str(theirs_out)]
    command += [executable(), *FLAGS, f"--user-data-dir={profile}"]
    process = subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL)
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        browser = Browser(commands, answers)
        yield browser
        browser.session = None
        browser.ask("Browser.close")
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(commands)
        os.close(answers)
