"""Making a lane and keeping its keys: homes, ceremonies, roots taken over, who holds what until when."""
