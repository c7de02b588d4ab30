"""Container images at the gate: what the layers do to one another, and what runs when one starts.

Sources: OCI image specification 1.1 (manifest, configuration, layer: "Whiteouts", "Change Types").
"""
