#!/usr/bin/env python3
"""Times whole networks with Convoy and ONNX Runtime, interleaved (A B A B), prints the ratios and how far the answers are apart.

    compare_networks.py MODEL.onnx... [--rounds 4] [--seconds 0.6] [--threads 2] [--markdown]

Needs onnxruntime in --python. Batch 1, random inputs, 1 for other sizes that a model leaves open. Times are the least and the median
of all rounds, in milliseconds; a ratio above 1 says that Convoy is faster. "difference": the largest between the outputs of both on
the same input, as a part of the largest output.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), CONVOY_NUM_THREADS=str(threads))
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(result.stderr.strip().splitlines()[-1] if result.stderr.strip() else f"exit code {result.returncode}")
    return result.stdout


def convoy(options, model):
    document = json.loads(run([options.convoy, "bench", model, "--seconds", str(options.seconds), "--json"], options.threads))
    return document["min_ms"], document["median_ms"]


def onnx_runtime(options, model, folder):
    script = Path(__file__).with_name("ort_network.py")
    return tuple(map(float, run([options.python, str(script), model, str(options.seconds), folder], options.threads).split()))


# Normal numbers for floats, zeros (indices that are always inside) for others.
INPUTS = """
import json, sys, numpy
random = numpy.random.default_rng(1)
for i, value in enumerate(json.loads(sys.argv[2])):
    shape = [n if isinstance(n, int) else 1 for n in value["shape"]]
    values = random.standard_normal(shape) if value["dtype"].startswith("float") else numpy.zeros(shape)
    numpy.save(f"{sys.argv[1]}/{i}.in.npy", values.astype(value["dtype"]))
"""
DIFFERENCE = """
import sys, numpy
pairs = [[numpy.load(f"{folder}/{i}.npy").astype(float) for folder in sys.argv[1:3]] for i in range(int(sys.argv[3]))]
print(max(float(numpy.abs(a - b).max() / max(numpy.abs(b).max(), 1e-30)) for a, b in pairs if a.size))
"""


def compare(options, model, ours, theirs):
    """The difference, Convoy's and ONNX Runtime's (least, median) of each round."""
    values = json.loads(run([options.convoy, "summary", model, "--json"], options.threads))
    run([options.python, "-c", INPUTS, theirs, json.dumps(values["inputs"])], options.threads)
    inputs = [word for i, value in enumerate(values["inputs"]) for word in ("--input", f"{value['name']}={theirs}/{i}.in.npy")]
    run([options.convoy, "run", model, *inputs, "--output-dir", ours], options.threads)
    times = [(convoy(options, model), onnx_runtime(options, model, theirs)) for _ in range(options.rounds)]
    apart = float(run([options.python, "-c", DIFFERENCE, ours, theirs, str(len(values["outputs"]))], options.threads))
    return apart, *zip(*times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=0.6, help="of one measurement")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--markdown", action="store_true", help="a table for docs/benchmarks.md")
    parser.add_argument("--convoy", default=str(ROOT / "build/release/convoy"))
    parser.add_argument("--python", default=sys.executable, help="that has onnxruntime and numpy")
    options = parser.parse_args()
    header = ["network", "Convoy", "median", "ONNX Runtime", "median", "ratio", "difference"]
    if options.markdown:
        print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    else:
        print(f"{header[0]:<24}" + "".join(f"{text:>14}" for text in header[1:]))
    ratios = []
    for model in options.models:
        name = Path(model).stem
        try:
            with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
                apart, ours, theirs = compare(options, model, one, other)
        except (RuntimeError, ValueError, KeyError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        least = [min(least for least, _ in times) for times in (ours, theirs)]
        median = [min(median for _, median in times) for times in (ours, theirs)]
        ratios.append(least[1] / least[0])
        row = [name, f"{least[0]:.2f}", f"{median[0]:.2f}", f"{least[1]:.2f}", f"{median[1]:.2f}", f"{ratios[-1]:.2f}", f"{apart:.1e}"]
        print(("| " + " | ".join(row) + " |") if options.markdown else f"{row[0]:<24}" + "".join(f"{text:>14}" for text in row[1:]), flush=True)
    if len(ratios) > 1:
        print(("\n" if options.markdown else "") + f"geometric mean: {statistics.geometric_mean(ratios):.2f} ({len(ratios)} networks)")


main()
