"""Golden prompts: recorded where a model was tried, replayed before it is published."""
