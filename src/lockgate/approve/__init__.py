"""Who asked, who may answer, what exactly they sign."""
