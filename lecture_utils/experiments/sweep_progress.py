"""What a sweep shows: a line that says about how long it will take, then a bar with the time that is left."""

import contextlib
import heapq
import time
import uuid

from tqdm.auto import tqdm

from lecture_utils import fast

ESTIMATE_FOR = 5.0  # seconds that a sweep may take, before it begins, to find out how long it will take


class Progress:
    """Of the settings `todo` (name -> Setting) among `count`, each of `runs` runs.

    done: name -> episodes that are there already. agent: a function of a name, the agent as its training goes on.
    wanted: False for silence.
    """

    def __init__(self, wanted, count, todo, runs, done, agent):
        self.wanted, self.count, self.todo, self.runs, self.agent = wanted, count, dict(todo), runs, agent
        self.done = dict.fromkeys(todo, 0) | done
        self.total = sum(setting.episodes for setting in todo.values())
        self.failed = 0

    def announce(self, workers, at_once=None):
        """Print the line. at_once: how many of the workers find a core; None: all."""
        if not self.wanted:
            return
        todo, begun = len(self.todo), sum(self.done.values())
        line = f"{_several(self.count, 'setting')}, {self.count - todo} there already; {todo} to train: "
        line += f"{_several(self.runs, 'run')} each, {self.total:,} episodes{f' ({begun:,} done)' if begun else ''}, "
        print(f"{line}{_several(workers, 'worker')}: ", end="", flush=True)
        self.free, self.seconds = [0.0] * max(1, at_once or workers), self._estimate()
        self.announced = self._left()
        print(_about(self.announced) if self.announced else "no setting could be tried, nobody knows how long")

    def _estimate(self):
        """Seconds that an episode of each setting takes; one that there was no time to try takes the others' mean."""
        names, seconds, start = list(self.todo), {}, time.monotonic()
        # By multiples of the golden ratio: however many are tried, they are spread over all.
        for k in sorted(range(len(names)), key=lambda k: k * (5**0.5 - 1) / 2 % 1):
            with contextlib.suppress(Exception):  # where it fails, its worker will tell
                seconds[names[k]] = seconds_an_episode(self.agent(names[k]), self.todo[names[k]])
            if time.monotonic() - start > ESTIMATE_FOR:
                break
        return dict.fromkeys(names, sum(seconds.values()) / max(1, len(seconds))) | seconds

    def _left(self):
        """Estimated seconds until the last worker is free, where each takes the next setting in turn."""
        free = list(self.free)
        for name, setting in self.todo.items():
            heapq.heapreplace(free, free[0] + self.seconds[name] * (setting.episodes - self.done[name]))
        return max(free)

    @contextlib.contextmanager
    def bar(self, client):
        """The bar, and the topic on which the client's workers tell [name, episodes done]; None: they need not."""
        if not self.wanted:
            yield None
            return
        topic, self.start = f"sweep-{uuid.uuid4()}", time.monotonic()
        client.subscribe_topic(topic, self._hear)
        layout, begun = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]", sum(self.done.values())
        with tqdm(total=self.total, initial=begun, desc="episodes", miniters=1, bar_format=layout) as self.shown:
            try:
                yield topic
            finally:
                client.unsubscribe_topic(topic)
                ended = len(self.done) - len(self.todo)
                self.shown.set_postfix_str(f"settings: {ended - self.failed} done, {self.failed} failed, "
                                           f"{len(self.todo)} left")  # fmt: skip

    def _hear(self, event):
        name, episodes = event[1]
        if name in self.todo:
            self.done[name] = episodes

    def move(self, ended=None, error=None):
        """Show what workers told; and that a setting has ended, with an error or without."""
        if not self.wanted:
            return
        if ended:
            episodes = self.todo.pop(ended).episodes
            self.done[ended] = self.done[ended] if error else episodes
        if error:
            self.failed += 1
            self.shown.write(f"{ended} failed: {error!r}")
        # What was estimated, times what the estimate has proved wrong by, which counts less at first.
        left, some = self._left(), self.announced / 10
        past, estimated = time.monotonic() - self.start, max(0.0, self.announced - left)
        if self.announced:
            self.shown.set_postfix_str(f"{_about(left * (past + some) / (estimated + some))} left", refresh=False)
        self.shown.update(sum(self.done.values()) - self.shown.n)


def seconds_an_episode(agent, setting):
    """Of one worker: an update, after one to warm up unless that took long, and the two scores."""
    with fast.torch_threads(1):
        seconds = 0.0
        for _ in range(2):
            if seconds < 1:
                start = time.perf_counter()
                setting.train(agent, agent.hyperparameters.episodes_per_update)
                seconds = time.perf_counter() - start
        start, scores = time.perf_counter(), setting.episodes // setting.scored_every
        if scores:
            setting.score(agent, deterministic=False)
        scoring = 2 * (time.perf_counter() - start)
    return seconds / setting.hyperparameters.episodes_per_update + scoring * scores / setting.episodes


def _several(count, what):
    return f"{count} {what}{'s' * (count != 1)}"


def _about(seconds):
    """With two digits: "about 12 min"."""
    size, unit = next(x for x in [(3600, "h"), (60, "min"), (1, "s")] if seconds >= 1.5 * x[0] or x[0] == 1)
    return f"about {float(f'{max(1.0, seconds / size):.2g}'):g} {unit}"
