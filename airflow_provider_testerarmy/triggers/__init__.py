"""The trigger that waits in the triggerer, for all vendors."""
