#!/usr/bin/env python3
"""Draws layers of every kind, times them with Convoy and with PyTorch, and lists those where Convoy is slower.

    drawn_layers.py [--count 150] [--seed 1] [--direction forward] [--repack] [--seconds 0.01] [--slower 1.0]
    drawn_layers.py --neighbours [--count 40]        # against layers of one channel or pixel more or less, and a batch of 2

Layers in one to three dimensions, dense, depthwise, grouped and transposed, of odd channels and sizes, strides to 4, dilations to 3.
Both sides run in turns, a few layers at a time; every layer that looks slower is timed again, longer, before it is listed. Convoy's
weights are packed before, or with --repack in every call, by the algorithm of a training step. PyTorch is the system's.

With --neighbours PyTorch is not needed: listed are layers that take more than 1.5 times as long per multiply-add as a neighbour.
Multiply-adds count the kernel's taps inside the input, so that layers of few pixels are not blamed for their borders.
"""
import argparse, json, math, os, random, subprocess, sys, tempfile, time
from pathlib import Path

from descriptor import Layer

ROOT = Path(__file__).resolve().parents[2]
CHANNELS = [1, 3, 17, 30, 64, 100, 128, 256, 512, 960]
SIZES = [1, 2, 3, 5, 7, 13, 14, 17, 28, 30, 56, 57, 100, 112, 224]
LINES = [1, 7, 50, 100, 1000, 4001, 16000]
VOLUMES = [2, 3, 5, 7, 8, 14, 17, 28]
KINDS = ["dense"] * 6 + ["depthwise"] * 3 + ["grouped"] * 2 + ["transposed"] * 3 + ["1d"] * 2 + ["3d"] * 2
KERNELS = [1, 2, 3, 3, 3, 4, 5, 7]


