"""What clients bring into names that an operator opened: uploads and pushes, on their way to the gate."""
