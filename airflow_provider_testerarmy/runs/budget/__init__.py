"""Budgets: how many runs the tasks of a pool may start in a period, and the ledger that counts them."""
