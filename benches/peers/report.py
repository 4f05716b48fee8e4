"""Writes the tables and the chart from the results of one run."""

from html import escape

READERS = [
    # The name of the reader, its heading, and its color.
    ("ours", "qcow1", "#1d6fb8"),
    ("limit", "limit", "#9aa3ad"),
    ("qemu io_uring", "QEMU, io_uring", "#e07b39"),
    ("qemu threads", "QEMU, threads", "#f0b48a"),
    ("libqcow", "libqcow", "#5a9e6f"),
    ("7z", "7z", "#a274b5"),
]
PEERS = {"limit": "the limit", "qemu": "QEMU's faster one", "libqcow": "libqcow", "7z": "7z"}

LIMITS = """\
The limit is `pread` of the same bytes of the same files of the whole chain in the guest's sequence, by 1 MiB, by extent or by
the same 4 KiB; for compressed disks, qcow1's inflate alone, from memory; for encrypted ones, the sum of the times of `pread`
and of AES; for a slice, memcpy of the same clusters. For `open` it is the same work on the full disk. "-" is a reader that
cannot do the work.
"""


def speed(row, seconds, size):
    if row.unit == "MiB/s":
        return f"{size / (1 << 20) / seconds:,.0f} MiB/s"
    if row.unit == "ms":
        return f"{seconds * 1e3:,.2f} ms"
    return f"{seconds / row.reads * 1e6:.2f} µs"


def memory_size(count):
    for unit, shift in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << shift:
            return f"{count >> shift} {unit}"
    return f"{count} B"


def table(heading, lines):
    align = "|---|" + "---:|" * (len(heading) - 1)
    return "\n".join(["| " + " | ".join(heading) + " |", align, *("| " + " | ".join(line) + " |" for line in lines)])


def markdown(rows, growth, size, rounds, machine, starts, folder):
    parts = [
        "# Comparison with other readers",
        f"Made by `benches/peers/run.py`: disks of {memory_size(size)} of real files in 4 KiB clusters, warm page "
        f"cache, {rounds} rounds. {machine}.",
        medians(rows, size),
        *failures(rows),
        LIMITS.strip(),
        "Programs that do not measure their own time are timed from outside, and their time for an image of one "
        "cluster is subtracted: "
        + ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in starts.items())
        + ". The random reads of `qemu-img bench` have a fixed stride; for the comparison with it, qcow1 reads at the "
        "same offsets.",
    ]
    if growth:
        parts += ["## How cost grows", *growth_tables(growth)]
    parts += ["## Command lines", "```text\n" + commands(rows, folder) + "\n```"]
    return "\n\n".join(parts) + "\n"


def medians(rows, size):
    lines = []
    for row in rows:
        cells = [row.title]
        for reader, _, _ in READERS:
            if row.has(reader):
                cells.append(speed(row, row.median(reader), size))
            else:
                cells.append(row.notes.get(reader, "-"))
        lines.append(cells)
    return table(["work", *(title for _, title, _ in READERS)], lines)


def failures(rows):
    """Returns a paragraph on the runs that failed, if there are any."""
    found = []
    for row in rows:
        for reader, title, _ in READERS:
            run = row.all_runs.get(reader)
            for how in sorted(set(run.failures if run else ())):
                found.append(f"{title}: {how} in {run.failures.count(how)} of {run.count} runs of \"{row.title}\"")
    if found:
        yield "Runs of other readers that failed, and were repeated. " + "; ".join(found) + "."


def goals(rows):
    """Returns the ratios of speeds, medians over the rounds, and the goals that they should reach.

    "measured" is the speed of qcow1 divided by that of the other reader, and "the limit's" that of the limit divided
    by that of the other reader.
    """
    lines = []
    for row in rows:
        for peer, goal in row.goals:
            ratios = row.against(peer)
            if ratios is None:
                continue
            ratio, limit = ratios
            most = "" if limit is None or peer == "limit" else f"{limit:.2f}"
            met = "met" if ratio >= goal else "missed"
            lines.append([row.title, PEERS[peer], f"≥ {goal:.2f}", f"{ratio:.2f}", most, met])
        if row.name == "open":
            last = row.runs["ours"].last
            open_requests = last["open_requests"]
            met = "met" if open_requests <= 3 else "missed"
            measured = f"{open_requests}, {last['requests']} with a sector"
            lines.append(["open: device reads", "", "≤ 3", measured, "", met])
    heading = ["work", "against", "goal", "measured", "the limit's", ""]
    return table(heading, lines)


