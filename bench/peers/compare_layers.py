#!/usr/bin/env python3
"""Times the same layers with Convoy and its peers, interleaved (A B A B), and prints the ratios.

    compare_layers.py --problems bench/problems/layers.txt --direction forward [--peers onednn,torch,ort] [--rounds 3] [--markdown]

Peers that are not there are left out: onednn_layers (cmake -S bench/peers -B build/peers && cmake --build build/peers), PyTorch (the
system's python3-torch), ONNX Runtime (onnxruntime and onnx in this Python; forward only). Times are the least of all rounds, in
milliseconds; a ratio above 1 says that Convoy is faster. "oneDNN" is its own layout in and out, "oneDNN NCHW" counts its reorders.
"""
import argparse, json, os, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def read_problems(path):
    for line in open(path):
        line = line.split("#")[0].strip()
        if line:
            name, _, layer = line.rpartition(": ")
            yield name or layer, layer


def run(command, threads):
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), CONVOY_NUM_THREADS=str(threads))
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    return result.stdout if result.returncode == 0 else None


def convoy(options, layer):
    text = run([options.convoy, "bench", "--layer", layer, "--direction", options.direction, "--seconds", str(options.seconds), "--json"]
               + (["--accuracy", options.accuracy] if options.accuracy else []), options.threads)
    if text is None:
        return {}
    document = json.loads(text)
    return {"convoy": document["min_ms"], "algorithm": document["algorithm"], "peak": document["fraction_of_peak"]}


def onednn(options, layer):
    text = run([options.onednn, options.direction, str(options.seconds), layer], options.threads)
    blocked, nchw = map(float, (text or "0 0").split())
    return {key: value for key, value in (("oneDNN", blocked), ("oneDNN NCHW", nchw)) if value > 0}


def python_peer(name):
    def measure(options, layer):
        script = Path(__file__).with_name(name + "_layer.py")
        text = run([options.python, str(script), options.direction, str(options.seconds), layer], options.threads)
        return {"PyTorch" if name == "torch" else "ONNX Runtime": float(text)} if text and float(text) > 0 else {}
    return measure


PEERS = {"onednn": onednn, "torch": python_peer("torch"), "ort": python_peer("ort")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default=str(ROOT / "bench/problems/layers.txt"))
    parser.add_argument("--direction", default="forward", choices=["forward", "grad_input", "grad_weight"])
    parser.add_argument("--peers", default="onednn,torch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.1, help="of one measurement")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--accuracy", choices=["strict", "default", "fast"])
    parser.add_argument("--markdown", action="store_true", help="a table for docs/benchmarks.md")
    parser.add_argument("--convoy", default=str(ROOT / "build/release/convoy"))
    parser.add_argument("--onednn", default=str(ROOT / "build/peers/onednn_layers"))
    parser.add_argument("--python", default="/usr/bin/python3", help="that has torch or onnxruntime")
    options = parser.parse_args()
    peers = [p for p in options.peers.split(",") if p in PEERS and (p != "onednn" or os.access(options.onednn, os.X_OK))]
    columns = [c for p, names in (("onednn", ("oneDNN", "oneDNN NCHW")), ("torch", ("PyTorch",)), ("ort", ("ONNX Runtime",))) if p in peers for c in names]
    header = ["layer", "algorithm", "ms", "of peak"] + [text for c in columns for text in (c, "x")]
    if options.markdown:
        print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    else:
        print("  ".join(f"{text:>12}" for text in header))
    products, count = {c: 1.0 for c in columns}, {c: 0 for c in columns}
    for name, layer in read_problems(options.problems):
        best = {}
        for _ in range(options.rounds):
            for result in [convoy(options, layer)] + [PEERS[p](options, layer) for p in peers]:
                for key, value in result.items():
                    best[key] = value if key == "algorithm" else max(best.get(key, 0), value) if key == "peak" else min(best.get(key, 1e30), value)
        if "convoy" not in best:
            print(f"{name}: convoy bench failed", file=sys.stderr)
            continue
        row = [name, best["algorithm"], f"{best['convoy']:.3f}", f"{100 * best['peak']:.0f} %"]
        for c in columns:
            if c in best:
                ratio = best[c] / best["convoy"]
                products[c] *= ratio
                count[c] += 1
                row += [f"{best[c]:.3f}", f"{ratio:.2f}"]
            else:
                row += ["-", "-"]
        print(("| " + " | ".join(row) + " |") if options.markdown else "  ".join(f"{text:>12}" for text in row), flush=True)
    for c in columns:
        if count[c]:
            print(("\n" if options.markdown else "") + f"geometric mean against {c}: {products[c] ** (1 / count[c]):.2f} ({count[c]} layers)")


main()
