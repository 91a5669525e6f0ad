"""A SQL warehouse in front of Apache Spark: as much of the REST API as one comparison needs.

Writes two Parquet files, then.parquet and now.parquet, into the folder it is given, and serves them as the tables
main.default.then and main.default.now. Its first line of output is its address.
"""

import json
import pathlib
import re
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

folder = pathlib.Path(sys.argv[1])
TABLES = ("then", "now")


def data(moved, rows, seed):
    random = np.random.default_rng(seed)
    heavy = random.standard_t(2, rows) + moved
    heavy[::17] = np.nan
    heavy[::23] = np.inf
    whole = pd.array(random.poisson(5 + moved, rows), dtype="Int64")
    whole[::7] = pd.NA
    words = random.choice(["a", "it's", 'say "so"', "back\\slash", None], rows, p=[0.4, 0.3, 0.2, 0.05, 0.05])
    frame = pd.DataFrame(
        {
            "heavy": heavy,
            "a`b": random.normal(1e6, 1.0 + moved, rows),
            "whole": whole,
            "constant": np.full(rows, -2.5),
            "rare": np.where(random.random(rows) < 0.01, random.normal(moved, 1.0, rows), np.nan),
            "words": words,
            "flag": random.random(rows) < 0.3 + moved / 10,
            "time": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(random.integers(0, 28 * 24, rows), unit="h"),
        }
    )
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # pandas turns NaN into null on the way; here they are two things.
    return table.set_column(0, "heavy", pa.array(heavy, from_pandas=False))


spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.driver.host", "127.0.0.1")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
for seed, (name, moved, rows) in enumerate([("then", 0.0, 30_000), ("now", 0.4, 24_000)]):
    path = str(folder / f"{name}.parquet")
    pq.write_table(data(moved, rows, seed), path, coerce_timestamps="us", allow_truncated_timestamps=True)
    spark.read.parquet(path).createOrReplaceTempView(name)

links = []


def run(body):
    text = re.sub(r" VERSION AS OF \d+", "", body["statement"])
    text = re.sub(r"`main`\.`default`\.`(\w+)`", r"`\1`", text)
    if text.startswith("DESCRIBE HISTORY"):
        return answer(["version"], [["0"]])
    frame = spark.sql(text)
    if body["disposition"] == "INLINE":
        shown = lambda value: None if value is None else str(value)
        return answer(frame.columns, [[shown(value) for value in row] for row in frame.collect()])
    table = frame.toArrow()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    links.append(sink.getvalue().to_pybytes())
    told = answer(frame.columns, [])
    told["manifest"]["total_row_count"] = table.num_rows
    told["result"] = {"external_links": [{"external_link": f"{address}/links/{len(links) - 1}", "chunk_index": 0}]}
    return told


def answer(columns, rows):
    return {
        "statement_id": "s",
        "status": {"state": "SUCCEEDED"},
        "manifest": {
            "schema": {"columns": [{"name": name} for name in columns]},
            "total_row_count": len(rows),
            "truncated": False,
        },
        "result": {"data_array": rows},
    }


class Handler(BaseHTTPRequestHandler):
    def reply(self, body, status=200):
        bytes_ = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if isinstance(body, bytes) else "application/json")
        self.send_header("Content-Length", str(len(bytes_)))
        self.end_headers()
        self.wfile.write(bytes_)

    def do_GET(self):
        if self.path.startswith("/links/"):
            return self.reply(links[int(self.path.rsplit("/", 1)[1])])
        name = self.path.rsplit(".", 1)[-1]
        if name not in TABLES:
            return self.reply({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": self.path}, 404)
        fields = spark.table(name).schema.fields
        columns = [{"name": field.name, "type_text": field.dataType.simpleString()} for field in fields]
        return self.reply({"full_name": f"main.default.{name}", "columns": columns})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self.reply(run(body))
        except Exception as error:
            failed = {"state": "FAILED", "error": {"error_code": "SPARK", "message": str(error)[:2000]}}
            self.reply({"statement_id": "s", "status": failed})

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
address = f"http://127.0.0.1:{server.server_port}"
print(address, flush=True)
server.serve_forever()
