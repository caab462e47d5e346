"""Runs a command and says what it cost."""
import os
import resource
import statistics
import subprocess
import time
from dataclasses import dataclass, field


@dataclass
class Cost:
    """Of the runs of one command: wall seconds, CPU seconds of it and its children, peak MiB of the largest process."""
    wall: list = field(default_factory=list)
    cpu: list = field(default_factory=list)
    peak: list = field(default_factory=list)

    def median(self, what):
        return statistics.median(getattr(self, what))

    def __bool__(self):
        return bool(self.wall)


def drop(path):
    """Has the kernel drop a file from the page cache; says how many bytes of it stayed."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    seen = subprocess.run(["fincore", "-nbo", "RES", path], capture_output=True, text=True)
    return int(seen.stdout.split()[0]) if seen.stdout.split() else 0


def run(command, cost, work, cores=None, stdout=None, stdin=None, env=None, forget=None):
    """One run. The output goes to /dev/null unless `stdout` names an open file; `forget` names one to be read cold."""
    if forget and (stayed := drop(forget)):
        raise RuntimeError(f"{stayed} bytes of the list stayed in the page cache")
    note = os.path.join(work, "time.txt")
    # GNU time, since it is small: the peak of a process is never less than that of the one that forked it
    timed = ["time", "-q", "-f", "%M", "-o", note]
    if cores is not None:
        timed = ["taskset", "-c", cores] + timed
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(timed + command, stdout=stdout or subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=stdin,
                          env={**os.environ, **(env or {})})
    wall = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.decode()[-400:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost.wall.append(wall)
    cost.cpu.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    with open(note, encoding="utf-8") as file:
        cost.peak.append(int(file.read()) / 1024)
