"""Reports: the results of a task as documents; pure functions that call no network."""
