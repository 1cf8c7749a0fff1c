"""Parquet files of pyarrow and DuckDB read by graft, and graft's own read by both: every type, codec, encoding and nesting."""
import json
import math
import os
import random
import subprocess
import tempfile

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from _graft import GRAFT, report

HARNESS = os.environ.get("GRAFT_HARNESS", os.path.join(os.path.dirname(GRAFT), "graft-harness"))


def harness(*arguments):
    run = subprocess.run([HARNESS, "parquet", *arguments], capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr.strip())
    return run.stdout


def flattened(table):
    """pyarrow's columns with structs opened: {name: values}, lists of structs as lists of each field."""

    def leaves(name, kind, values):
        if pa.types.is_struct(kind):
            for field in kind:
                yield from leaves(
                    f"{name}.{field.name}", field.type, [None if v is None else v[field.name] for v in values])
        elif pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
            for field in kind.value_type:
                yield from leaves(
                    f"{name}.{field.name}", pa.list_(field.type),
                    [None if v is None else [None if e is None else e[field.name] for e in v] for v in values])
        else:
            yield name, [plain(v) for v in values]

    for field in table.schema:
        yield from leaves(field.name, field.type, table.column(field.name).to_pylist())


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def same(path, table, label):
    try:
        found = json.loads(harness("dump", path))
    except Exception as error:  # noqa: BLE001
        return report(False, label, str(error)[:200])
    expected = dict(flattened(table))
    wrong = [name for name in expected if found["columns"].get(name) != expected[name]]
    detail = ""
    if wrong:
        pairs = zip(found["columns"].get(wrong[0], []), expected[wrong[0]])
        detail = f"{wrong}: {next(((a, b) for a, b in pairs if a != b), found['names'])}"[:300]
    report(not wrong and found["rows"] == table.num_rows, label, detail)


