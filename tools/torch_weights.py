#!/usr/bin/env python3
"""Carries networks between PyTorch and Convoy: a safetensors file with the state_dict and the printed form, read and written with
nothing but PyTorch and the standard library.

In Python:    import torch_weights
              torch_weights.save(model, "model.safetensors")            # then, in C++: nn::load_network("model.safetensors")
              model.load_state_dict(torch_weights.load("model.safetensors"))   # a file of nn::save_checkpoint
On its own:   torch_weights.py FILE    lists what a file holds.
"""
import json, struct, sys
import torch

KINDS = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}
TRAINING = "convoy.training."  # the state of an optimiser, not values of the network


def save(model, path):
    """Writes model.state_dict() and the printed form of the model."""
    write(model.state_dict(), {"format": "pt", "convoy.network": str(model)}, path)


def write(tensors, metadata, path):
    """Writes tensors by name as a safetensors file."""
    header, blobs, at = {"__metadata__": metadata}, [], 0
    for name, value in tensors.items():
        raw = value.detach().cpu().contiguous().numpy().tobytes()
        header[name] = {"dtype": KINDS[value.dtype], "shape": list(value.shape), "data_offsets": [at, at + len(raw)]}
        blobs.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read(path):
    """(tensors by name, metadata) of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    metadata, tensors = header.pop("__metadata__", {}), {}
    dtypes = {kind: dtype for dtype, kind in KINDS.items()}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = dtypes[entry["dtype"]]
        flat = torch.frombuffer(data[begin:end], dtype=dtype) if end > begin else torch.empty(0, dtype=dtype)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors, metadata


def load(path):
    """The values of the network in a file, for load_state_dict."""
    return {name: value for name, value in read(path)[0].items() if not name.startswith(TRAINING)}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tensors, metadata = read(sys.argv[1])
    for key, value in metadata.items():
        print(f"{key}: {value}")
    for name, value in tensors.items():
        print(f"{name}  {tuple(value.shape)}  {str(value.dtype)[6:]}")
