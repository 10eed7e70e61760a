"""What the lecture measures: experiments, their recorded files in data/, and the statistics of them."""
