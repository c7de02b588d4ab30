"""What clients have to be told: configuration for each of them, and lock files that pin other hosts."""
