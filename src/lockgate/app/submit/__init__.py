"""What is made on the high side, on its way to the gate."""
