"""A task with two actions whose bounds differ: a boat that is driven and turned, to be brought to a buoy."""

import gymnasium
import numpy as np

from lecture_utils import TUNED

STEPS = 100  # of a second each, after which the clock cuts
NEAR = 1.0  # m from the buoy, where the task ends
RECIPE = TUNED.replace(
    gamma=0.98, minibatch_size=256, initial_std=0.0, episodes_per_update=16, rollout_steps=64, reward_scale=0.1,
    anneal_updates=20,
)  # fmt: skip
RECIPE_STEPS = RECIPE.anneal_updates * RECIPE.episodes_per_update * RECIPE.rollout_steps  # 20,480 a run


class Boat(gymnasium.Env):
    """The action is (speed, turn): from 0 to 2 m/s, and from -0.5 to 0.5 rad/s to port. It can turn on the spot.

    The observation is where the buoy is, seen from the boat: metres ahead, metres to port. A step pays the metres that
    the boat came nearer, minus 0.5: who is on the way long pays for it. It begins 5 to 15 m away, in any direction.
    """

    observation_space = gymnasium.spaces.Box(-300.0, 300.0, (2,))
    action_space = gymnasium.spaces.Box(np.array([0.0, -0.5], np.float32), np.array([2.0, 0.5], np.float32))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        distance, angle = self.np_random.uniform([5.0, -np.pi], [15.0, np.pi])
        self.buoy, self.elapsed = distance * np.exp(1j * angle), 0  # ahead + i to port
        return self._seen(), {}

    def step(self, action):
        speed, turn = np.asarray(action, dtype=np.float64).clip(self.action_space.low, self.action_space.high)
        before = abs(self.buoy)
        self.buoy = (self.buoy - speed) * np.exp(-1j * turn)
        self.elapsed += 1
        arrived = abs(self.buoy) < NEAR
        return self._seen(), before - abs(self.buoy) - 0.5, arrived, not arrived and self.elapsed >= STEPS, {}

    def _seen(self):
        return np.array([self.buoy.real, self.buoy.imag], dtype=np.float32)


def ways(agent, starts=6, distance=10.0):
    """The ways of an agent of one run with its mean actions: complex arrays (T + 1,), metres east + i north of a buoy.

    The starts lie around the buoy, equally far from it. The bow points east at first: from the first start the buoy
    lies ahead. An episode that the clock cuts is as long as one that arrives only just.
    """
    boat, found = Boat(), []
    for start in range(starts):
        boat.reset(seed=0)
        boat.buoy = distance * np.exp(2j * np.pi * start / starts)
        seen, heading, over, way = boat._seen(), 1.0, False, [-boat.buoy]
        while not over:
            action = agent.act(seen, deterministic=True)
            seen, _, arrived, cut, _ = boat.step(action)
            heading, over = heading * np.exp(1j * action[1]), arrived or cut
            way.append(-boat.buoy * heading)
        found.append(np.array(way))
    return found
