"""Adam, and the clipping of gradients, for R independent runs."""

import math

import torch

from lecture_utils import fast


class Adam:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980) for parameters (R, ...): one torch.optim.Adam a run, side by side.

    Each run has a count of steps of its own: one that sits out a step keeps its weights, its moments and its count.
    """

    def __init__(self, parameters, lr, betas=(0.9, 0.999), eps=1e-8):
        self.parameters, self.lr, self.betas, self.eps = list(parameters), lr, betas, eps
        self.steps = torch.zeros(len(self.parameters[0]), dtype=torch.float32, device=self.parameters[0].device)  # (R,)
        self.apart = False  # whether the counts may differ: from the first step on that some run sat out
        self.moments = []  # (first, second) for each parameter; the first step makes them, in its number format

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, max_norm=math.inf, sit_out=None):
        """One step downhill, after the gradients of each run were scaled down to a norm of at most `max_norm`.

        sit_out: a mask (R,), on the CPU, of the runs that take no step, or None.
        """
        if max_norm < math.inf:
            clip_gradients(self.parameters, max_norm)
        self.moments = self.moments or [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters]
        if sit_out is not None and sit_out.all():
            return
        moving = None if sit_out is None or not sit_out.any() else ~sit_out
        self.steps += 1 if moving is None else moving.to(self.steps)
        self.apart = self.apart or moving is not None
        if fast.adam_step(self, moving):
            return
        k, (beta1, beta2) = slice(None) if moving is None else moving, self.betas
        for p, (m, v) in zip(self.parameters, self.moments, strict=True):
            n = self.steps[k].double().view(-1, *[1] * (p.dim() - 1))  # (R,) -> (R, 1, 1)
            m[k] = beta1 * m[k] + (1 - beta1) * p.grad[k]
            v[k] = beta2 * v[k] + (1 - beta2) * p.grad[k] ** 2
            size, root = (self.lr / (1 - beta1**n)).to(p), (1 - beta2**n).sqrt().to(p)
            p[k] -= size * m[k] / (v[k].sqrt() / root + self.eps)

    def state_dict(self):
        """What a checkpoint keeps, copied: {"steps": (R,), "moments": [(first, second), ...]}."""
        return {"steps": self.steps.clone(), "moments": [(m.clone(), v.clone()) for m, v in self.moments]}

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave, in the parameters' number format; ValueError where shapes differ."""
        shapes = [tuple(p.shape) for p in self.parameters]
        for got in ([tuple(x.shape) for x in moments] for moments in zip(*state["moments"], strict=True)):
            if got != shapes:
                raise ValueError(f"moments must have shapes {shapes}, got {got}")
        self.steps = state["steps"].to(self.steps).expand_as(self.steps).clone()
        self.apart = bool((self.steps != self.steps[0]).any())
        pairs = zip(self.parameters, state["moments"], strict=bool(state["moments"]))
        self.moments = [(m.to(p, copy=True), v.to(p, copy=True)) for p, (m, v) in pairs]


def clip_gradients(parameters, max_norm):
    """Scale each run's gradients down, in place, to a norm of at most `max_norm` over all parameters (R, ...)."""
    gradients = [p.grad for p in parameters]
    norm = torch.cat([g.flatten(1) for g in gradients], dim=1).norm(dim=1)  # (R,)
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)[:, None, None]
    for gradient in gradients:
        gradient *= factor
