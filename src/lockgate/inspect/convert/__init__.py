"""Making something harmless of what is refused: weights without a program, text without a document."""
