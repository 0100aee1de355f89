"""SQL by libpq itself: a psql for every look at a table would be a tenth of the tests' time. Values stay text, as psql
shows them."""

import ctypes
import select
import time

from .process import LabError

TUPLES_OK, COMMAND_OK, EMPTY_QUERY = 2, 1, 0
CONNECTION_OK = PING_OK = 0

_pq = ctypes.CDLL("libpq.so.5")
for _name, _result, *_arguments in [
        ("PQping", ctypes.c_int, ctypes.c_char_p), ("PQconnectdb", ctypes.c_void_p, ctypes.c_char_p),
        ("PQstatus", ctypes.c_int, ctypes.c_void_p), ("PQerrorMessage", ctypes.c_char_p, ctypes.c_void_p),
        ("PQfinish", None, ctypes.c_void_p), ("PQsocket", ctypes.c_int, ctypes.c_void_p),
        ("PQsendQuery", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p), ("PQconsumeInput", ctypes.c_int, ctypes.c_void_p),
        ("PQisBusy", ctypes.c_int, ctypes.c_void_p), ("PQgetResult", ctypes.c_void_p, ctypes.c_void_p),
        ("PQresultStatus", ctypes.c_int, ctypes.c_void_p), ("PQclear", None, ctypes.c_void_p),
        ("PQresultErrorMessage", ctypes.c_char_p, ctypes.c_void_p), ("PQntuples", ctypes.c_int, ctypes.c_void_p),
        ("PQnfields", ctypes.c_int, ctypes.c_void_p),
        ("PQgetvalue", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)]:
    _function = getattr(_pq, _name)
    _function.restype, _function.argtypes = _result, _arguments


def answers(conninfo):
    """Does the server take connections?"""
    return _pq.PQping(conninfo.encode()) == PING_OK


class Connection:
    def __init__(self, conninfo):
        conninfo += " connect_timeout=5 client_encoding=UTF8 options='-c client_min_messages=error'"
        self._pq = _pq.PQconnectdb(conninfo.encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _pq.PQfinish(self._pq)

    def query(self, sql, seconds=60):
        """Rows of all the statements, as lists of strings; SQL NULL is the empty string. One transaction."""
        if _pq.PQstatus(self._pq) != CONNECTION_OK or not _pq.PQsendQuery(self._pq, sql.encode()):
            raise LabError(_pq.PQerrorMessage(self._pq).decode())
        rows, deadline = [], time.monotonic() + seconds
        while True:
            _wait(self._pq, deadline, sql)
            result = _pq.PQgetResult(self._pq)
            if not result:
                return rows
            try:
                rows += _rows(result, sql)
            finally:
                _pq.PQclear(result)


def _wait(connection, deadline, sql):
    waiting = select.poll()
    waiting.register(_pq.PQsocket(connection), select.POLLIN)
    while _pq.PQisBusy(connection):
        if not waiting.poll(max(0, deadline - time.monotonic()) * 1000):
            raise LabError(f"no answer of the database: {sql}")
        if not _pq.PQconsumeInput(connection):
            raise LabError(f"{_pq.PQerrorMessage(connection).decode()}: {sql}")


def _rows(result, sql):
    if _pq.PQresultStatus(result) not in (TUPLES_OK, COMMAND_OK, EMPTY_QUERY):
        raise LabError(f"{_pq.PQresultErrorMessage(result).decode()}: {sql}")
    return [[_pq.PQgetvalue(result, row, column).decode() for column in range(_pq.PQnfields(result))]
            for row in range(_pq.PQntuples(result))]
