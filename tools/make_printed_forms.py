#!/usr/bin/env python3
"""Writes printed forms of random PyTorch networks with the values that a seed gives them, to test parsing, printing and initialisation.

Needs Debian's python3-torch (run it with the system python3, OMP_NUM_THREADS=1).
Usage: make_printed_forms.py SEED COUNT > convoy/nn/testdata/printed_forms.txt
A block is a line "seed HASH KEYS", the printed form, and an empty line. HASH is FNV-1a over the bytes of every float32 value of the
state_dict (and every int64), in its order; KEYS are its names, joined by commas.
"""
import random, sys, warnings
from collections import OrderedDict
import torch
from torch import nn

warnings.simplefilter("ignore")
R = random.Random(int(sys.argv[1]))

FIXED = """ReLU() ReLU(inplace=True) ReLU6(True) SiLU(True) Mish(True) Hardswish() Hardsigmoid() Sigmoid() Tanh() GELU() GELU('tanh') Identity()
LeakyReLU(0.2) LeakyReLU(0.01,True) ELU() ELU(2,True) Softplus() Softplus(2.0,1e20) Hardtanh() Hardtanh(-1e-7,1e16) Softmax(1) Softmax() LogSoftmax(-1)
Dropout() Dropout(0) Dropout2d(0.25,True) Flatten() Flatten(0,-2) Unflatten(1,(2,-1)) ZeroPad2d(1) ZeroPad2d((1,2,3,4)) ReflectionPad1d(2)
ReflectionPad2d((1,0,2,1)) ReflectionPad3d(1) ReplicationPad1d((1,2)) ReplicationPad2d(1) ReplicationPad3d(2) ConstantPad1d(2,3.5)
ConstantPad2d((1,2,3,4),0) ConstantPad3d(1,float('-inf')) PixelShuffle(3) PixelUnshuffle(2) Upsample(scale_factor=2) Upsample((3,4),mode='bicubic')
Upsample(scale_factor=(2,1.5),mode='bilinear') UpsamplingNearest2d(size=5) UpsamplingBilinear2d(scale_factor=2) LPPool1d(1,3) LPPool2d(2.5,(3,2),stride=2,ceil_mode=True)
AdaptiveAvgPool1d(3) AdaptiveAvgPool2d((None,3)) AdaptiveAvgPool3d(None) AdaptiveMaxPool1d((2,)) AdaptiveMaxPool2d(1) AdaptiveMaxPool3d((1,2,3))
MaxPool1d(3) MaxPool2d((3,2),(2,1),1,1,False,True) MaxPool3d(2,stride=1,dilation=2) AvgPool1d(3,2,1) AvgPool2d((3,2)) AvgPool3d(2,1)
BatchNorm1d(3,momentum=None) BatchNorm2d(7,1e-3,1,affine=False) BatchNorm3d(5,track_running_stats=False) InstanceNorm1d(3) InstanceNorm2d(4,affine=True)
InstanceNorm3d(2,track_running_stats=True) GroupNorm(2,6) GroupNorm(1,5,eps=1e-3,affine=False) LayerNorm(5) LayerNorm((2,3),elementwise_affine=False)
Linear(7,3) Linear(1,40,bias=False) Linear(0,4) Conv1d(2,3,3) Conv2d(3,8,3,padding='same') Conv2d(3,8,(3,5),padding='valid') Conv2d(3,8,3,padding=(1,))
Conv3d(1,2,2,padding_mode='circular') ConvTranspose1d(2,3,3) ConvTranspose2d(4,6,3,2,1,1,groups=2) ConvTranspose3d(4,8,2,stride=3,output_padding=(1,0,2),dilation=2,bias=False)
Sequential()""".split()


def convolution():
    n, g = R.choice([1, 2, 3]), R.choice([1, 1, 2, 3])
    axes = lambda choices: R.choice([R.choice(choices), tuple(R.choice(choices) for _ in range(n))])
    args = {"kernel_size": axes([1, 2, 3, 5]), "dilation": axes([1, 1, 2]), "groups": g, "bias": R.random() < 0.7}
    if R.random() < 0.6:
        kind, args["stride"], args["padding"] = "Conv", axes([1, 1, 2]), axes([0, 1, 2])
        args["padding_mode"] = R.choice(["zeros", "zeros", "reflect", "replicate", "circular"])
    else:
        kind, args["stride"], args["padding"], args["output_padding"] = "ConvTranspose", axes([2, 3]), axes([0, 1]), axes([0, 1])
    return getattr(nn, f"{kind}{n}d")(g * R.randint(1, 6), g * R.randint(1, 6), **args)


def network(depth):
    layers = []
    for _ in range(R.randint(1, 5)):
        kind = R.random()
        if depth < 3 and kind < 0.15:
            layers.append(network(depth + 1))
        elif kind < 0.6:
            layers.append(convolution())
        elif kind < 0.75:
            layers.append(nn.Linear(R.randint(1, 70), R.randint(1, 40), bias=R.random() < 0.7))
        else:
            layers.append(eval("nn." + R.choice(FIXED)))
    if R.random() < 0.3:
        return nn.Sequential(OrderedDict((R.choice(["conv", "a_b", "L-1", "x"]) + str(i), m) for i, m in enumerate(layers)))
    return nn.Sequential(*layers)


def block(make):
    seed = R.randrange(2 ** 32)
    torch.manual_seed(seed)
    module = make()
    digest = 0xCBF29CE484222325
    for value in module.state_dict().values():
        for byte in value.numpy().tobytes():
            digest = ((digest ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    print(seed, f"{digest:016x}", ",".join(module.state_dict().keys()), sep=" ")
    print(module, end="\n\n")


for text in FIXED:
    block(lambda: eval("nn." + text))
for _ in range(int(sys.argv[2])):
    block(lambda: network(0))