def growth_tables(growth):
    def micros(cost, reads=1):
        return f"{cost['seconds'] / reads * 1e6:,.2f} µs"

    def requests(cost, reads=1):
        return f"{cost['requests'] / reads:.2f}" if reads > 1 else f"{cost['requests']:,}"

    lines = []
    for entry in growth["sizes"]:
        cells = [memory_size(entry["size"])]
        for work, reads in (("open", 1), ("first", 1), ("random", entry["reads"])):
            cells += [micros(entry[work], reads), requests(entry[work], reads)]
        extents = entry["extents"]
        cells += [f"{extents['seconds'] * 1e3:,.2f} ms", requests(extents)]
        lines.append(cells)
    heading = ["disk"]
    for work in ("open", "first sector", "4 KiB at random", "all extents"):
        heading += [work, "reads"]
    yield "Sparse disks with 4,096 extents of 64 KiB, 64 KiB of memory lent: time and device reads."
    yield table(heading, lines)

    lines = []
    for entry in growth["memory"]:
        in_order, random = entry["in_order"], entry["random"]
        mib = entry["bytes"] >> 20
        lines.append([
            memory_size(entry["memory"]),
            f"{mib / in_order['seconds']:,.0f} MiB/s",
            requests(in_order, mib),
            micros(random, entry["reads"]),
            requests(random, entry["reads"]),
        ])
    heading = ["memory lent", "in order, 1 MiB reads", "device reads per MiB"]
    heading += ["random 4 KiB", "device reads per read"]
    yield "The full disk, by memory lent."
    yield table(heading, lines)


def commands(rows, folder):
    lines = []
    for row in rows:
        lines.append(f"# {row.title}")
        # Without the folders, which are those of one machine.
        for run in row.runs.values():
            words = str(run).replace(f"{folder}/", "").replace(f"{folder.parent}/", "")
            program, _, rest = words.partition(" ")
            lines.append(f"peers {rest}" if program.endswith("/peers") else words)
    return "\n".join(lines)


# The chart: for each workload a bar per reader, whose length is the reader's speed relative to the limit.
LEFT, WIDTH, RIGHT, BAR, GAP, TOP = 300, 420, 180, 13, 16, 62
CHARTED = ["in-order", "scattered", "compressed", "encrypted", "random-4M", "random-64K"]
CHARTED += ["overlay", "chain", "chain-random", "chain-random-32M"]


def chart(rows, size):
    rows = [row for row in rows if row.name in CHARTED]
    marks, y = [], TOP
    for row in rows:
        readers = [reader for reader in READERS if row.has(reader[0])]
        fastest = min(row.median(reader) for reader, _, _ in readers)
        middle = y + BAR * len(readers) / 2 + 4
        name = escape(row.title)
        marks.append(f'<text x="{LEFT - 12}" y="{middle:.1f}" text-anchor="end" class="work">{name}</text>')
        for reader, title, color in readers:
            length = max(WIDTH * fastest / row.median(reader), 1)
            value = speed(row, row.median(reader), size)
            label = f"{title}: {value}"
            marks.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{color}"/>')
            marks.append(f'<text x="{LEFT + length + 6:.1f}" y="{y + 9}">{escape(label)}</text>')
            y += BAR
        y += GAP
    width, height = LEFT + WIDTH + RIGHT, y
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title">\n'
        '<title id="title">Readers of QCOW1, each beside the limit of the machine</title>\n'
        "<style>text{font:10px system-ui,sans-serif;fill:#333}.head{font-size:15px;font-weight:600}"
        ".work{font-size:11px}</style>\n"
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n'
        '<text x="12" y="24" class="head">Reading QCOW1: longer is faster</text>\n'
        '<text x="12" y="42">Each group is drawn to its own scale: its longest bar is the fastest. '
        "Warm page cache; medians.</text>\n" + "\n".join(marks) + "\n</svg>\n"
    )