def draw(count, seed):
    """`count` different (kind, descriptor) of at most two thousand million multiply-adds each."""
    pick = random.Random(seed).choice
    layers = {}
    while len(layers) < count:
        kind, k, s, n = pick(KINDS), pick(KERNELS), pick([1, 1, 1, 2, 2, 3, 4]), pick([1, 1, 1, 2, 8])
        d = pick([1, 1, 1, 1, 2, 3]) if k > 1 else 1
        p, ic, oc, i = pick([0, (k - 1) * d // 2, (k - 1) * d // 2]), pick(CHANNELS), pick(CHANNELS), pick(SIZES)
        words = {"n": n, "ic": ic, "oc": oc, "i": i, "k": k, "s": s, "p": p, "d": d}
        if kind == "depthwise":
            words |= {"oc": ic, "g": ic}
        elif kind == "grouped":
            g = pick([4, 8, 16])
            words |= {"ic": g * pick([3, 4, 8, 16, 17, 30]), "oc": g * pick([3, 4, 8, 16, 17, 30]), "g": g}
        elif kind == "transposed":
            words |= {"op": pick(range(max(s, d))) if s > 1 else 0}
        elif kind == "1d":
            words = {**{w: words[w] for w in ("n", "ic", "oc")}, "iw": pick(LINES), "kw": k, "sw": s, "pw": p, "dw": d}
        elif kind == "3d":
            k, i = min(k, 3), pick(VOLUMES)
            words = {"n": n, "ic": ic, "oc": oc, **{w + a: v for a in "dhw" for w, v in (("i", i), ("k", k), ("s", min(s, 2)), ("p", k // 2))}}
        text = ("transposed " if kind == "transposed" else "") + " ".join(w + str(v) for w, v in words.items())
        if sized(text) and 1e4 <= multiply_adds(Layer(text)) <= 2e9:
            layers[text] = kind
    return [(kind, text) for text, kind in layers.items()]


def output(layer):
    if layer.transposed:
        return [(i - 1) * s - 2 * p + d * (k - 1) + op + 1 for i, s, p, d, k, op in
                zip(layer.input, layer.stride, layer.padding, layer.dilation, layer.kernel, layer.output_padding)]
    return [(i + 2 * p - d * (k - 1) - 1) // s + 1 for i, s, p, d, k in zip(layer.input, layer.stride, layer.padding, layer.dilation, layer.kernel)]


def sized(text):
    layer = Layer(text)
    fits = layer.transposed or all(d * (k - 1) < i + 2 * p for i, k, p, d in zip(layer.input, layer.kernel, layer.padding, layer.dilation))
    return fits and min(layer.input + output(layer)) > 0 and layer.ic % layer.groups == 0 and layer.oc % layer.groups == 0 and min(layer.ic, layer.oc) > 0


def multiply_adds(layer):
    """Products whose operands both lie inside."""
    grid, read = (layer.input, output(layer)) if layer.transposed else (output(layer), layer.input)
    pairs = 1
    for g, r, k, s, p, d in zip(grid, read, layer.kernel, layer.stride, layer.padding, layer.dilation):
        pairs *= sum(1 for o in range(g) for t in range(k) if 0 <= o * s - p + t * d < r)
    return layer.n * layer.ic * layer.oc // layer.groups * pairs


def neighbours(text):
    """The same layer with one channel or pixel more or less, or two samples for one."""
    words = [(w.rstrip("0123456789"), w) for w in text.split()]
    def change(new):
        return " ".join(name + str(new[name]) if name in new else word for name, word in words)
    value = {name: int(word[len(name):]) for name, word in words if word != name}
    for step in (-1, 1):
        if value.get("g", 1) == 1:
            yield change({"ic": value["ic"] + step})
            yield change({"oc": value["oc"] + step})
        elif value["g"] == value["ic"]:
            yield change({name: value[name] + step for name in ("ic", "oc", "g")})
        yield change({name: value[name] + step for name in ("i", "id", "ih", "iw") if name in value})
    yield change({"n": 2 if value["n"] == 1 else 1})


def convoy(options, layers, seconds):
    """Milliseconds and algorithm of each layer."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(layers) + "\n")
        file.flush()
        command = [options.convoy, "bench", "--problems", file.name, "--direction", options.direction, "--seconds", str(seconds), "--json"]
        text = subprocess.run(command + (["--repack"] if options.repack else []), check=True, stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, CONVOY_NUM_THREADS=str(options.threads))).stdout
    document = json.loads(text)
    return [(row["min_ms"], row["algorithm"]) for row in document.get("layers", [document])]


class Torch:
    """PyTorch in a process of its own, which reads descriptors and writes milliseconds."""

    def __init__(self, options):
        self.process = subprocess.Popen([options.python, __file__, "--serve", options.direction, "--threads", str(options.threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def milliseconds(self, layer, seconds):
        self.process.stdin.write(f"{seconds} {layer}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def serve(direction, threads):
    import torch
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    for line in sys.stdin:
        seconds, text = line.split(maxsplit=1)
        layer = Layer(text)
        x = torch.randn(layer.n, layer.ic, *layer.input)
        w = torch.randn(*((layer.ic, layer.oc) if layer.transposed else (layer.oc, layer.ic))[:1],
                        (layer.oc if layer.transposed else layer.ic) // layer.groups, *layer.kernel)
        of_layer = (layer.stride, layer.padding, layer.dilation, layer.transposed, layer.output_padding, layer.groups)
        forward = lambda: torch.convolution(x, w, None, *of_layer)
        y = torch.randn_like(forward())
        mask = [direction == "grad_input", direction == "grad_weight", False]
        run = forward if direction == "forward" else lambda: torch.ops.aten.convolution_backward(y, x, w, None, *of_layer, mask)
        run()
        best, start, runs = 1e30, time.perf_counter(), 0
        while runs < 5 or time.perf_counter() - start < float(seconds):
            begin = time.perf_counter()
            run()
            best, runs = min(best, time.perf_counter() - begin), runs + 1
        print(best * 1e3, flush=True)


def chunks(things, size):
    return [things[at:at + size] for at in range(0, len(things), size)]


def against_torch(options, drawn):
    torch, least = Torch(options), {}
    def measure(layers, seconds):
        for part in chunks(layers, 10):
            for layer, (ms, algorithm) in zip(part, convoy(options, part, seconds)):
                other = torch.milliseconds(layer, seconds)
                before = least.get(layer, (ms, other))
                least[layer] = (min(ms, before[0]), min(other, before[1]), algorithm)
    measure([layer for _, layer in drawn], options.seconds)
    for _ in range(2):
        measure([layer for _, layer in drawn if least[layer][1] < 1.15 * options.slower * least[layer][0]], max(options.seconds, 0.05))
    rows = sorted((least[layer][1] / least[layer][0], kind, layer, *least[layer]) for kind, layer in drawn)
    print(f"{'x':>6} {'ms':>9} {'PyTorch':>9}  kind, algorithm, layer")
    for ratio, kind, layer, ms, other, algorithm in rows:
        if ratio < options.slower:
            print(f"{ratio:6.2f} {ms:9.4f} {other:9.4f}  {kind:10} {algorithm:22} {layer}")
    for kind in sorted({kind for kind, _ in drawn}) + ["all"]:
        ratios = [row[0] for row in rows if kind in (row[1], "all")]
        print(f"{kind}: {len(ratios)} layers, {sum(r < options.slower for r in ratios)} below {options.slower:g}, "
              f"geometric mean {math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f}")


def against_neighbours(options, drawn):
    least = {}
    def measure(layers, seconds):
        for part in chunks(layers, 50):
            for layer, (ms, algorithm) in zip(part, convoy(options, part, seconds)):
                least[layer] = (min(ms, least.get(layer, (ms,))[0]), algorithm)
    beside = {layer: [other for other in neighbours(layer) if sized(other)] for _, layer in drawn}
    per_product = lambda layer: least[layer][0] / multiply_adds(Layer(layer))
    def cliffs(most):
        found = []
        for layer, others in beside.items():
            for slow, fast in [(layer, other) for other in others] + [(other, layer) for other in others]:
                ratio = per_product(slow) / per_product(fast)
                if ratio > most:
                    found.append((ratio, slow, fast))
        return sorted(found, reverse=True)
    measure(list(dict.fromkeys(beside) | dict.fromkeys(other for others in beside.values() for other in others)), options.seconds)
    for _ in range(2):
        measure(list(dict.fromkeys(layer for found in cliffs(1.4) for layer in found[1:])), max(options.seconds, 0.03))
    for ratio, slow, fast in cliffs(1.5):
        print(f"{ratio:6.2f} {least[slow][0]:9.4f} ms {least[slow][1]:22} {slow:60} beside {least[fast][0]:9.4f} ms {least[fast][1]:22} {fast}")
    print(f"{len(least)} layers, {len(cliffs(1.5))} pairs of neighbours more than 1.5 apart per multiply-add")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--problems", help="a file of descriptors, one a line, instead of drawn ones")
    parser.add_argument("--direction", default="forward", choices=["forward", "grad_input", "grad_weight"])
    parser.add_argument("--repack", action="store_true", help="pack Convoy's weights in every call")
    parser.add_argument("--seconds", type=float, default=0.01, help="of one measurement")
    parser.add_argument("--slower", type=float, default=1.0, help="list layers whose ratio PyTorch / Convoy is below this")
    parser.add_argument("--neighbours", action="store_true")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--convoy", default=str(ROOT / "build/release/convoy"))
    parser.add_argument("--python", default="/usr/bin/python3", help="that has torch")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.threads)
    drawn = draw(options.count, options.seed)
    if options.problems:
        drawn = [("file", line.split("#")[0].split(": ")[-1].strip()) for line in open(options.problems) if line.split("#")[0].strip()]
    (against_neighbours if options.neighbours else against_torch)(options, drawn)


main()
