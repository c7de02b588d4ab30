"""The gate joined to a side: what holds it, who decides, what is inspected, what is published."""
