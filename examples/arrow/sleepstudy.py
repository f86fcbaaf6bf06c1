"""Fit Reaction ~ Days + (Days | Subject) to an Arrow table by the C library, copying no labels.

    python sleepstudy.py PREFIX/lib/libcrossnest_c.so sleepstudy.csv

Arrow's C data interface is two C structs, which any Arrow library exports (here pyarrow) and the C
library reads: the same calls serve a database or a pipeline in another language.
"""

import ctypes
import sys
from ctypes import byref, c_char_p, c_double, c_int32, c_int64, c_void_p

import pyarrow
from pyarrow import csv


class Library:
    """The C functions by name, where a code other than 0 is an exception."""

    def __init__(self, path):
        self._library = ctypes.CDLL(path)
        self._library.cn_last_error.restype = c_char_p
        self._library.cn_fit_message.restype = c_char_p

    def __getattr__(self, name):
        """Return the function ``cn_name``."""
        function = getattr(self._library, f"cn_{name}")
        if name.endswith("_free"):
            function.restype = None

        def call(*arguments):
            result = function(*arguments)
            if result and function.restype is ctypes.c_int:
                raise RuntimeError(self._library.cn_last_error().decode())
            return result

        return call


def exported(array):
    """Return what Arrow's PyCapsule interface exports: the capsules, and the pointers in them."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = c_void_p, (ctypes.py_object, c_char_p)
    schema, data = array.__arrow_c_array__()  # they own the structs, so they must live on
    pointers = c_void_p(get(schema, b"arrow_schema")), c_void_p(get(data, b"arrow_array"))
    return (schema, data), pointers


def numbers(library, column):
    """Return a column of numbers as an array of doubles."""
    _owners, (schema, data) = exported(column)
    values = (c_double * len(column))()
    library.arrow_numbers(schema, data, values, c_int64(len(column)))
    return values


def codes_of(library, column):
    """Return the codes of a column of labels, and the number of levels."""
    _owners, (schema, data) = exported(column)
    levels, count = c_void_p(), c_int64()
    codes = (c_int32 * len(column))()
    library.levels_from_arrow(schema, data, byref(levels), codes)
    library.levels_count(levels, byref(count))
    library.levels_free(levels)
    return codes, count


def fit(library, table):
    """Fit the model to a table, and print it."""
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    n = table.num_rows
    reaction = numbers(library, columns["Reaction"])
    X = (c_double * (2 * n))(*[1.0] * n, *numbers(library, columns["Days"]))  # by columns
    days = ctypes.cast(byref(X, n * ctypes.sizeof(c_double)), c_void_p)
    subject, subjects = codes_of(library, columns["Subject"])

    # The library points at these arrays as long as the model lives. The term (Days | Subject) is an
    # intercept (a null pointer) and a slope of each subject.
    design, model, response, found = c_void_p(), c_void_p(), c_void_p(), c_void_p()
    library.design_new(c_int64(n), c_int64(2), X, byref(design))
    library.design_add_factor(design, subject, subjects)
    effects = (c_void_p * 2)(None, days)
    library.design_add_term(design, c_int64(0), c_int64(2), effects, b"unstructured")
    library.model_new(design, None, byref(model))
    library.response_new(model, reaction, None, byref(response))
    library.fit_new(response, None, None, c_int64(0), byref(found))

    criterion, sigma, theta = c_double(), c_double(), (c_double * 3)()
    library.fit_get_double(found, b"objective", byref(criterion))
    library.fit_get_double(found, b"sigma", byref(sigma))
    library.fit_get_array(found, b"theta", theta, c_int64(3))
    print(f"REML criterion {criterion.value:.3f}: {library.fit_message(found).decode()}")
    print(f"sigma {sigma.value:.4f}, theta {theta[0]:.4f} {theta[1]:.4f} {theta[2]:.4f}")
    print(f"{'':12} {'Estimate':>9} {'Error':>9} {'df':>7} {'t value':>8}")
    for j, name in enumerate(["(Intercept)", "Days"]):
        weights = (c_double * 2)(j == 0, j == 1)
        value, error, df = c_double(), c_double(), c_double()
        library.fit_contrast(found, weights, c_int64(2), byref(value), byref(error), byref(df))
        t = value.value / error.value
        print(f"{name:12} {value.value:9.4f} {error.value:9.4f} {df.value:7.2f} {t:8.3f}")

    library.fit_free(found)
    library.response_free(response)
    library.model_free(model)
    library.design_free(design)


if __name__ == "__main__":
    labels = csv.ConvertOptions(column_types={"Subject": pyarrow.string()})
    fit(Library(sys.argv[1]), csv.read_csv(sys.argv[2], convert_options=labels))
