"""What happens to the gradients of R independent runs: Adam, clipping to a norm, and runs that are held still."""

import contextlib

import torch

REGISTER = 16  # numbers in the widest vector register, in single precision


class Adam:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980): torch's fused kernel, one call a step, and little besides.

    The numbers are those of torch.optim.Adam. Making one of those imports torch's compiler, more than a second and
    70 MB in every kernel, and its bookkeeping takes longer than the kernel where there is one run.

    It rounds a run alike alone or among others. The kernel does whole vector registers, then the rest, and rounds the
    two differently: where a run's share of a parameter (R, ...) does not fill registers, which numbers are the rest
    would depend on R. Such parameters, a bias of the last layer for one, the kernel gets run by run.
    """

    def __init__(self, parameters, lr, betas=(0.9, 0.999), eps=1e-8):
        self.parameters, self.lr, self.betas, self.eps = list(parameters), lr, betas, eps
        self.steps = torch.zeros((), device=self.parameters[0].device)
        self.moments = []  # (first, second) for each parameter; the first step makes them, in its number format

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self):
        self.moments = self.moments or [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters]
        self.steps += 1
        rows = []
        for p, moments in zip(self.parameters, self.moments, strict=True):
            tensors = p, p.grad, *moments
            alike = len(p) == 1 or p.numel() // len(p) % REGISTER == 0
            rows += [tensors] if alike else zip(*(x.unbind() for x in tensors), strict=True)
        torch._fused_adam_(
            *zip(*rows, strict=True), [], [self.steps] * len(rows), lr=self.lr, beta1=self.betas[0],
            beta2=self.betas[1], eps=self.eps, weight_decay=0.0, amsgrad=False, maximize=False,
        )  # fmt: skip

    def state_dict(self):
        """What a checkpoint keeps, copied: {"steps": (), "moments": [(first, second), ...]}."""
        return {"steps": self.steps.clone(), "moments": [(m.clone(), v.clone()) for m, v in self.moments]}

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave, in the parameters' number format and on their device.

        Raises ValueError for moments that do not have the parameters' shapes.
        """
        shapes = [tuple(p.shape) for p in self.parameters]
        for moments in zip(*state["moments"], strict=True):
            if [tuple(x.shape) for x in moments] != shapes:
                raise ValueError(f"moments must have shapes {shapes}, got {[tuple(x.shape) for x in moments]}")
        self.steps = state["steps"].to(self.steps, copy=True)
        self.moments = [
            (m.to(p, copy=True), v.to(p, copy=True))
            for p, (m, v) in zip(self.parameters, state["moments"], strict=bool(state["moments"]))
        ]


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
        moving = (*optimizer.parameters, *(x for moments in optimizer.moments for x in moments))
        kept = [(x.detach(), x.detach().index_select(0, runs)) for x in moving]
    yield
    for x, before in kept:
        x.index_copy_(0, runs, before)
