#!/usr/bin/env python3
"""Builds snapshot/catalogue.json.gz, the price list that ships with Landfall.

    generate-snapshot.py            download the inputs by pip, build, print counts
    generate-snapshot.py --check    no network: is the committed file what this generator made of its inputs?

Prices: the PyPI package apache-libcloud, libcloud/data/pricing.json. Sizes are not in that file:
AWS from the PyPI package moto's copy of DescribeInstanceTypes, and for old types libcloud's own constants;
GCP and Azure from the documented naming schemes, for the series whose names fix the memory exactly:
https://cloud.google.com/compute/docs/machine-resource, https://learn.microsoft.com/azure/virtual-machines/sizes.
A price whose size is not certain is left out and counted, and so is a price of 0, which means "none" there.
"""

import collections
import gzip
import hashlib
import importlib.util
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
OUTPUT = HERE / "snapshot" / "catalogue.json.gz"
MANIFEST = HERE / "snapshot" / "manifest.json"
INPUTS = {
    "apache-libcloud==3.9.1": "apache_libcloud-3.9.1-py3-none-any.whl",
    "moto==5.2.5": "moto-5.2.5-py3-none-any.whl",
}
DATE = "2025-03-02"  # pricing.json says `updated: 1740936978`

NOTICE = (
    "list prices of March 2025 (apache-libcloud 3.9.1), on-demand Linux; Azure lists no series after v4 there"
    " and GCP none after N2D, so their prices may be older still"
)

# Not regions a machine can be ordered in: AWS local zones are listed beside regions, and Microsoft closed
# these two on 29 October 2021.
NOT_REGIONS = {"us-west-2-lax-1", "germanycentral", "germanynortheast"}


def aws(libcloud, moto, left_out):
    prices = pricing(libcloud)["ec2_linux"]
    described = json.load(gzip.open(io.BytesIO(moto.read("moto/ec2/resources/instance_types.json.gz"))))
    older = libcloud_constants(libcloud)
    for name in sorted(prices):
        by_region = prices[name]
        if "." not in name:
            left_out["AWS: a family's dedicated host, not an instance type"] += len(by_region)
            continue
        size = aws_described(described[name]) if name in described else aws_older(name, older.get(name))
        if isinstance(size, str):
            left_out[f"AWS: {size}"] += len(by_region)
            continue
        yield "aws", name, *size, by_region


def aws_described(d):
    architectures = d["ProcessorInfo"]["SupportedArchitectures"]
    if any(a.endswith("_mac") for a in architectures):
        return "a Mac, which is let by the dedicated host"
    architecture = "x86_64" if "x86_64" in architectures else architectures[0]
    gpus = d.get("GpuInfo", {}).get("Gpus", [])
    if len(gpus) > 1 or any(g.get("GpuPartitionSize", 1) < 1 for g in gpus):
        return "a part of a GPU, or GPUs of several kinds"
    gpu_name, gpu_count = (gpus[0]["Name"], gpus[0]["Count"]) if gpus else ("", 0)
    memory = d["MemoryInfo"]["SizeInMiB"] / 1024
    # t1.micro bursts too, and is from before there was a flag for it.
    burstable = int(d["BurstablePerformanceSupported"] or d["InstanceType"] == "t1.micro")
    return d["VCpuInfo"]["DefaultVCpus"], memory, architecture, gpu_name, gpu_count, burstable


def aws_older(name, constant):
    """Types AWS no longer describes. Families with accelerators are left out: which ones is not told."""
    if constant is None or not constant.get("ram") or not constant.get("extra", {}).get("vcpu"):
        return "no size known"
    if re.match(r"^(g|p|f|inf|trn|dl|vt|mac|cg)\d", name):
        return "an accelerator of unknown kind"
    if re.match(r"^[a-z]+\d+g", name):
        return "no architecture known"
    return int(constant["extra"]["vcpu"]), int(constant["ram"]) / 1024, "x86_64", "", 0, int(name.startswith("t"))


def libcloud_constants(libcloud):
    """Loads one module of constants out of the wheel without installing the package."""
    source = libcloud.read("libcloud/compute/constants/ec2_instance_types.py").decode()
    spec = importlib.util.spec_from_loader("ec2_instance_types", loader=None)
    module = importlib.util.module_from_spec(spec)
    exec(compile(source, "ec2_instance_types.py", "exec"), module.__dict__)
    return module.INSTANCE_TYPES


