"""Any task of Gymnasium as R x E environments side by side, whose steps say how each episode really went on.

Once an episode has ended, a vector environment starts the next one by itself, in one of three modes (Gymnasium's
AutoresetMode). In all three `Environments.step` gives the last observation of the old episode, not the new one's first.
"""

import functools
from traceback import walk_tb

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from lecture_utils import checks


class EnvironmentFailed(RuntimeError):
    """An environment raised an error, which is the cause, or gave what is no number. `log`: that of train so far."""

    log = None


def vectorized(env):
    """Whether env is an id for which there is a vector environment; ValueError for an id that is not registered."""
    try:
        return isinstance(env, str) and gymnasium.spec(env).vector_entry_point is not None
    except gymnasium.error.Error as error:
        raise ValueError(f"env must be the id of a registered environment, got {env!r}: {error}") from None


def make(env, count):
    """`count` environments as one, of an id or a function, or what a function makes that makes a vector environment."""
    if vectorized(env):
        return gymnasium.make_vec(env, num_envs=count)
    if isinstance(env, str):
        env = functools.partial(gymnasium.make, env, disable_env_checker=True)
    first = env() if callable(env) else env
    if callable(env) and isinstance(first, VectorEnv):
        return first
    if not callable(env) or not isinstance(first, gymnasium.Env):
        raise TypeError("env must be an id, a function or a class that makes an environment anew at each call, or a "
                        f"vector environment (only for_env takes a single one, too), got {env!r:.80}")  # fmt: skip
    return SyncVectorEnv([lambda: first, *[env] * (count - 1)], autoreset_mode=AutoresetMode.SAME_STEP)


def sizes(env):
    """The arguments of an agent that fits env: obs_dim, action_dim, action_limit or choices. Errors as of for_env."""
    made = env if isinstance(env, (gymnasium.Env, VectorEnv)) else make(env, 1)
    prefix = "single_" if isinstance(made, VectorEnv) else ""
    found = checks.sizes(getattr(made, f"{prefix}observation_space"), getattr(made, f"{prefix}action_space"))
    if made is not env:
        made.close()
    return found


