"""The crossing tried before it leaves: hosts of the high side as the low side knows them, and rehearsals."""