# Series with one ratio of memory to vCPUs in every size listed, and the number in the name = vCPUs.
AZURE_SERIES = [
    # Dv3, Dsv3, Dv4, Dsv4, Ddv4, Ddsv4, Dav4, Dasv4: 4 GiB a vCPU.
    (r"d(\d+)(a?d?s?)v([34])", "D", 4, None),
    # The same E series: 8 GiB a vCPU up to 48 vCPUs; larger sizes have less, so they are left out.
    (r"e(\d+)(a?d?s?)v([34])", "E", 8, 48),
    (r"f(\d+)(s)v(2)", "F", 2, None),
    (r"l(\d+)(s)v(2)", "L", 8, None),
]
AZURE_B = {
    "b1ls": (1, 0.5), "b1s": (1, 1), "b1ms": (1, 2), "b2s": (2, 4), "b2ms": (2, 8), "b4ms": (4, 16),
    "b8ms": (8, 32), "b12ms": (12, 48), "b16ms": (16, 64), "b20ms": (20, 80),
}  # fmt: skip


def azure(libcloud, left_out):
    prices = pricing(libcloud)["azure_linux"]
    for name in sorted(prices):
        by_region = prices[name]
        if name.startswith("lowpriority"):
            left_out["Azure: low priority (retired; not on-demand)"] += len(by_region)
            continue
        size = azure_size(name.removeprefix("standard")) if name.startswith("standard") else None
        if size is None:
            left_out["Azure: the name does not fix the size"] += len(by_region)
            continue
        official, vcpus, memory = size
        yield "azure", official, vcpus, memory, "x86_64", "", 0, int(official.startswith("Standard_B")), by_region


def azure_size(short):
    if short in AZURE_B:
        number, features = re.fullmatch(r"b(\d+)([a-z]+)", short).groups()
        return f"Standard_B{number}{features}", *AZURE_B[short]
    for pattern, family, ratio, largest in AZURE_SERIES:
        match = re.fullmatch(pattern, short)
        if match and (largest is None or int(match[1]) <= largest):
            vcpus = int(match[1])
            return f"Standard_{family}{vcpus}{match[2]}_v{match[3]}", vcpus, vcpus * ratio
    return None


# family: {kind: (GiB a vCPU, vCPUs of each size)}
GCP_TYPES = {
    "e2": {
        "standard": (4, [2, 4, 8, 16, 32]),
        "highmem": (8, [2, 4, 8, 16]),
        "highcpu": (1, [2, 4, 8, 16, 32]),
    },
    "n1": {
        "standard": (3.75, [1, 2, 4, 8, 16, 32, 64, 96]),
        "highmem": (6.5, [2, 4, 8, 16, 32, 64, 96]),
        "highcpu": (0.9, [2, 4, 8, 16, 32, 64, 96]),
    },
    "n2": {  # n2-highmem-128 has 864 GiB, not 1,024, and is left out
        "standard": (4, [2, 4, 8, 16, 32, 48, 64, 80, 96, 128]),
        "highmem": (8, [2, 4, 8, 16, 32, 48, 64, 80, 96]),
        "highcpu": (1, [2, 4, 8, 16, 32, 48, 64, 80, 96]),
    },
    "n2d": {
        "standard": (4, [2, 4, 8, 16, 32, 48, 64, 80, 96, 128, 224]),
        "highmem": (8, [2, 4, 8, 16, 32, 48, 64, 80, 96]),
        "highcpu": (1, [2, 4, 8, 16, 32, 48, 64, 80, 96, 128, 224]),
    },
    "c2": {"standard": (4, [4, 8, 16, 30, 60])},
}
# Shared-core E2: (vCPUs billed, vCPUs seen, GiB). F1 and G1 have one price for the whole machine.
GCP_SHARED = {"e2-micro": (0.25, 2, 1), "e2-small": (0.5, 2, 2), "e2-medium": (1, 2, 4)}
GCP_WHOLE = {"f1": ("f1-micro", 1, 0.6), "g1": ("g1-small", 1, 1.7)}