class Environments:
    """The environments of an agent's runs; `observation` (R, E, O) is what each shows now.

    env: as for `make`, which is called once a run, so that each run has random numbers and wrappers of its own; or one
    vector environment for all runs, which share what it draws. count: E, environments a run; with `exactly` a vector
    environment of another number is a ValueError. seeds: a whole number a run.
    """

    def __init__(self, agent, env, count, seeds, exactly=False):
        self.agent = agent
        self.made = [] if isinstance(env, VectorEnv) else [make(env, count) for _ in range(agent.runs)]
        self.parts = self.made or [env]
        for part in self.parts:
            checks.spaces(agent, part.single_observation_space, part.single_action_space)
        each = [x.unwrapped for part in self.parts for x in getattr(part.unwrapped, "envs", [part])]
        if len({*map(id, each)}) < len(each):
            raise ValueError("env must make an environment anew at each call, not give the same object again, whose "
                             f"state all would share; got {each[0]!r:.80} several times")  # fmt: skip
        total = sum(part.num_envs for part in self.parts)
        if total % agent.runs or (exactly and total != agent.runs * count):
            raise ValueError(f"env must hold episodes_per_update, {count}, environments for each of {agent.runs} "
                             f"run(s), got {total} in all")  # fmt: skip
        self.count = total // agent.runs
        self.finished = []  # (run, environment, return, length) of each episode that ended
        self.ended_by = []  # how many they were when each rollout was whole
        ends = np.cumsum([part.num_envs for part in self.parts])
        self.rows = [slice(end - part.num_envs, end) for end, part in zip(ends, self.parts, strict=True)]
        self.modes = [AutoresetMode(part.metadata.get("autoreset_mode", "NextStep")) for part in self.parts]
        self.returns, self.lengths = np.zeros(total), np.zeros(total, dtype=int)  # of the episodes under way
        self.resets_next = np.zeros(total, dtype=bool)
        started = [self._call(part.reset, seed=seed)[0] for part, seed in zip(self.parts, seeds, strict=False)]
        self.observation = self._shaped(np.concatenate([flat(part) for part in started]))
        self._finite("an observation", self.observation.reshape(total, -1))

    def step(self, action, playing):
        """One step. action: (R, E, A), as the policy chose it. playing: a mask (R, E); a run of none stands still.

        Returns last observation (R, E, O), reward, terminated, truncated, counts, each (R, E). counts: False where
        nothing happened but that an episode began, which takes a call of its own in NEXT_STEP mode, or nothing at all.
        """
        if not np.isfinite(action).all():
            raise checks.NotFinite("action", action)
        action, playing = self.agent.applied(action).reshape(playing.size, -1), playing.ravel()
        last = self.observation.reshape(len(playing), -1).copy()
        observation, reward = last.copy(), np.zeros(len(playing))
        terminated, truncated, counts = np.zeros((3, len(playing)), dtype=bool)
        for part, mode, rows in zip(self.parts, self.modes, self.rows, strict=True):
            if not playing[rows].any():
                continue
            applied = action[rows].reshape(part.action_space.shape).astype(part.action_space.dtype)
            seen, reward[rows], terminated[rows], truncated[rows], info = self._call(part.step, applied)
            observation[rows] = last[rows] = flat(seen)
            ended = terminated[rows] | truncated[rows]
            if ended.any() and mode == AutoresetMode.SAME_STEP:
                last[rows][ended] = flat(np.stack([*info["final_obs"][ended]]))
            elif ended.any() and mode == AutoresetMode.DISABLED:
                observation[rows] = flat(self._call(part.reset, options={"reset_mask": ended})[0])
            counts[rows] = ~self.resets_next[rows]
            self.resets_next[rows] = ended & (mode == AutoresetMode.NEXT_STEP)
        self.observation = self._shaped(observation)
        self.returns += reward
        self.lengths += counts
        self._finite("a reward", reward)
        self._finite("an observation", last)
        for row in np.flatnonzero(terminated | truncated):
            self.finished.append((*divmod(int(row), self.count), self.returns[row], self.lengths[row]))
            self.returns[row] = self.lengths[row] = 0
        self._finite("an observation", observation)  # which is another where an episode began
        return self._shaped(last), *(self._shaped(x)[..., 0] for x in (reward, terminated, truncated, counts))

    def _call(self, method, *args, **kwargs):
        try:
            return method(*args, **kwargs)
        except Exception as error:
            told = f"env raised {type(error).__name__} in its {method.__name__}: {error}"
            *_, where = (x for f, _ in walk_tb(error.__traceback__) if (x := f.f_globals["__name__"])[:5] != "numpy")
            if where.startswith(("gymnasium.vector", "gymnasium.wrappers")):  # which take what env itself has returned
                told += ("; its step must return observation, reward, terminated, truncated, info and its reset "
                         f"observation, info, of shape {self.parts[0].single_observation_space.shape}")  # fmt: skip
            raise EnvironmentFailed(told) from error

    def _finite(self, name, x):  # (R E, ...)
        for row in np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(-1)):
            at = f"step {self.lengths[row]} of its episode" if self.lengths[row] else "its reset"
            raise EnvironmentFailed(f"environment {row % self.count} of run {row // self.count} gave {name} that is "
                                    f"not finite in {at}: {x[row]}")  # fmt: skip

    def _shaped(self, x):
        return x.reshape(self.agent.runs, self.count, -1)  # (R E, ...) -> (R, E, ...)

    def close(self):
        for part in self.made:  # one that was given stays open
            part.close()


def flat(observation):  # (n, *shape) -> a copy (n, O)
    return np.array(observation, dtype=np.float32).reshape(len(observation), -1)
