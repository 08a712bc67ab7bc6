#!/usr/bin/env python3
"""Builds facts/facts.json.gz: what instance types and regions are like beside size and price.

    generate-facts.py [folder]      download moto by pip, read the carbon tables in the folder, build, print counts
    generate-facts.py --check       no network: is the committed file what this generator made of its inputs?

Machines (AWS): the PyPI package moto's copy of DescribeInstanceTypes: baseline bandwidth over all network cards,
instance storage, memory of one GPU, maker of the processor.
Grid carbon, g CO2e/kWh: AWS and Azure from Cloud Carbon Footprint's emission factors, GCP from Google's own
figures of 2024 (https://cloud.google.com/sustainability/region-carbon). The folder (../shared/data/catalog by default)
holds ccf-grid-aws.csv, ccf-grid-azure.csv and gcp-region-carbon-2024.csv. A row that is malformed is left out and
counted; a region without a figure has none.
"""

import collections
import csv
import gzip
import hashlib
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
OUTPUT = HERE / "facts" / "facts.json.gz"
MANIFEST = HERE / "facts" / "manifest.json"
MOTO, WHEEL = "moto==5.2.5", "moto-5.2.5-py3-none-any.whl"
CARBON = {
    "aws": ("ccf-grid-aws.csv", "Region", "CO2e (metric ton/kWh)", 1e6),
    "azure": ("ccf-grid-azure.csv", "Region", "CO2e (metric ton/kWh)", 1e6),
    "gcp": ("gcp-region-carbon-2024.csv", "Google Cloud Region", "Grid carbon intensity (gCO2eq / kWh)", 1),
}
LICENCES = {
    MOTO: "Apache-2.0",
    "ccf-grid-aws.csv": "Apache-2.0 (cloud-carbon-footprint)",
    "ccf-grid-azure.csv": "Apache-2.0 (cloud-carbon-footprint)",
    "gcp-region-carbon-2024.csv": "Apache-2.0 (GoogleCloudPlatform/region-carbon-info)",
}


def machines(moto, left_out):
    described = json.load(gzip.open(io.BytesIO(moto.read("moto/ec2/resources/instance_types.json.gz"))))
    for name, d in sorted(described.items()):
        if any(a.endswith("_mac") for a in d["ProcessorInfo"]["SupportedArchitectures"]):
            left_out["AWS: a Mac, which is let by the dedicated host"] += 1
            continue
        cards = d["NetworkInfo"]["NetworkCards"]
        gpus = d.get("GpuInfo", {}).get("Gpus", [])
        # AWS counts disks in GB and memory in MiB.
        disk = d["InstanceStorageInfo"]["TotalSizeInGB"] * 1e9 / 2**30 if d["InstanceStorageSupported"] else 0
        gpu_memory = 0 if not gpus else gpus[0]["MemoryInfo"]["SizeInMiB"] / 1024 if len(gpus) == 1 else None
        yield name, [
            round(sum(card["BaselineBandwidthInGbps"] for card in cards), 3),
            round(disk, 1),
            None if gpu_memory is None else round(gpu_memory, 1),
            d["ProcessorInfo"]["Manufacturer"],
        ]


def carbon(tables, left_out):
    for provider, (file, region, column, factor) in CARBON.items():
        for row in csv.DictReader(io.StringIO(tables[file].decode("utf-8-sig"))):
            figure = row[column] or ""
            if not re.fullmatch(r"\d+(\.\d+)?", figure) or not 0 < float(figure) * factor < 2000:
                left_out[f"{file}: {row[region]} has {figure!r} where its figure should be"] += 1
                continue
            # Azure's table has display names; the region's own name is the same without spaces, in lower case.
            name = row[region].replace(" ", "").lower() if provider == "azure" else row[region]
            yield provider, name, round(float(figure) * factor, 3)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def check():
    manifest = json.loads(MANIFEST.read_text())
    problems = []
    if manifest["generator"] != sha256(pathlib.Path(__file__).read_bytes()):
        problems.append("the generator changed since the facts were built: run it again")
    if manifest["content"] != sha256(gzip.decompress(OUTPUT.read_bytes())):
        problems.append("facts/facts.json.gz is not what the generator wrote")
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"the facts are current: {manifest['counts']}")
    return 1 if problems else 0


def main():
    if sys.argv[1:] == ["--check"]:
        return check()
    if len(sys.argv) > 2:
        print(__doc__, file=sys.stderr)
        return 2
    default = HERE.parent.parent.parent / "shared" / "data" / "catalog"
    source = pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else default
    tables = {file: (source / file).read_bytes() for file, *_ in CARBON.values()}
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*pip, MOTO], check=True)
        wheel = (pathlib.Path(folder) / WHEEL).read_bytes()
    left_out = collections.Counter()
    grid = collections.defaultdict(dict)
    for provider, region, grams in carbon(tables, left_out):
        grid[provider][region] = grams
    aws = dict(machines(zipfile.ZipFile(io.BytesIO(wheel)), left_out))
    content = json.dumps({"carbon": grid, "aws": aws}, separators=(",", ":")).encode()
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_bytes(gzip.compress(content, 9, mtime=0))
    manifest = {
        "generator": sha256(pathlib.Path(__file__).read_bytes()),
        "content": sha256(content),
        "inputs": {MOTO: sha256(wheel), **{name: sha256(data) for name, data in tables.items()}},
        "licences": LICENCES,
        "counts": {"aws instance types": len(aws), **{f"{p} regions": len(r) for p, r in grid.items()}},
        "leftOut": dict(sorted(left_out.items())),
    }
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")
    print(json.dumps({"counts": manifest["counts"], "leftOut": manifest["leftOut"]}, indent=2))
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
