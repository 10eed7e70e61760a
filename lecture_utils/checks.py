"""What arguments are asked for, and how their errors are worded."""

import numpy as np


def whole(name, value, least):
    """`value` as an int. Raises ValueError for all but Python's and NumPy's whole numbers of at least `least`."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r:.80}")
    return int(value)


def real_array(name, x, dtype):
    """x as an array of `dtype`. Raises TypeError for complex numbers: NumPy would drop a part with only a warning."""
    if np.iscomplexobj(x):
        raise TypeError(f"{name} must be real numbers, got {x!r:.80}")
    return np.asarray(x, dtype=dtype)
