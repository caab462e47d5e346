"""Writes benches/RESULTS.md from what was measured."""
import datetime
import os
import platform
import subprocess
from importlib.metadata import version

JOBS = ["j1", "j2", "j3", "j4"]
ENGINES = ["polars", "duckdb", "chdb"]


def said(*command):
    try:
        return (subprocess.run(command, capture_output=True, text=True).stdout.splitlines() or [""])[0].strip()
    except OSError:
        return ""


def machine():
    cpu = {}
    with open("/proc/cpuinfo") as file:
        for line in file:
            name, _, value = line.partition(":")
            cpu.setdefault(name.strip(), value.strip())
    with open("/proc/meminfo") as file:
        kib = int(file.readline().split()[1])
    # by its flags, not by its model: a hypervisor may name the processor as it likes
    wide = "AVX-512" if "avx512_vbmi2" in cpu.get("flags", "") else "AVX2" if "avx2" in cpu.get("flags", "") else "no AVX2"
    return (f"{cpu.get('model name', platform.machine())} (family {cpu.get('cpu family')}, model {cpu.get('model')}), "
            f"{os.cpu_count()} cores, {wide}, {kib >> 20} GiB, Linux {platform.release()}"
            + (", virtual" if "hypervisor" in cpu.get("flags", "") else ""))


