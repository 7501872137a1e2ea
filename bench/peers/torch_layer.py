#!/usr/bin/env python3
"""Times one layer with PyTorch, for compare_layers.py: torch_layer.py DIRECTION SECONDS DESCRIPTOR. Prints milliseconds."""
import os, sys, time
import torch
from descriptor import Layer

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
direction, seconds, layer = sys.argv[1], float(sys.argv[2]), Layer(sys.argv[3])
convolution = [torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d][layer.rank - 1 + 3 * layer.transposed]
more = {"output_padding": layer.output_padding} if layer.transposed else {}
module = convolution(layer.ic, layer.oc, layer.kernel, stride=layer.stride, padding=layer.padding, dilation=layer.dilation, groups=layer.groups, bias=False, **more)
x = torch.randn(layer.n, layer.ic, *layer.input)
with torch.no_grad():
    y = torch.randn_like(module(x))
if direction == "forward":
    def run():
        with torch.no_grad():
            module(x)
else:
    mask = [direction == "grad_input", direction == "grad_weight", False]
    def run():
        torch.ops.aten.convolution_backward(y, x, module.weight.detach(), None, layer.stride, layer.padding, layer.dilation, layer.transposed, layer.output_padding, layer.groups, mask)
run()
best, start, runs = 1e30, time.perf_counter(), 0
while runs < 5 or time.perf_counter() - start < seconds:
    begin = time.perf_counter()
    run()
    best, runs = min(best, time.perf_counter() - begin), runs + 1
print(best * 1e3)
