"""What each protocol asks over HTTP, for reading: addresses, negotiation, answers from tables and blobs."""
