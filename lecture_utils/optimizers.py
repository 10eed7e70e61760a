"""What happens to the gradients of R independent runs: Adam, clipping to a norm, and runs that are held still."""

import contextlib

import torch

REGISTER = 16  # numbers in the widest vector register, in single precision


class Adam(torch.optim.Adam):
    """torch.optim.Adam (Kingma and Ba 2015, arXiv 1412.6980) with little besides one call of its fused kernel a step.

    It rounds a run alike alone or among others. The kernel does whole vector registers, then the rest, and rounds the
    two differently: where a run's share of a parameter (R, ...) does not fill registers, which numbers are the rest
    would depend on R. Such parameters, a bias of the last layer for one, the kernel gets run by run.
    """

    def __init__(self, parameters, lr):
        super().__init__(parameters, lr=lr, fused=True)

    def zero_grad(self):
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    @torch.no_grad()
    def step(self):
        group = self.param_groups[0]
        if not self.state:
            for p in group["params"]:
                moments = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
                self.state[p] = {"step": torch.zeros((), device=p.device), **moments}
        step = self.state[group["params"][0]]["step"]
        step += 1
        columns = [], [], [], []
        for p in group["params"]:
            state = self.state[p]
            state["step"] = step  # one count for all
            tensors = p, p.grad, state["exp_avg"], state["exp_avg_sq"]
            fills_registers = p.numel() // len(p) % REGISTER == 0
            for column, x in zip(columns, tensors, strict=True):
                column += [x] if fills_registers else x.unbind()
        torch._fused_adam_(
            *columns, [], [step] * len(columns[0]), lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1],
            eps=group["eps"], weight_decay=0.0, amsgrad=False, maximize=False,
        )  # fmt: skip


def clip_gradients(parameters, max_norm):
    """Scale each run's gradients down, in place, to a norm of at most `max_norm` over all parameters (R, ...)."""
    gradients = [p.grad for p in parameters]
    norm = torch.cat([g.flatten(1) for g in gradients], dim=1).norm(dim=1)
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)[:, None, None]
    for gradient in gradients:
        gradient *= factor


@contextlib.contextmanager
def held(optimizer, runs):
    """Steps of Adam inside leave these runs where they are, moments included; runs: a mask (R,).

    The count of steps goes on for all, as it would for one run alone: training stays the same alone or among others.
    """
    kept = []
    if runs.any():
        runs = runs.nonzero().squeeze(-1)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        moments = [x for p in parameters for x in optimizer.state[p].values() if x.shape == p.shape]
        kept = [(x.detach(), x.detach().index_select(0, runs)) for x in (*parameters, *moments)]
    yield
    for x, before in kept:
        x.index_copy_(0, runs, before)
