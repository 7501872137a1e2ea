#!/usr/bin/env python3
"""Writes what the published ACNet, RepVGG and DiverseBranchBlock code prints, draws, saves and computes, for the tests of nn/reparam.

Needs Debian's python3-torch (run it with the system python3, OMP_NUM_THREADS=1) and acb.py (github.com/DingXiaoH/ACNet), repvgg.py,
se_block.py (github.com/DingXiaoH/RepVGG), diversebranchblock.py and dbb_transforms.py (github.com/DingXiaoH/DiverseBranchBlock) in FOLDER.
Usage: make_published_blocks.py FOLDER convoy/nn/testdata/published_blocks.safetensors

For every block NAME the metadata hold NAME.call, NAME.printed, NAME.seed and NAME.hash (FNV-1a over its state_dict as the seed draws it), and the
tensors are NAME.state.KEY with statistics as training leaves them, NAME.input, NAME.output in evaluation, NAME.trained and
NAME.grad.KEY for one step in training mode (gradients of the sum of squares), NAME.deploy.KEY: the state_dict after switch_to_deploy().
"""
import contextlib, io, sys
import torch
import torch_weights

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
sys.path.insert(0, sys.argv[1])
from acb import ACBlock
from repvgg import RepVGGBlock
from diversebranchblock import DiverseBranchBlock

BLOCKS = {
    "ac_k3_p1": "ACBlock(2, 3, 3, padding=1)",
    "ac_k3_p0": "ACBlock(2, 3, 3, padding=0)",
    "ac_k5_p1_s2": "ACBlock(2, 4, 5, stride=2, padding=1, groups=2)",
    "ac_k5_p4_d1": "ACBlock(2, 2, 5, padding=4, use_affine=True, gamma_init=0.5)",
    "ac_depthwise_reflect": "ACBlock(3, 3, 3, padding=1, groups=3, padding_mode='reflect')",
    "repvgg_identity": "RepVGGBlock(4, 4, 3, padding=1, groups=2)",
    "repvgg_stride": "RepVGGBlock(2, 4, 3, stride=2, padding=1)",
    "repvgg_depthwise": "RepVGGBlock(3, 3, 3, padding=1, groups=3)",
    "dbb_k3": "DiverseBranchBlock(2, 4, 3, padding=1)",
    "dbb_groups_stride_relu": "DiverseBranchBlock(4, 4, 3, stride=2, padding=1, groups=2, nonlinear=ReLU)",
    "dbb_k5_internal": "DiverseBranchBlock(2, 3, 5, padding=2, internal_channels_1x1_3x3=3, single_init=True)",
    "dbb_depthwise": "DiverseBranchBlock(3, 3, 3, padding=1, groups=3)",
    "repvgg_se": "RepVGGBlock(16, 16, 3, padding=1, groups=4, use_se=True)",
    "repvgg_se_stride": "RepVGGBlock(4, 32, 3, stride=2, padding=1, groups=2, use_se=True)",
}


def fnv1a(state):
    digest = 0xCBF29CE484222325
    for value in state.values():
        for byte in value.contiguous().numpy().tobytes():
            digest = ((digest ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"


tensors, metadata = {}, {"torch": torch.__version__}
for seed, (name, call) in enumerate(BLOCKS.items()):
    torch.manual_seed(seed)
    with contextlib.redirect_stdout(io.StringIO()):  # the published constructors print
        block = eval(call, {"ReLU": torch.nn.ReLU()} | globals())
    metadata[f"{name}.call"] = call
    metadata[f"{name}.printed"], metadata[f"{name}.seed"] = str(block), str(seed)
    metadata[f"{name}.hash"] = fnv1a(block.state_dict())
    for key, value in block.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_()
        elif key.endswith("running_var"):
            value.uniform_(0.2, 3)
        elif "bn" in key or "identity" in key:
            if value.dtype == torch.float32:
                value.add_(torch.empty_like(value).uniform_(-0.7, 0.7))
        if value.dtype == torch.int64:
            value.fill_(7)
    channels = int(call[call.index("(") + 1 : call.index(",")])
    x = torch.randn(2, channels, *((5, 5) if "use_se" in call else (8, 9)))  # the published SEBlock takes squares only
    # What is stored is computed in float64 from float32 values, so that its error is nobody's.
    tensors.update({f"{name}.state.{key}": value.clone() for key, value in block.state_dict().items()})
    tensors[f"{name}.input"] = x
    for m in block.modules():  # the identity of IdentityBasedConv1x1 is no buffer
        if hasattr(m, "id_tensor"):
            m.id_tensor = m.id_tensor.double()
    block = block.double()
    tensors[f"{name}.output"] = block.eval()(x.double())
    y = block.train()(x.double())
    y.square().sum().backward()
    tensors[f"{name}.trained"] = y
    tensors.update({f"{name}.grad.{key}": value.grad for key, value in block.named_parameters()})
    fresh = {key[len(name) + 7:]: value.double() if value.dtype == torch.float32 else value
             for key, value in tensors.items() if key.startswith(f"{name}.state.")}
    block.load_state_dict(fresh)
    block.eval()
    if hasattr(block, "rbr_dense") and block.rbr_identity is not None:  # made in float32 by the published code
        kernel = torch.zeros(block.in_channels, block.in_channels // block.groups, 3, 3, dtype=torch.float64)
        for i in range(block.in_channels):
            kernel[i, i % (block.in_channels // block.groups), 1, 1] = 1
        block.id_tensor = kernel
    torch.set_default_dtype(torch.float64)  # for the kernel of the average
    block.switch_to_deploy()
    torch.set_default_dtype(torch.float32)
    tensors.update({f"{name}.deploy.{key}": value for key, value in block.state_dict().items()})
    metadata[f"{name}.deployed"] = str(block)
torch_weights.write(tensors, metadata, sys.argv[2])
print(len(BLOCKS), "blocks,", sum(v.numel() * v.element_size() for v in tensors.values()), "bytes")
