"""A number of a million digits: quadratic work for who turns it into an integer."""

from tests.persistence.attacks._craft import archive


def attack(path, sound, canary):
    number = b"9" * 10**6
    schema = sound["schema.json"].replace(b'"protocol":', b'"x": %b, "protocol":' % number, 1)
    archive(path, {**sound, "schema.json": schema})
