"""Signatures read and verified offline, inside the sandbox: certificates, logs, time stamps, formats.

Nothing here is asked of a network, and no library fetches a newer trust root: what counts is what
crossed and what two persons put in force (`lockgate.core.provenance.TrustRoots`).
"""
