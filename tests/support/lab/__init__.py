"""
The laboratory: starts the real servers that Postern lives among, and Postern itself, on free ports of loopback
addresses, and ends each by its process id. README.md in the folder above says how to write a scenario with it.
"""
