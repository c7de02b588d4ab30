"""The way over the gap: collected, sealed, carried by hand or diode, received, receipted."""
