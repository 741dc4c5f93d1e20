"""What a Parquet file claims to hold, before it is read: a small one can hold very much."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sktraffic._limits import TooLargeError, check_unpacked

__all__ = ["check_claims"]

# bytes that tables of any files may have in memory, where the user gives no limit
LEAST = 4 << 30
WIDTH = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "INT96": 8, "DOUBLE": 8}
OFFSET = 4  # bytes that say where a value of bytes begins
# encodings in which a value of bytes may be longer than what stands for it
SHORT = {"PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_BYTE_ARRAY"}
ROWS = 1 << 20
REMEDY = "pass max_unpacked=BYTES"


def check_claims(parts, columns=None, given=None, *, by_group=False):
    """Raise ValueError where Parquet files claim more than may be read.

    Parameters
    ----------
    parts : sequence of path-like
    columns : collection of str, optional
        Those that are to be read; None for all.
    given : int, optional
        Bytes of memory that all of them may take, at most; None for `LEAST`, or `GROWTH` times
        their own size where that is more.
    by_group : bool, default=False
        Whether the limit is about each row group, as when they are read one by one.
    """
    size, total = sum(map(os.path.getsize, parts)), 0
    for part in parts:
        with pq.ParquetFile(part) as file:
            try:
                for group in range(file.metadata.num_row_groups):
                    total = 0 if by_group else total
                    sure, growing = _claims(file, group, columns)
                    total += sure
                    most = total + sum(most for _, most, _ in growing)
                    if not _may_have(most, size, given):
                        total += sum(
                            _grown(part, group, leaf, batch, size, given)
                            for leaf, _, batch in growing
                        )
                    check_unpacked(total, size, given, LEAST, REMEDY)
            except TooLargeError as error:
                raise ValueError(f"{part} {error}") from None


def _may_have(total, size, given):
    try:
        check_unpacked(total, size, given, LEAST, "")
    except TooLargeError:
        return False
    return True


def _claims(file, group, columns):
    """Say what a row group claims.

    Returns
    -------
    sure : int
        Bytes that its values take.
    growing : list of (str, int, int or None)
        Leaves whose values of bytes may be longer than what stands for them: path, bytes at most,
        and rows that can be written out together, or None where they can be had as dictionaries.
    """
    facts, arrow = file.metadata.row_group(group), file.schema_arrow
    sure, growing = 0, []
    for number in range(facts.num_columns):
        column = facts.column(number)
        root = column.path_in_schema.partition(".")[0]
        if columns is not None and root not in columns:
            continue
        count = max(column.num_values, facts.num_rows, 0)
        width = WIDTH.get(column.physical_type)
        if width is None and column.physical_type != "BYTE_ARRAY":
            width = file.schema.column(number).length
        sure += count * (OFFSET if width is None else width)
        if width is None:
            content = max(column.total_uncompressed_size, 1)
            sure += content
            short = SHORT & set(column.encodings)
            if short == {"RLE_DICTIONARY"} and _stays_short(arrow, root):
                continue
            if short:
                written_out = "DELTA_BYTE_ARRAY" in short  # Arrow gives these no other way
                rows = min(max(LEAST // content, 1), ROWS) if written_out else None
                growing.append((column.path_in_schema, count * content, rows))
    return sure, growing


def _stays_short(schema, name):
    """Whether a column is read as a dictionary, its words once."""
    position = schema.get_field_index(name)
    if position < 0:
        return False
    kind = schema.field(position).type
    return pa.types.is_dictionary(kind.value_type if pa.types.is_list(kind) else kind)


def _grown(part, group, leaf, n_rows, size, given):
    """Count the bytes of a leaf's values, a batch at a time."""
    total, root = 0, leaf.partition(".")[0]
    with pq.ParquetFile(part, read_dictionary=[] if n_rows else [leaf]) as file:
        for batch in file.iter_batches(n_rows or ROWS, row_groups=[group], columns=[root]):
            values = batch.column(0)
            while not pa.types.is_dictionary(values.type) and values.type.num_fields:
                values = values.flatten()
                values = values[0] if isinstance(values, list) else values
            if pa.types.is_dictionary(values.type):
                words = pc.binary_length(values.dictionary).to_numpy(zero_copy_only=False)
                found = values.indices.drop_null().to_numpy(zero_copy_only=False)
                total += int(np.bincount(found, minlength=len(words)) @ words.astype(np.int64))
            else:
                total += values.nbytes
            check_unpacked(total, size, given, LEAST, REMEDY)
    return total
