"""1,024 runs of each of the lecture's two algorithms, for which it takes a CUDA device: how runs are distributed.

On a device train waits for the CPU, which steps the pendulums and launches some ten thousand operations an episode one
by one. Here an episode with its update stays on the device, and is captured once as a graph that is then replayed.
`python -m lecture_utils.experiments.many_runs` (that is `make data-many`) writes data/many_runs.npz.
"""

import pathlib

import numpy as np
import torch
from tqdm.auto import tqdm

from lecture_utils import A2C, PPO, checks
from lecture_utils.experiments.data_files import DATA, ROOT, checked, read_arrays, write_checksums
from lecture_utils.pendulum import EPISODE_STEPS, MAX_SPEED, MAX_TORQUE, START_HIGH, TIME_STEP
from lecture_utils.ppo import approx_kl, clip_fraction
from lecture_utils.training import LOG_COLUMNS

AGENTS = {"ppo": PPO, "a2c": A2C}
RUNS, EPISODES, BLOCK = 1024, 3000, 50  # BLOCK: episodes of one mean in the file
WARM_UP = 3  # episodes before the capture, which make Adam's moments and what libraries reserve
COLUMNS = tuple(name for name in LOG_COLUMNS[2:] if name != "explained_variance")


def load_many_runs(folder=DATA):
    """Returns while training, a dict name of AGENTS -> (1024, 60) float32 means of 50 episodes.

    Raises FileNotFoundError or ValueError that say what is wrong and how to make the file again.
    """
    path = checked("many_runs.npz", folder, "make data-many")
    return read_arrays(path, dict.fromkeys(AGENTS, 2), "make data-many")


def step_pendulums(state, torque):
    """Pendulum-v1's step for tensors: state (R, 2) of theta in rad and theta_dot in rad/s, torque (R,) in N m.

    Returns the next state (R, 2) and the rewards (R,); as PendulumVectorEnv.step, in the same order of operations.
    """
    theta, theta_dot = state.unbind(-1)
    torque = torque.clamp(-MAX_TORQUE, MAX_TORQUE)
    cost = ((theta + torch.pi) % (2 * torch.pi) - torch.pi) ** 2 + 0.1 * theta_dot**2 + 0.001 * torque**2
    theta_dot = (theta_dot + (15.0 * theta.sin() + 3.0 * torque) * TIME_STEP).clamp(-MAX_SPEED, MAX_SPEED)
    return torch.stack([theta + theta_dot * TIME_STEP, theta_dot], -1), -cost


def observe(state):
    """State (R, 2) -> observation (R, 1, 3): cosine and sine of theta, and theta_dot."""
    theta, theta_dot = state.unbind(-1)
    return torch.stack([theta.cos(), theta.sin(), theta_dot], -1).float()[:, None]


def episode(agent, state, noise):
    """An episode of every run and the update from it, where the agent is: (columns, R) numbers, named by COLUMNS.

    state: (R, 2) float64, where the pendulums start; noise: (T, R, 1) standard normal numbers of the actions.
    """
    h, limit, dtype = agent.hyperparameters, agent.action_limit, next(agent.actor.parameters()).dtype
    observations, actions, rewards = [observe(state).to(dtype)], [], []
    with torch.no_grad():
        for now in noise[..., None]:  # (R, 1, 1)
            mean, std = agent.actor(observations[-1])
            actions.append(mean + std * now)
            state, reward = step_pendulums(state, actions[-1][:, 0, 0].double())
            observations.append(observe(state).to(dtype))
            rewards.append(reward)
        observation, action, reward = torch.cat(observations[:-1], 1), torch.cat(actions, 1), torch.stack(rewards, -1)
        action = action.clamp(-limit, limit) if h.score_action == "clipped" else action
        agent.refresh()
        before = agent.policy(agent.actor, observation)
        value = agent.old_critic(torch.cat(observations, 1)).squeeze(-1).double()  # (R, T + 1)
        advantage = [0.0]
        for t in reversed(range(len(noise))):
            delta = h.reward_scale * reward[:, t] + h.gamma * value[:, t + 1] - value[:, t]
            advantage.insert(0, delta + h.gamma * h.gae_lambda * advantage[0])
        advantage = torch.stack(advantage[:-1], -1).to(dtype)  # (R, T)
        value = value[:, :-1].to(dtype)
    batch = {"observation": observation, "action": action, "old_log_prob": before.log_prob(action).sum(-1),
             "advantage": advantage, "value": value, "returns": advantage + value}  # fmt: skip
    steps = [agent.step(minibatch) for _ in range(h.passes) for minibatch in agent.minibatches(batch)]
    losses = sum(loss * ratio.shape[-1] for loss, ratio in steps) / (h.passes * len(noise))  # (3, R)
    log_ratio = torch.cat([ratio for _, ratio in steps], -1)  # (R, passes x T)
    with torch.no_grad():
        after = agent.policy(agent.actor, observation)
        kl = torch.distributions.kl_divergence(before, after).sum(-1).mean(-1)
    columns = reward.sum(-1), *losses, clip_fraction(log_ratio, h.clip), approx_kl(log_ratio), kl
    return torch.stack([column.float() for column in columns])


