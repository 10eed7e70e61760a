"""A museum of bugs: common mistakes in PPO, each one line of `ppo.py` replaced, as an agent class to train.

A bug is planted in the source of one method and the rest is inherited, so what differs is what the label shows.
"""

import inspect
import textwrap

from lecture_utils import A2C, PPO, ppo


def planted(name, doc, method, right, wrong):
    """A subclass of PPO whose `method` (of A2C or PPO) says `wrong` where it said `right`.

    The class keeps both texts as `right` and `wrong`. Raises ValueError unless `right` is there exactly once.
    """
    source = textwrap.dedent(inspect.getsource(method))
    if source.count(right) != 1:
        raise ValueError(f"{method.__qualname__} must say {right!r} exactly once, it does {source.count(right)} times")
    namespace = dict(vars(ppo))
    exec(compile(source.replace(right, wrong).replace("super()", "super(PPO, self)"), f"<{name}>", "exec"), namespace)
    changed = {method.__name__: namespace[method.__name__]}
    # What PPO extends with super() has to stand between PPO and A2C, everything else before PPO.
    of_ppo = method is getattr(PPO, method.__name__)
    bug = type(name, (PPO,), changed) if of_ppo else type(name, (PPO, type("A2C", (A2C,), changed)), {})
    bug.method, bug.right, bug.wrong, bug.__doc__, bug.__module__ = method, right, wrong, doc, __name__
    return bug


def label(bug):
    """What the label beside an exhibit says: the method, the line as it is and the line as it was planted."""
    return f"{bug.__name__}, in {bug.method.__name__}\n- {bug.right}\n+ {bug.wrong}"


WrongSign = planted(
    "WrongSign",
    "The loss is the objective instead of minus the objective: every update makes good actions rarer.",
    PPO.actor_loss,
    "return -clipped_surrogate",
    "return clipped_surrogate",
)
NotDetached = planted(
    "NotDetached",
    "The old log-probability is computed from the learning network, with its gradient: in the ratio the two cancel, "
    "and the advantages teach nothing.",
    A2C.step,
    '.log_prob(batch["action"]).sum(-1)',
    '.log_prob(batch["action"]).sum(-1); batch["old_log_prob"] = log_prob',
)
OldPolicyEveryStep = planted(
    "OldPolicyEveryStep",
    "The old log-probability is taken anew before every gradient step: the ratio is always 1, so the clip never acts.",
    A2C.step,
    '.log_prob(batch["action"]).sum(-1)',
    '.log_prob(batch["action"]).sum(-1); batch["old_log_prob"] = log_prob.detach()',
)
OldPolicyNeverRefreshed = planted(
    "OldPolicyNeverRefreshed",
    "The old policy is never refreshed: the ratio compares with the first policy of all, and the clip holds back every "
    "move away from it.",
    PPO.refresh,
    "self.old_actor.load_state_dict(self.actor.state_dict())",
    "pass",
)
NoSumOverActions = planted(
    "NoSumOverActions",
    "The sum over action dimensions is forgotten: ratios (R, B, 1) meet advantages (R, 1, B), and every action is "
    "paired with every advantage.",
    PPO.actor_loss,
    'clipped_surrogate(ratio, batch["advantage"], self.hyperparameters.clip).mean(-1)',
    'clipped_surrogate(*torch.broadcast_tensors(ratio[..., None], batch["advantage"][:, None]), '
    "self.hyperparameters.clip).mean((-2, -1))",
)
BroadcastValues = planted(
    "BroadcastValues",
    "Values (R, B, 1) minus returns (R, 1, B): every value is pulled to every return, so the critic learns their mean "
    "and nothing about the state.",
    A2C.step,
    '(value - batch["returns"]).square().mean(-1)',
    '(value[..., None] - batch["returns"][:, None]).square().mean((-2, -1))',
)
ActionClipped = planted(
    "ActionClipped",
    "The action is cut to the limits and then scored, so the log-probability is that of another action.",
    A2C.prepare,
    "flat(rollout.action)",
    "flat(rollout.action.clip(-self.action_limit, self.action_limit))",
)
CutIsEnd = planted(
    "CutIsEnd",
    "The clock's cut is taken for the end of the task: no value is expected after the last step.",
    A2C.prepare,
    "rollout.terminated, gamma",
    "np.arange(reward.shape[-1]) == np.full(reward.shape, reward.shape[-1] - 1), gamma",
)
OffByOne = planted(
    "OffByOne",
    "V(s_t) stands where V(s_{t+1}) belongs: where an action leads to is left out of its temporal-difference error.",
    A2C.prepare,
    "gae(reward, values, next_values,",
    "gae(reward, values, values,",
)
ShiftedAdvantage = planted(
    "ShiftedAdvantage",
    "Each action is credited with the advantage of the one before it.",
    A2C.prepare,
    "returns = advantage + values",
    "returns, advantage = advantage + values, np.roll(advantage, 1, axis=-1)",
)
ShuffledApart = planted(
    "ShuffledApart",
    "Each tensor of the batch is shuffled in an order of its own: actions meet the advantages of other actions.",
    A2C.minibatches,
    "x[run, order] for name",
    "x[run, order[:, torch.randperm(n, generator=self.generators[0])]] for name",
)
EntropySign = planted(
    "EntropySign",
    "The entropy is added to the loss instead of taken from it: exploring is punished.",
    A2C.step,
    "- h.entropy_coef * entropy",
    "+ h.entropy_coef * entropy",
)
GradientsPileUp = planted(
    "GradientsPileUp",
    "The actor's gradients are never set to zero: every step takes all earlier ones again.",
    A2C.step,
    "self.actor_optimizer.zero_grad()",
    "pass",
)
LeakAcrossRuns = planted(
    "LeakAcrossRuns",
    "Advantages are normalised over all runs together: how a run trains depends on its neighbours.",
    A2C.prepare,
    "standardize(flat(advantage)) if",
    "standardize(flat(advantage).flatten()).view(self.runs, -1) if",
)
MaximumOfBranches = planted(
    "MaximumOfBranches",
    "The larger of the two branches is kept instead of the smaller: the clip stops corrections and lets runaways run.",
    PPO.actor_loss,
    '-clipped_surrogate(ratio, batch["advantage"], self.hyperparameters.clip)',
    'clipped_surrogate(ratio, -batch["advantage"], self.hyperparameters.clip)',
)

BUGS = (
    WrongSign,
    NotDetached,
    OldPolicyEveryStep,
    OldPolicyNeverRefreshed,
    NoSumOverActions,
    BroadcastValues,
    ActionClipped,
    CutIsEnd,
    OffByOne,
    ShiftedAdvantage,
    ShuffledApart,
    EntropySign,
    GradientsPileUp,
    LeakAcrossRuns,
    MaximumOfBranches,
)
