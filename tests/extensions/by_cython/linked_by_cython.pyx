# cython: language_level=3
"""The REML criterion of y ~ 1 + (1 | group), by crossnest's C library."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int32_t, int64_t


cdef extern from "crossnest/crossnest.h":
    ctypedef struct cn_design
    ctypedef struct cn_model
    ctypedef struct cn_options
    ctypedef struct cn_response
    ctypedef struct cn_fit
    const char* cn_last_error()
    int32_t cn_design_new(int64_t n, int64_t p, const double* X, cn_design** design)
    int32_t cn_design_add_factor(cn_design* design, const int32_t* codes, int64_t levels)
    int32_t cn_design_add_term(cn_design* design, int64_t factor, int64_t columns,
                               const double** values, const char* covariance)
    int32_t cn_model_new(const cn_design* design, const cn_options* options, cn_model** model)
    int32_t cn_response_new(const cn_model* model, const double* y, const double* offset,
                            cn_response** response)
    int32_t cn_fit_new(const cn_response* response, const cn_options* options,
                       const double* start, int64_t length, cn_fit** fit)
    int32_t cn_fit_get_double(const cn_fit* fit, const char* name, double* value)
    void cn_design_free(cn_design* design)
    void cn_model_free(cn_model* model)
    void cn_response_free(cn_response* response)
    void cn_fit_free(cn_fit* fit)


def check(int code):
    if code:
        raise RuntimeError(cn_last_error().decode())


def criterion(double[::1] y, int32_t[::1] group, int64_t levels):
    cdef const double* constant = NULL
    cdef double* X = <double*>PyMem_Malloc(y.shape[0] * sizeof(double))
    cdef double value
    cdef cn_design* design = NULL
    cdef cn_model* model = NULL
    cdef cn_response* response = NULL
    cdef cn_fit* fit = NULL
    if X is NULL:
        raise MemoryError
    for i in range(y.shape[0]):
        X[i] = 1.0
    try:
        check(cn_design_new(y.shape[0], 1, X, &design))
        check(cn_design_add_factor(design, &group[0], levels))
        check(cn_design_add_term(design, 0, 1, &constant, b"unstructured"))
        check(cn_model_new(design, NULL, &model))
        check(cn_response_new(model, &y[0], NULL, &response))
        check(cn_fit_new(response, NULL, NULL, 0, &fit))
        check(cn_fit_get_double(fit, b"objective", &value))
        return value
    finally:
        cn_fit_free(fit)
        cn_response_free(response)
        cn_model_free(model)
        cn_design_free(design)
        PyMem_Free(X)
