"""Decisions on live traffic, one session at a time."""


class DecisionStream:
    """An iterator over decided sessions; made by :meth:`CaptureClassifier.predict_stream`.

    Each item is a named tuple with the columns of `predict_sessions` and `closed`, False where the
    session was decided before its end. Leaving a ``with`` block, or `close`, ends the stream.
    """

    def __init__(self, tables, describe):
        self._tables = tables
        self._rows = iter(())
        self._describe = describe

    @property
    def dropped(self):
        """Packets that the kernel could not keep so far."""
        return self._tables.dropped

    @property
    def report(self):
        """What became of every record, None before the end of the source; see `SessionStream`."""
        return self._tables.report

    def __iter__(self):
        return self

    def __next__(self):
        while True:
            for row in self._rows:
                return row
            X = next(self._tables)
            table = self._describe(X).assign(closed=X["closed"].to_numpy(dtype=bool))
            self._rows = table.itertuples(index=False, name="Session")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def stop(self):
        """End the source; the iterator goes on to give what is there and what is still open."""
        self._tables.stop()

    def close(self):
        """End the stream; sessions that are still open are dropped."""
        self._tables.close()
