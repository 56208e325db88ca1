"""The torch text of what torch.nn lacks: real modules here, copied into an emitted model by `tfdsl.codegen.gather`.

A file imports torch and its siblings alone. Constructor arguments that are the same at every use in a model, and are
`None`, `True`, `False`, text or the default, are folded into the emitted text; sizes stay arguments. A module may be an
argument (`relative=ShawScores(64, 16)`).
"""