def row(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def head(*cells):
    return [row(*cells), "|" + "---|" * len(cells)]


def cost_cells(cost, ours=None):
    if cost is None:
        return ["-"] * (4 if ours is None else 6)
    cells = [f"{cost.median('wall'):.2f}", f"{min(cost.wall):.2f}", f"{cost.median('cpu'):.2f}"]
    if ours is not None:
        cells += [f"{cost.median('wall') / ours.median('wall'):.1f}", f"{cost.median('cpu') / ours.median('cpu'):.1f}"]
    return cells + [f"{max(cost.peak):.0f}"]


def goal(text, holds, got):
    return row(text, got, "holds" if holds else "**does not hold**")


def convert(size, costs, lines, goals):
    for threads, name in ((1, "One core (`taskset -c 0`, one thread)"), (4, "Four cores, four threads")):
        lines += ["", f"### {name}", ""]
        lines += head("job", "tool", "wall s", "best wall s", "CPU s", "wall / ours", "CPU / ours", "peak MiB")
        for job in JOBS:
            ours = costs.get(f"convert/listferry/{job}/{threads}")
            if ours is None:
                continue
            for tool in ["listferry", *ENGINES]:
                cost = costs.get(f"convert/{tool}/{job}/{threads}")
                lines.append(row(job.upper(), tool, *cost_cells(cost, ours)))
            peers = {t: costs[f"convert/{t}/{job}/{threads}"] for t in ENGINES if f"convert/{t}/{job}/{threads}" in costs}
            fastest = {t: c for t, c in peers.items() if t != "duckdb"}
            if fastest:
                tool, cost = min(fastest.items(), key=lambda item: item[1].median("wall"))
                ratio, wanted = cost.median("wall") / ours.median("wall"), 6 if threads == 1 else 5
                goals.append(goal(f"{job.upper()}, {threads} thread(s): at least {wanted} times the faster of polars and chdb",
                                  ratio >= wanted, f"{ratio:.1f} times {tool}, by CPU {cost.median('cpu') / ours.median('cpu'):.1f}"))
            if job == "j2" and threads == 1 and "duckdb" in peers:
                ratio = peers["duckdb"].median("wall") / ours.median("wall")
                goals.append(goal("J2, one thread: at least 15 times DuckDB", ratio >= 15, f"{ratio:.1f} times"))
            floor = costs.get(f"convert/cat/-/{threads}")
            if job in ("j1", "j3") and threads == 4 and floor:
                ratio = ours.median("wall") / floor.median("wall")
                goals.append(goal(f"{job.upper()}, four threads: within 1.5 times of `cat`", ratio <= 1.5, f"{ratio:.2f} times"))
        for tool in ("cat", "wc -l", "cp"):
            cost = costs.get(f"convert/{tool}/-/{threads}")
            if cost:
                cells = cost_cells(cost)
                lines.append(row("floor", f"`{tool}`", *cells[:3], "", "", cells[3]))
        peaks = [max(costs[f"convert/listferry/{job}/{threads}"].peak) for job in JOBS
                 if f"convert/listferry/{job}/{threads}" in costs]
        if peaks:
            most = 32 if threads == 1 else 64
            goals.append(goal(f"memory of a conversion, {threads} thread(s): at most {most} MiB", max(peaks) <= most,
                              f"{max(peaks):.0f} MiB"))
    lines += ["", "### Scaling of listferry", ""]
    lines += head("job", "1 thread", "2", "3", "4", "GB/s of input on one core", "on four", "4 threads / 1")
    for job in JOBS:
        walls = [costs[key].median("wall") for threads in (1, 2, 3, 4)
                 if (key := f"convert/listferry/{job}/{threads}") in costs]
        if len(walls) == 4:
            lines.append(row(job.upper(), *[f"{wall:.2f} s" for wall in walls], f"{size / walls[0] / 1e9:.2f}",
                             f"{size / walls[3] / 1e9:.2f}", f"{walls[0] / walls[3]:.1f}"))


def upload(costs, notes, lines, goals):
    names = [key for key in costs if key.startswith("upload/")]
    if not names:
        return
    lines += ["", "## Upload of J3 to a loopback sink that drops bodies in the kernel", "",
              f"The body is {notes.get('body_bytes', 0) / 1e6:.0f} MB. `listferry run` reads the list twice (it measures, then "
              "sends) and writes no file but its journal; \"then curl\" writes the converted file and removes it.", ""]
    lines += head("what", "threads", "wall s", "best wall s", "CPU s", "peak MiB", "temporary disk MB")
    for key in names:
        _, what, _, threads = key.split("/")
        disk = f"{notes.get('body_bytes', 0) / 1e6:.0f}" if "then curl" in what else "0"
        lines.append(row(what, threads, *cost_cells(costs[key]), disk))
    ours = costs.get("upload/listferry run (measure and upload, one body)/-/4")
    curl = costs.get("upload/curl -T of the finished file/-/4")
    rest = {k.split("/")[1]: c for k, c in costs.items() if "then curl" in k and "listferry" not in k}
    if ours and curl:
        ratio = ours.median("wall") / curl.median("wall")
        goals.append(goal("J3 measured and uploaded: within 1.5 times of `curl -T` of the finished file", ratio <= 1.5, f"{ratio:.2f} times"))
    if ours and rest:
        name, cost = min(rest.items(), key=lambda item: item[1].median("wall"))
        ratio = cost.median("wall") / ours.median("wall")
        goals.append(goal("J3 measured and uploaded: at least 2.5 times as fast as the best convert-then-curl", ratio >= 2.5,
                          f"{ratio:.1f} times ({name})"))


def upload_by_tls(costs, goals, lines):
    names = [key for key in costs if key.startswith("tls/")]
    if not names:
        return
    lines += ["", "### By TLS", "", "TLS 1.3 to the same sink, which decrypts in one thread of Python's `ssl`.", ""]
    lines += head("what", "threads", "wall s", "best wall s", "CPU s", "peak MiB")
    for key in names:
        _, what, _, threads = key.split("/")
        lines.append(row(what, threads, *cost_cells(costs[key])))
    for threads, most in ((1, 32), (4, 64)):
        peaks = [max(cost.peak) for key, cost in costs.items()
                 if key.startswith(("tls/listferry run", "upload/listferry run")) and key.endswith(f"/{threads}")]
        if peaks:
            goals.append(goal(f"memory of a run with its upload, plain and TLS, {threads} thread(s): at most {most} MiB",
                              max(peaks) <= most, f"{max(peaks):.0f} MiB"))


def others(args, costs, notes, lines, goals):
    packed = [key for key in costs if key.startswith("packed/")]
    if packed:
        lines += ["", "## Compressed lists", "", "J2 from the same list, packed with `gzip -6`, `zstd -3` (one frame), `bgzip` (members "
                  "that tell their size) and `pzstd -3` (frames of 8 MiB); the unpackers' output goes to `/dev/null`.", ""]
        lines += head("what", "list", "threads", "wall s", "best wall s", "CPU s", "peak MiB")
        for key in sorted(packed, key=lambda key: key.split("/")[2]):
            _, what, kind, threads = key.split("/")
            lines.append(row(what, kind, threads, *cost_cells(costs[key])))
    cold = [key for key in costs if key.startswith("cold/")]
    if cold:
        lines += ["", "## Cold lists", "", "J2 from a list that is not in the page cache (`POSIX_FADV_DONTNEED` before each run).", ""]
        lines += head("what", "threads", "wall s", "best wall s", "CPU s", "peak MiB")
        for key in cold:
            _, what, _, threads = key.split("/")
            lines.append(row(what, threads, *cost_cells(costs[key])))
    slow = [key for key in costs if key.startswith("slow/")]
    if slow:
        size = os.path.getsize(args.slow)
        lines += ["", "## Slower tools", "", f"On a list of {round(size / 2**20)} MiB; listferry on one core, the others on all four.", ""]
        lines += head("tool", *[f"{job.upper()} MB/s" for job in JOBS], "peak MiB")
        for tool in dict.fromkeys(key.split("/")[1] for key in slow):
            mine = {key.split("/")[2]: costs[key] for key in slow if key.split("/")[1] == tool}
            lines.append(row(tool, *[f"{size / mine[j].median('wall') / 1e6:.0f}" if j in mine else "-" for j in JOBS],
                             f"{max(max(c.peak) for c in mine.values()):.0f}"))
    small = [key for key in costs if key.startswith("small/")]
    if small:
        lines += ["", "## Starting", "", "The whole process for J1 on a list of one record.", ""]
        lines += head("tool", "wall ms", "CPU ms", "peak MiB")
        lines += [row(key.split("/")[1], f"{costs[key].median('wall') * 1e3:.0f}", f"{costs[key].median('cpu') * 1e3:.0f}",
                      f"{max(costs[key].peak):.0f}") for key in small]
    if "first_byte_ms" in notes:
        ms = notes["first_byte_ms"]
        lines += ["", f"listferry, from before the fork to the first byte of J2 in the pipe: {ms:.1f} ms (median of 25)."]
        goals.append(goal("start-up to the first byte of output: under 10 ms", ms < 10, f"{ms:.1f} ms"))
    memory = [key for key in costs if key.startswith("memory/")]
    if memory:
        lines += ["", "## Memory and size", "", "J3 from a list made on the fly, read through a FIFO.", ""]
        lines += head("list", "threads", "wall s", "peak MiB")
        for key in memory:
            _, size, _, threads = key.split("/")
            lines.append(row(size, threads, f"{costs[key].median('wall'):.1f}", f"{max(costs[key].peak):.1f}"))
        for threads in (1, 4):
            peaks = [max(costs[key].peak) for key in memory if key.endswith(f"/{threads}")and "256MiB" not in key]
            goals.append(goal(f"1 GiB and 16 GiB, {threads} thread(s): the same peak within 2 MiB", max(peaks) - min(peaks) <= 2,
                              " and ".join(f"{peak:.1f}" for peak in peaks) + " MiB"))


def write(args, costs, notes):
    size = os.path.getsize(args.list)
    tools = [f"{name} {version(name)}" for name in ("polars", "duckdb", "chdb", "requests")]
    tools += [text for text in (said("mlr", "--version"), "xan " + said("xan", "--version").split()[-1] if said("xan", "--version") else "", said("jq", "--version"),
                                " ".join(said("curl", "--version").split()[:2]), said("java", "--version")) if text]
    lines, goals = [], []
    convert(size, costs, lines, goals)
    upload(costs, notes, lines, goals)
    upload_by_tls(costs, goals, lines)
    others(args, costs, notes, lines, goals)
    rounds = max((len(cost.wall) for key, cost in costs.items() if key.startswith("convert/")), default=0)
    top = [
        "# Measured beside others", "",
        "Written by `benches/peers/run`; do not edit, run it again. What bounds the figures is in `NOTES.md` beside it.", "",
        f"- Date: {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"- Machine: {machine()}; load average at the end {os.getloadavg()[0]:.1f}",
        f"- Command: `benches/peers/run --size {args.size} --rounds {args.rounds}`",
        f"- List: {size} bytes from `examples/generate.rs`, in the page cache; output to `/dev/null`",
        f"- {rounds} interleaved rounds, medians; whole processes, interpreter and imports of the Python engines included",
        "- Tools: " + ", ".join(tools), "",
        "The jobs are in `benches/peers/jobs`: J1 a CleverTap list, J2 Localytics lines, J3 mediarithmics NDJSON, J4 "
        "pipe-delimited with the address in lower case.", "",
        "## Goals", "", *head("goal", "measured", ""), *goals, "",
        "## Convert", *lines, "",
        "## Do the outputs agree?", "",
        "On a small list, parsed and compared with what plain Python makes of it (`reference.py`); listferry's output must be "
        "the same bytes, or nothing is measured.", "",
        *head("tool", *[job.upper() for job in JOBS])]
    verified = notes.get("verified", {})
    for tool in dict.fromkeys(key.split("/")[0] for key in verified):
        top.append(row(tool, *[verified.get(f"{tool}/{job}", "-") for job in JOBS]))
    failed = notes.get("failed", {})
    if failed:
        top += ["", "Left out, since they failed: " + "; ".join(f"{key} ({text.split(':')[0].strip()})" for key, text in failed.items())]
    with open(args.out, "w", encoding="utf-8") as file:
        file.write("\n".join(top) + "\n")
