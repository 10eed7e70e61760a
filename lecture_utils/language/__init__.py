"""PPO on a language model so small that every text is listed: task.py, policy.py, learners.py, in this order."""
