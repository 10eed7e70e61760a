"""What is there for speed alone. Without it the rest computes the same, up to rounding and to numbers below 1e-38.

USED names the pieces in use: tests/core/test_fast.py takes them away, `make bench` measures what each one saves. In
November 2026, on one thread, an episode took 1.7 times as long for one run and 1.5 for 16 without "adam", 1.6 and 1.3
without "arrays", 2.4 and 2.0 without all; "values" saves 3 % for 64 runs, "denormals" half of a long training.
"""

import contextlib

import numpy as np
import torch

USED = {"adam", "arrays", "denormals", "memory", "threads", "values"}

REGISTER = 16  # numbers in the widest vector register, in single precision
SMALL_BATCH = 16  # rows up to which NumPy does a product on one thread
LARGE_BATCH = 4096  # rows that are taken at once where nothing has to be kept for gradients
SMALL_PRODUCT = 2**24  # multiplications in the product of one layer; from about here on a second thread helps


def adam_step(optimizer, moving):
    """Adam's arithmetic in one call of torch's fused kernel for all parameters; returns whether it was done here.

    moving: a mask (R,) of the runs that take a step, None for all. The kernel rounds whole vector registers and a rest
    differently: where a run's share of a parameter does not fill registers, a bias of the last layer for one, which
    numbers are the rest would depend on R. It gets these run by run, and all once the runs' counts of steps differ.
    """
    if "adam" not in USED:
        return False
    counts, rows = optimizer.steps.unbind(), []
    runs = range(len(counts)) if moving is None else moving.nonzero().flatten().tolist()
    for p, moments in zip(optimizer.parameters, optimizer.moments, strict=True):
        tensors = p, p.grad, *moments
        even = p.is_cuda or not p.numel() // len(p) % REGISTER  # a GPU rounds every number alike
        if len(p) == 1 or (even and not optimizer.apart):
            rows.append((*tensors, counts[0]))
        else:
            parts = [*zip(*(x.unbind() for x in tensors), counts, strict=True)]
            rows += [parts[run] for run in runs]
    *columns, steps = zip(*rows, strict=True)
    torch._fused_adam_(
        *columns, [], steps, lr=optimizer.lr, beta1=optimizer.betas[0], beta2=optimizer.betas[1], eps=optimizer.eps,
        weight_decay=0.0, amsgrad=False, maximize=False,
    )  # fmt: skip
    return True


def values(critic, observation, next_observation):
    """V(s_t) and V(s_{t+1}), (R, N, 1) each: within an episode the latter is V of the next step, and known already."""
    known = critic(observation)
    if "values" not in USED:
        return known, critic(next_observation)
    new = (next_observation[:, :-1] != observation[:, 1:]).any(-1).any(0)  # (N - 1,), in any run
    new = torch.cat([new, new.new_ones(1)]).nonzero().squeeze(-1)
    next_values = known.roll(-1, dims=1)
    next_values[:, new] = critic(next_observation[:, new])
    return known, next_values


def on_arrays(network):
    """The same function of arrays (R, B, O), for acting: a policy's parameters, or an MLP's outputs (R, B, out).

    Small products take NumPy a fifth of torch's time; large ones go through torch, whose threads are limited. It reads
    the weights where they are, and mixes no old ones with new ones.
    """
    body = getattr(network, "body", network)
    if body.layers[0].weight.device.type != "cpu" or "arrays" not in USED:
        return lambda x: _through_torch(network, x)
    layers = [(x.weight.detach().numpy(), x.bias.detach().numpy()) for x in body.layers]
    one = len(layers[0][1]) == 1
    *hidden, last = [(weight[0], bias[0]) for weight, bias in layers] if one else layers
    product = np.dot if one else np.matmul  # whose loop over runs costs as much as a product of one
    activate = {"relu": lambda x: np.maximum(x, 0, out=x), "tanh": lambda x: np.tanh(x, out=x)}[body.activation]

    def forward(x):
        if x.shape[1] > SMALL_BATCH:
            return _through_torch(network, x)
        x = x[0] if one else x
        for weight, bias in hidden:
            x = activate(product(x, weight) + bias)
        output = (product(x, last[0]) + last[1])[None if one else ...]
        return output if body is network else _heads(network, output)

    return forward


def _heads(policy, output):  # as the forward of each policy makes them
    if not hasattr(policy, "std_head"):
        return (output.reshape(*output.shape[:-1], *policy.shape),)
    if policy.std_head == "free":
        std = np.tile(policy.limit * np.exp(policy.log_std.detach().numpy()), (1, output.shape[1], 1))
    else:
        half = output.shape[-1] // 2
        output, z = output[..., :half], output[..., half:]
        std = (np.abs(z) if policy.std_head == "abs" else np.logaddexp(z, 0 * z)) + policy.std_floor
    return policy.limit * (np.tanh(output) if policy.mean_head == "tanh" else output), std


@torch.inference_mode()
def _through_torch(network, observation):  # in blocks, so that what a layer computes stays in the cache
    weight = next(network.parameters())
    blocks = [
        network(torch.as_tensor(observation[:, start : start + LARGE_BATCH], dtype=weight.dtype, device=weight.device))
        for start in range(0, observation.shape[1], LARGE_BATCH)
    ]
    if isinstance(blocks[0], torch.Tensor):
        return torch.cat(blocks, dim=1).cpu().numpy()
    return tuple(torch.cat(parts, dim=1).cpu().numpy() for parts in zip(*blocks, strict=True))


@contextlib.contextmanager
def torch_threads(limit):
    """At most `limit` torch threads inside, as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, limit) if "threads" in USED else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def training(agent):
    """What makes training faster while it lasts.

    threads: one where the products of a layer are small, which lose more by sharing the work than they gain.
    memory: every step takes and frees the same megabytes. glibc returns them to the system, which clears every page
      before it gives it again, but not blocks smaller than one freed before: here is the largest that counts, 31 MB.
    denormals: numbers below 1e-38 count as zero, in this thread. Where units of a network die, Adam's moments fade into
      such numbers, a third of them in a long training, and each takes the processor a hundred times as long.
    """
    small = agent.runs * agent.hyperparameters.minibatch_size * max(agent.hyperparameters.hidden) ** 2 < SMALL_PRODUCT
    if "memory" in USED:
        torch.empty(31 * 2**20, dtype=torch.uint8)
    torch.set_flush_denormal("denormals" in USED)
    try:
        with torch_threads(1 if small else torch.get_num_threads()):
            yield
    finally:
        torch.set_flush_denormal(False)
