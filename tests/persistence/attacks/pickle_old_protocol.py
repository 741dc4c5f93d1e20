"""A pickle of protocol 0, plain text. ``pickle.load`` runs ``os.system``."""


def attack(path, sound, canary):
    path.write_bytes(f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