def gcp(libcloud, left_out):
    prices = pricing(libcloud)["gce_instances"]

    def on_demand(family, part):
        found = prices[family].get(part, {}).get("on_demand", {})
        return {region: entry["price"] for region, entry in found.items() if entry["price"]}

    for family in sorted(set(prices) - set(GCP_TYPES) - set(GCP_WHOLE)):
        what = "custom sizes" if "custom" in family else f"{family}, whose sizes its prices do not follow from"
        left_out[f"GCP: {what}"] += sum(len(on_demand(family, p)) for p in ("cpu", "ram"))
    for family, (name, vcpus, memory) in sorted(GCP_WHOLE.items()):
        yield "gcp", name, vcpus, memory, "x86_64", "", 0, 1, on_demand(family, "cpu")
    for family, kinds in sorted(GCP_TYPES.items()):
        core, ram = on_demand(family, "cpu"), on_demand(family, "ram")
        left_out["GCP: only one of the vCPU and memory prices is known"] += len(set(core) ^ set(ram))
        regions = sorted(set(core) & set(ram))
        sizes = [
            (f"{family}-{kind}-{n}", n, n, n * ratio, 0) for kind, (ratio, ns) in sorted(kinds.items()) for n in ns
        ]
        if family == "e2":
            sizes += [(name, billed, seen, memory, 1) for name, (billed, seen, memory) in GCP_SHARED.items()]
        for name, billed, vcpus, memory, burstable in sizes:
            by_region = {r: round(core[r] * billed + ram[r] * memory, 9) for r in regions}
            yield "gcp", name, vcpus, round(memory, 6), "x86_64", "", 0, burstable, by_region


def pricing(libcloud):
    return json.load(libcloud.open("libcloud/data/pricing.json"))["compute"]


def build(libcloud, moto):
    left_out = collections.Counter()
    regions, types, counts = {}, [], collections.Counter()
    for *size, by_region in [*aws(libcloud, moto, left_out), *azure(libcloud, left_out), *gcp(libcloud, left_out)]:
        provider = size[0]
        known = regions.setdefault(provider, {})
        priced = []
        for region, price in sorted(by_region.items()):
            if region in NOT_REGIONS:
                left_out[f"{provider}: a local zone or a closed region"] += 1
            elif not price:
                left_out[f"{provider}: no price (0)"] += 1
            else:
                priced.append([known.setdefault(region, len(known)), float(price)])
        if priced:
            types.append([*size, priced])
            counts[provider] += len(priced)
    sources = [
        {"provider": p, "name": f"snapshot/{p}", "date": DATE, "notice": NOTICE} for p in sorted(regions)
    ]
    file = {"sources": sources, "regions": {p: list(r) for p, r in sorted(regions.items())}, "types": types}
    return file, counts, left_out


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def check():
    manifest = json.loads(MANIFEST.read_text())
    problems = []
    if manifest["generator"] != sha256(pathlib.Path(__file__).read_bytes()):
        problems.append("the generator changed since the snapshot was built: run it again")
    if manifest["content"] != sha256(gzip.decompress(OUTPUT.read_bytes())):
        problems.append("snapshot/catalogue.json.gz is not what the generator wrote")
    if set(manifest["inputs"]) != set(INPUTS):
        problems.append("the inputs changed since the snapshot was built: run the generator again")
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"the price snapshot is current: {manifest['offers']} offers of {DATE}")
    return 1 if problems else 0


def main():
    if sys.argv[1:] == ["--check"]:
        return check()
    if sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*pip, *INPUTS], check=True)
        wheels = {name: (pathlib.Path(folder) / wheel).read_bytes() for name, wheel in INPUTS.items()}
    opened = [zipfile.ZipFile(io.BytesIO(w)) for w in wheels.values()]
    file, counts, left_out = build(*opened)
    content = json.dumps(file, separators=(",", ":")).encode()
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_bytes(gzip.compress(content, 9, mtime=0))
    manifest = {
        "generator": sha256(pathlib.Path(__file__).read_bytes()),
        "content": sha256(content),
        "inputs": {name: sha256(wheel) for name, wheel in wheels.items()},
        "offers": dict(sorted(counts.items())),
        "leftOut": dict(sorted(left_out.items())),
    }
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")
    types = collections.Counter(t[0] for t in file["types"])
    for provider, offers in sorted(counts.items()):
        print(f"{provider}: {offers} offers, {types[provider]} instance types, {len(file['regions'][provider])} regions")
    for reason, count in sorted(left_out.items()):
        print(f"left out: {count} prices; {reason}")
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
