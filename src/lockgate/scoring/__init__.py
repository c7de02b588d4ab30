"""What a text is scored by: its plain form, what it is made of, and what each part counts.

The guards score what goes to a model, inspection what readers of a document do not see, each with weights of
its own. Neither room may import the other, so that what both need stands below them.
"""
