"""Makes docs/TRAINING_BENCHMARKS.md of what bench_train.py measured."""


def cell(value, places, unit=""):
    """A figure, or a dash for one that was not kept or never reached."""
    return "–" if value is None or value != value else f"{value:,.{places}f}{unit}"


def table(entry):
    base = next(r for r in entry["rows"] if r["name"] == entry["base"])
    lines = ["| | seconds | of the first row's | s to the common accuracy | CPU s | peak MB | held photos right | runs |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for row in entry["rows"]:
        ratio = "" if row is base else cell(row["seconds"] / base["seconds"], 2, "x")
        lines.append(f"| {row['name']} | {cell(row['seconds'], 2)} | {ratio} | {cell(row.get('until'), 2)} | {cell(row.get('cpu'), 1)} | "
                     f"{cell(row.get('peak_mb'), 0)} | {cell(row.get('last'), 3)} | {row.get('runs') or '–'} |")
    reached = f"Every row comes to {entry['target']:.3f} of the held photos right.\n\n" if entry.get("target") is not None else ""
    note = f"\n\n{entry['note']}" if entry.get("note") else ""
    return f"## {entry['title']}\n\n{reached}" + "\n".join(lines) + note


def render(measured):
    """The page, as Markdown."""
    here = measured.get("machine", {})
    versions = ", ".join(f"{n} {v}" for n, v in here.get("versions", {}).items())
    load = f", load {measured['load']:.1f} at the start" if measured.get("load") is not None else ""
    parts = [
        "# Benchmarks of training", "",
        "Made by `make bench` (`Scripts/bench_train.py`); do not edit by hand. The ratio is of the first row of each table: 3x says that "
        "it takes three times as long.", "",
        "| | |", "|---|---|",
        f"| machine | {here.get('processor')}, {here.get('cores')} cores, {here.get('memory_gb')} GB; {' '.join(here.get('flags', []))} |",
        f"| system | {here.get('system')}, Linux {here.get('kernel')}, Python {here.get('python')} |",
        f"| versions | {here.get('program')}; {versions} |",
        f"| measured | {measured.get('date')}{load}, `{measured.get('command', '').strip()}` |",
        f"| setting | {measured.get('setting')} |", "",
        "Its own way: the frozen network runs in every epoch, as the framework's guide has it. Kept by hand: features are computed once and kept in "
        "memory. graft keeps them by itself, on disk. Imports are not charged to the peers. Medians of the runs; peak memory is the largest of them. "
        "A dash: the figure was not kept.", "",
    ]
    for entry in measured["tables"]:
        parts += [table(entry), ""]
    if measured.get("checks"):
        parts += ["## Proven equal first", "", *(f"- {c}" for c in measured["checks"]), ""]
    return "\n".join(parts)
