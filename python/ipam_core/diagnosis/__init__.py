"""Questions asked of the model: what a node will do, and why one is stuck."""
