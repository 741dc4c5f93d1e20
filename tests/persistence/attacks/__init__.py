"""Known attacks on model files, a script each.

Each has ``attack(path, sound, canary)``: it writes a file to `path`, from the members of a `sound`
model file where it needs them; where code of the file runs, the file `canary` appears.
"""
