"""Image-sentence pairs mined from examinations whose report speaks of many organs.

Which image shows which organ is not known: images fall into clusters, sentences are tagged with organs, and
what occurs together over many studies says which cluster is which organ. Everything that is written here
holds text of patients' reports: it goes to folders that only their user can read, and never to a log.
"""
