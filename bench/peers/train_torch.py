#!/usr/bin/env python3
"""A training step with PyTorch, to hold beside `convoy bench --training NETWORK --batch N`: train_torch.py NETWORK [BATCH] [SECONDS].

Needs torch and torchvision; OMP_NUM_THREADS threads. Prints the least and the median of the steps after the first, in milliseconds.
"""
import os, statistics, sys, time
import torch, torchvision

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", len(os.sched_getaffinity(0)))))
network, batch, seconds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 8, float(sys.argv[3]) if len(sys.argv) > 3 else 5
net = getattr(torchvision.models, network)().train()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
images, labels, loss = torch.randn(batch, 3, 224, 224), torch.arange(batch) % 1000, torch.nn.CrossEntropyLoss()


def step():
    begin = time.perf_counter()
    optimizer.zero_grad()
    loss(net(images), labels).backward()
    optimizer.step()
    return (time.perf_counter() - begin) * 1e3


step()
times, start = [], time.perf_counter()
while len(times) < 3 or time.perf_counter() - start < seconds:
    times.append(step())
print(f"{network}: min {min(times):.1f} ms, median {statistics.median(times):.1f} ms, {len(times)} steps")