def table(count, nulls, seed=3):
    """A column of each type; `nulls` is the share of missing values."""
    rng = random.Random(seed)

    def some(make):
        return [None if rng.random() < nulls else make() for _ in range(count)]

    words = ["cat", "dog", "ein Vogel", "é", "", "日本"]
    box = pa.list_(pa.float32())
    return pa.table({
        "flag": pa.array(some(lambda: rng.random() < 0.5), pa.bool_()),
        "small": pa.array(some(lambda: rng.randrange(-100, 100)), pa.int8()),
        "unsigned": pa.array(some(lambda: rng.randrange(2**32)), pa.uint32()),
        "int": pa.array(some(lambda: rng.randrange(-2**31, 2**31)), pa.int32()),
        "long": pa.array(some(lambda: rng.randrange(-2**63, 2**63)), pa.int64()),
        "half": pa.array(some(lambda: float(rng.randrange(-512, 512)) / 8), pa.float16()),
        "float": pa.array(some(lambda: float(rng.randrange(-2**20, 2**20)) / 64), pa.float32()),
        "double": pa.array(some(lambda: rng.choice([rng.random(), math.inf, -0.0])), pa.float64()),
        "text": pa.array(some(lambda: rng.choice(words)), pa.string()),
        "long_text": pa.array(some(lambda: "".join(rng.choices("abc", k=rng.randrange(40)))), pa.large_string()),
        "fixed": pa.array(some(lambda: rng.randbytes(5)), pa.binary(5)),
        "image": pa.array(
            some(lambda: {"bytes": rng.randbytes(rng.randrange(200)), "path": rng.choice([None, "a.jpg"])}),
            pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "tags": pa.array(some(lambda: rng.choices(words, k=rng.randrange(4))), pa.list_(pa.string())),
        "objects": pa.array(
            some(lambda: {
                "bbox": [[float(rng.randrange(100)) for _ in range(4)] for _ in range(k)],
                "category": [rng.randrange(3) for _ in range(k)],
            } if (k := rng.randrange(4)) or True else None),
            pa.struct([("bbox", pa.list_(box)), ("category", pa.list_(pa.int64()))])),
        "parts": pa.array(
            some(lambda: [{"x": rng.random(), "name": rng.choice([None, "n"])} for _ in range(rng.randrange(3))]),
            pa.list_(pa.struct([("x", pa.float64()), ("name", pa.string())]))),
        "nothing": pa.nulls(count, pa.int32()),
    })


with tempfile.TemporaryDirectory() as folder:
    def at(name):
        return os.path.join(folder, name)

    full = table(700, 0.2).replace_schema_metadata({"huggingface": '{"info": {}}'})
    for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
        for version in ["1.0", "2.0"]:
            for dictionary in [True, False]:
                path = at(f"{codec}-{version}-{dictionary}.parquet")
                pq.write_table(
                    full, path, compression=codec, data_page_version=version, use_dictionary=dictionary,
                    row_group_size=300, data_page_size=2000, write_batch_size=50)
                same(path, full, f"pyarrow: {codec}, pages {version}, {'dictionary' if dictionary else 'plain'}")
    metadata = json.loads(harness("dump", at("none-1.0-True.parquet")))["metadata"]
    report(metadata.get("huggingface") == '{"info": {}}', "the key huggingface of the metadata")

    for count, nulls in [(0, 0), (1, 0), (1, 1), (2000, 0), (300, 1)]:
        some = table(count, nulls)
        pq.write_table(some, at("x.parquet"))
        same(at("x.parquet"), some, f"pyarrow: {count} rows, {nulls:.0%} missing")
    pq.write_table(full, at("x.parquet"), write_page_checksum=True)
    same(at("x.parquet"), full, "pyarrow: page checksums")
    bytes_ = bytearray(open(at("x.parquet"), "rb").read())
    bytes_[200] ^= 1
    open(at("x.parquet"), "wb").write(bytes_)
    try:
        harness("dump", at("x.parquet"))
        report(False, "a flipped bit under a checksum is refused")
    except RuntimeError as error:
        report("checksum" in str(error) or "decompress" in str(error), "a flipped bit under a checksum is refused", str(error)[:90])

    encodings = {
        "DELTA_BINARY_PACKED": ["int", "long"], "DELTA_LENGTH_BYTE_ARRAY": ["text", "long_text"],
        "DELTA_BYTE_ARRAY": ["text", "fixed"], "BYTE_STREAM_SPLIT": ["float", "double", "int", "long", "fixed"],
        "RLE": ["flag"],
    }
    for encoding, names in encodings.items():
        for version in ["1.0", "2.0"]:
            part = full.select(names)
            pq.write_table(
                part, at("x.parquet"), use_dictionary=False, column_encoding={n: encoding for n in names},
                data_page_version=version, row_group_size=300)
            same(at("x.parquet"), part, f"pyarrow: {encoding}, pages {version}")

    connection = duckdb.connect()
    for codec in ["uncompressed", "snappy", "gzip", "zstd", "brotli", "lz4_raw"]:
        for version in ["V1", "V2"]:
            part = full.select([n for n in full.column_names if n not in ("half", "fixed", "nothing")])
            try:
                connection.execute(
                    f"copy part to '{at('d.parquet')}' (format parquet, codec '{codec}', parquet_version '{version}', row_group_size 2048)")
            except duckdb.Error as error:
                report.skip(f"duckdb: {codec}, {version}", str(error)[:80])
                continue
            same(at("d.parquet"), part, f"duckdb: {codec}, version {version}")

    # What graft writes: by its own reader from pyarrow's file, then read by both peers.
    kept = full.select([n for n in full.column_names if n not in ("parts", "half", "fixed", "nothing")])
    pq.write_table(kept, at("in.parquet"))
    for codec in ["none", "snappy", "zstd"]:
        harness("copy", at("in.parquet"), at("out.parquet"), codec)
        # A struct that is missing is written as one of missing fields.
        def opened(table):
            return {n: [None if v == [None] * 2 else v for v in vs] for n, vs in flattened(table)}

        report(opened(pq.read_table(at("out.parquet"))) == opened(kept), f"graft writes {codec}: pyarrow reads it")
        rows = connection.execute(f"select text, long, image.path, len(tags), objects.category from '{at('out.parquet')}'").fetchall()
        names = dict(flattened(kept))
        expected = list(zip(
            names["text"], names["long"], names["image.path"], [None if t is None else len(t) for t in names["tags"]],
            names["objects.category"]))
        report(rows == expected, f"graft writes {codec}: DuckDB reads it")

report.finish()
