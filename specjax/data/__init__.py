"""Host side: bytes to arrays through the gate, and the order in which examples are visited."""
