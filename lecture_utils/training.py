"""The training loop and its log."""

import contextlib

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from lecture_utils.advantages import NotFinite
from lecture_utils.rollouts import check_agent, collect_episodes, torch_threads

SMALL_PRODUCT = 2**24  # multiplications in the product of one layer; from about here on a second thread helps

LOG_COLUMNS = (
    "run",
    "episode",
    "reward",
    "loss_act",
    "loss_v",
    "loss_ent",
    "clip_fraction",
    "approx_kl",
    "explained_variance",
)


class TrainingDiverged(RuntimeError):
    """A run's numbers stopped being finite. `run` is its index, `episode` where, `log` the DataFrame so far."""

    def __init__(self, run, seed, episode, what, log):
        super().__init__(
            f"run {run} (seed {seed}) diverged in episode {episode}: {what} is not finite. The other runs' weights are "
            "untouched. Try a smaller actor_lr or critic_lr, a max_grad_norm, or agent.select() to go on without it."
        )
        self.run, self.episode, self.log = run, episode, log


def train(agent, episodes=3000, progress=True):
    """Train every run for `episodes` more episodes; returns the log, a tidy DataFrame.

    One row a run and episode: run, episode, reward (the undiscounted return) and what agent.update tells. A
    KeyboardInterrupt ends the training early: the log so far is returned, and calling train again goes on. Raises
    TrainingDiverged where numbers stop being finite, ValueError for episodes that do not fill the last update.
    """
    check_agent(agent)
    per_update = agent.hyperparameters.episodes_per_update
    if (
        not isinstance(episodes, (int, np.integer))
        or isinstance(episodes, bool)
        or episodes < 1
        or episodes % per_update
    ):
        raise ValueError(
            f"episodes must be a multiple of episodes_per_update, {per_update}, and above 0, got {episodes!r}"
        )
    log, first = [], agent.episodes
    keep_freed_memory()
    with (
        torch_threads(_threads_worth_having(agent)),
        flushed_denormals(),
        tqdm(total=int(episodes), disable=not progress, desc="episodes") as bar,
    ):
        try:
            for _ in range(episodes // per_update):
                rollout = collect_episodes(agent)
                update = agent.update(rollout)
                log.append({"reward": rollout.returns, **update})
                for name, values in update.items():
                    if name != "explained_variance" and not np.isfinite(values).all():
                        raise NotFinite(name, values)
                agent.episodes = first + len(log) * per_update
                bar.update(per_update)
        except KeyboardInterrupt:
            bar.set_postfix_str("interrupted")
        except NotFinite as error:
            run = error.runs[0]
            log_so_far = _frame(log, first)
            raise TrainingDiverged(run, agent.seeds[run], agent.episodes, error.name, log_so_far) from None
        finally:
            # Counted from the log, because an interrupt can come between any two lines.
            agent.episodes = first + len(log) * per_update
    return _frame(log, first)


@contextlib.contextmanager
def flushed_denormals():
    """Numbers below 1e-38 count as zero inside, in this thread.

    Where units of a network die, Adam's moments fade into such numbers, a third of them in a long training, and the
    processor takes a hundred times as long for each: without this, the lecture's recipe takes twice as long.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def keep_freed_memory():
    """Freed memory stays with this process, up to 62 MB, where the C library is glibc; elsewhere nothing happens.

    Every step takes and frees the same megabytes. glibc returns them to the system, which clears each page before it
    gives it again; but not blocks smaller than one that was freed before, and here is the largest that counts.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _threads_worth_having(agent):
    """One where the products of a layer are small: they lose more by sharing the work than they gain."""
    h = agent.hyperparameters
    return 1 if agent.runs * h.minibatch_size * max(h.hidden) ** 2 < SMALL_PRODUCT else torch.get_num_threads()


def _frame(log, first):
    """One dict an update, of (R, E) rewards and (R,) numbers, to the tidy log, ordered by run, then episode.

    first: the number of the first episode.
    """
    if not log:
        return pd.DataFrame({name: np.empty(0, int if name in ("run", "episode") else float) for name in LOG_COLUMNS})
    rewards = np.stack([entry["reward"] for entry in log], axis=1)
    runs, updates, per_update = rewards.shape
    columns = {
        "run": np.repeat(np.arange(runs), updates * per_update),
        "episode": np.tile(np.arange(first, first + updates * per_update), runs),
        "reward": rewards.ravel(),
    }
    for name in LOG_COLUMNS[3:]:
        columns[name] = np.repeat(np.stack([entry[name] for entry in log], axis=1).ravel(), per_update)
    return pd.DataFrame(columns)