def train_on_device(agent, episodes, progress=True, warm_up=WARM_UP):
    """Train an agent that lives on a CUDA device: float32 numbers (columns, episodes, R), named by COLUMNS.

    Starts and noise come from the device's own generator (torch.cuda.manual_seed), so a run is not the one that train
    gives for its seed, only one like it. Raises ValueError for agents on the CPU, other actions and other recipes than
    an episode an update in time order, without annealing, target_kl, max_grad_norm and normalised advantages.
    """
    checks.agent(agent)
    h, episodes = agent.hyperparameters, checks.whole("episodes", episodes, 1)
    plain = {"episodes_per_update": 1, "shuffle": False, "anneal_updates": 0, "target_kl": np.inf,
             "max_grad_norm": np.inf, "normalize_advantages": "no"}  # fmt: skip
    other = {name: getattr(h, name) for name, value in plain.items() if getattr(h, name) != value}
    if agent.device.type != "cuda" or agent.choices or agent.bounds or other:
        raise ValueError(
            f"agent must act on the pendulum from a CUDA device, with {plain}; got {agent.device}, {other}"
        )
    log = torch.empty(episodes, len(COLUMNS), agent.runs, device=agent.device)
    high = torch.as_tensor(START_HIGH, device=agent.device)

    def one():
        start = torch.rand(agent.runs, 2, dtype=torch.float64, device=agent.device) * 2 - 1
        noise = torch.randn(EPISODE_STEPS, agent.runs, 1, device=agent.device)
        return episode(agent, start * high, noise)

    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with tqdm(total=episodes, disable=not progress, desc="episodes") as bar:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for i in range(min(warm_up, episodes)):
                log[i] = one()
        torch.cuda.current_stream().wait_stream(stream)
        if episodes > warm_up:
            with torch.cuda.graph(graph):
                result = one()
        for i in range(warm_up, episodes):
            graph.replay()
            log[i] = result
            if i % BLOCK == 0:
                torch.cuda.synchronize()
                bar.update(i - bar.n)
    agent.episodes += episodes
    agent.updates += episodes
    return log.transpose(0, 1).cpu().numpy()


def main(folder=DATA, workspace=ROOT / "build" / "many_runs", runs=RUNS, episodes=EPISODES):
    """Record all of AGENTS; what an earlier call finished is taken from `workspace`."""
    folder, workspace = pathlib.Path(folder), pathlib.Path(workspace)
    workspace.mkdir(parents=True, exist_ok=True)
    for name, algorithm in AGENTS.items():
        if not (workspace / f"{name}.npy").is_file():
            torch.cuda.manual_seed(0)
            reward = train_on_device(algorithm(3, 1, seeds=range(runs), device="cuda"), episodes)[0]  # (episodes, R)
            np.save(workspace / f"{name}.npy", reward.reshape(-1, BLOCK, runs).mean(1).T.astype(np.float32))
    arrays = {name: np.load(workspace / f"{name}.npy") for name in AGENTS}
    np.savez_compressed(folder / "many_runs.npz", **arrays)
    write_checksums(folder, ["many_runs.npz"])


if __name__ == "__main__":
    main()
