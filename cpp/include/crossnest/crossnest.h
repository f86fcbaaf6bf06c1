/* crossnest from C: linear mixed models by the engine of crossnest::crossnest.
 *
 * Objects are opaque handles. A function that can fail returns CN_OK or a negative code, and
 * cn_last_error() then says what was wrong; what it should have filled is left alone. Numbers come
 * and go in arrays of the caller's, whose lengths are passed and checked. Matrices are stored by
 * columns. No exception leaves a function, and none prints, exits or changes global state.
 *
 * The arrays that a design points at (X, weights, codes, columns) must outlive every model made
 * from it, and the array of a response every fit of it. Handles may be freed in any order: a model
 * lives as long as a response or a fit needs it. Freeing NULL does nothing.
 *
 * A handle may be used by any thread, by one at a time. Threads may share a model and responses,
 * which nothing changes, and fit side by side.
 */
#ifndef CROSSNEST_CROSSNEST_H
#define CROSSNEST_CROSSNEST_H

#include <stdint.h>

#if defined(CROSSNEST_SHARED) && defined(_WIN32)
#if defined(CROSSNEST_BUILDING)
#define CN_API __declspec(dllexport)
#else
#define CN_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define CN_API __attribute__((visibility("default")))
#else
#define CN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* As in arrow.apache.org/docs/format/CDataInterface.html. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema** children;
  struct ArrowSchema* dictionary;
  void (*release)(struct ArrowSchema*);
  void* private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  struct ArrowArray** children;
  struct ArrowArray* dictionary;
  void (*release)(struct ArrowArray*);
  void* private_data;
};

#endif

/* What a function that can fail returns. */
#define CN_OK 0
#define CN_ERROR_ARGUMENT (-1)    /* an argument does not fit: a length, a name, a code, NULL */
#define CN_ERROR_FIT (-2)         /* the model cannot be fitted to these data */
#define CN_ERROR_MEMORY (-3)      /* out of memory, or more than the limit of the options */
#define CN_ERROR_INTERRUPTED (-4) /* the cancel flag was set */
#define CN_ERROR_INTERNAL (-5)    /* anything else */

/* Raised whenever a function, a code or a name changes its meaning; not where one is added. */
CN_API int32_t cn_abi_version(void);
/* The version of the library, "0.1.0". */
CN_API const char* cn_version(void);
/* What went wrong in the last call of this thread that failed, until its next one; else "". */
CN_API const char* cn_last_error(void);

/* Options -------------------------------------------------------------------------------------- */

typedef struct cn_options cn_options;

/* All options at their defaults:
 *
 *   int     threads          0: all cores
 *           memory_limit     bytes; 0: nine tenths of the machine's memory
 *           reml             1: restricted maximum likelihood; 0: maximum likelihood
 *           max_evaluations  of the criterion, from one start
 *   double  tolerance        on the predicted decrease of the criterion
 *   string  tail             "automatic", "dense" or "sparse"
 */
CN_API int32_t cn_options_new(cn_options** options);
CN_API void cn_options_free(cn_options* options);
CN_API int32_t cn_options_set_int(cn_options* options, const char* name, int64_t value);
CN_API int32_t cn_options_set_double(cn_options* options, const char* name, double value);
CN_API int32_t cn_options_set_string(cn_options* options, const char* name, const char* value);
/* A flag that another thread may set to anything but 0: calls with these options end soon after,
 * with CN_ERROR_INTERRUPTED. It must outlive what is made with the options. NULL: none. */
CN_API int32_t cn_options_set_cancel(cn_options* options, const volatile int* flag);
/* How far a call has come: evaluations of the criterion (total 0: it is not known before) in
 * cn_fit_new(), responses fitted of all in cn_refit_many(), parameters done of all in
 * cn_profile_intervals(). Called by the thread that made the call, between two of them, never by a
 * thread of the library's. It must return, and may use other handles. NULL: none. */
typedef void (*cn_progress)(void* user, int64_t done, int64_t total);
CN_API int32_t cn_options_set_progress(cn_options* options, cn_progress progress, void* user);

/* Design: X, weights, grouping factors and random-effects terms -------------------------------- */

typedef struct cn_design cn_design;

/* n observations, X is n x p (NULL where p is 0). */
CN_API int32_t cn_design_new(int64_t n, int64_t p, const double* X, cn_design** design);
CN_API void cn_design_free(cn_design* design);
/* n positive numbers. */
CN_API int32_t cn_design_set_weights(cn_design* design, const double* weights);
/* A grouping factor: for each observation a level, counted from 0. Factors are numbered from 0 as
 * they are added. In rows to predict at, -1 is a level that was not fitted. */
CN_API int32_t cn_design_add_factor(cn_design* design, const int32_t* codes, int64_t levels);
/* A term (columns | factor): `columns` pointers to n numbers each, NULL for the constant 1. The
 * covariance structure is "unstructured", "diagonal" or another that cn_covariance_name() lists. */
CN_API int32_t cn_design_add_term(cn_design* design, int64_t factor, int64_t columns,
                                  const double* const* values, const char* covariance);
/* The names of covariance structures, from 0 on; NULL past the last. */
CN_API const char* cn_covariance_name(int64_t index);

/* Levels: from labels to codes ----------------------------------------------------------------- */

/* The different labels of a factor in sorted order: strings by their bytes (which for UTF-8 is by
 * code points), integers by value. Level j has the code j. */
typedef struct cn_levels cn_levels;

/* The levels of n labels, and unless that is NULL the code of each. Strings are `lengths` bytes
 * long, or end with a zero byte where `lengths` is NULL; they are copied. */
CN_API int32_t cn_levels_from_strings(int64_t n, const char* const* labels, const int64_t* lengths,
                                      cn_levels** levels, int32_t* codes);
CN_API int32_t cn_levels_from_integers(int64_t n, const int64_t* labels, cn_levels** levels,
                                       int32_t* codes);
CN_API void cn_levels_free(cn_levels* levels);
/* Adds the levels of another batch of rows, whose labels are of the same kind. Codes change. */
CN_API int32_t cn_levels_merge(cn_levels* levels, const cn_levels* other);
CN_API int32_t cn_levels_count(const cn_levels* levels, int64_t* count);
/* A level. The string is good until the levels are freed or merged; a zero byte follows it. */
CN_API int32_t cn_levels_string(const cn_levels* levels, int64_t code, const char** label,
                                int64_t* length);
CN_API int32_t cn_levels_integer(const cn_levels* levels, int64_t code, int64_t* label);
/* The codes of n other labels: -1 where it is none of the levels. */
CN_API int32_t cn_levels_code_strings(const cn_levels* levels, int64_t n, const char* const* labels,
                                      const int64_t* lengths, int32_t* codes);
CN_API int32_t cn_levels_code_integers(const cn_levels* levels, int64_t n, const int64_t* labels,
                                       int32_t* codes);

/* Treatment coding: a column of X for each level but the `reference`, in their order, 1 where a row
 * has the level, else 0: n x (levels - 1), so `length` is n (levels - 1). */
CN_API int32_t cn_treatment_columns(int64_t n, const int32_t* codes, int64_t levels,
                                    int64_t reference, double* columns, int64_t length);

/* Levels and numbers from an array of Arrow's C data interface, which is read and stays the
 * caller's. Labels are strings ("u", "U"), integers ("c", "C", "s", "S", "i", "I", "l", "L") or
 * dictionaries of these, of which only the values that occur are levels. A null is refused, with
 * its row. */
CN_API int32_t cn_levels_from_arrow(const struct ArrowSchema* schema,
                                    const struct ArrowArray* array, cn_levels** levels,
                                    int32_t* codes);
CN_API int32_t cn_levels_code_arrow(const cn_levels* levels, const struct ArrowSchema* schema,
                                    const struct ArrowArray* array, int32_t* codes, int64_t length);
/* The numbers of an Arrow array of floating-point numbers ("f", "g") or integers. */
CN_API int32_t cn_arrow_numbers(const struct ArrowSchema* schema, const struct ArrowArray* array,
                                double* values, int64_t length);

/* Sums over rows that need not be together ----------------------------------------------------- */

typedef struct cn_sums cn_sums;

/* Sums over no rows, for rows like those of the design and of y (see Sums of the C++ library).
 * `intercept` is the column of X that is constant, -1 if there is none. */
CN_API int32_t cn_sums_new(const cn_design* sample, const double* y, int64_t intercept,
                           cn_sums** sums);
CN_API void cn_sums_free(cn_sums* sums);
/* A copy, to be added to elsewhere and merged later. */
CN_API int32_t cn_sums_copy(const cn_sums* sums, cn_sums** copy);
CN_API int32_t cn_sums_add(cn_sums* sums, const cn_design* rows, const double* y);
CN_API int32_t cn_sums_merge(cn_sums* sums, const cn_sums* other);
CN_API int32_t cn_sums_rows(const cn_sums* sums, int64_t* rows);
/* Sums as bytes, to be sent elsewhere or kept: the same on every machine, with a version and a
 * check. Bytes that are damaged, or of a later version, are refused. `length` must be that of
 * cn_sums_bytes(). */
CN_API int32_t cn_sums_bytes(const cn_sums* sums, int64_t* length);
CN_API int32_t cn_sums_serialize(const cn_sums* sums, void* bytes, int64_t length);
CN_API int32_t cn_sums_deserialize(const void* bytes, int64_t length, cn_sums** sums);

/* Model and response --------------------------------------------------------------------------- */

typedef struct cn_model cn_model;
typedef struct cn_response cn_response;

/* Options may be NULL. */
CN_API int32_t cn_model_new(const cn_design* design, const cn_options* options, cn_model** model);
CN_API int32_t cn_model_from_sums(const cn_sums* sums, const cn_options* options, cn_model** model);
CN_API void cn_model_free(cn_model* model);
/* "n", "p" (columns of X), "rank" (of them kept), "parameters" (length of theta), "terms",
 * "factors". */
CN_API int32_t cn_model_get_int(const cn_model* model, const char* name, int64_t* value);
/* k, the effects of each level of a term, and J, its levels. */
CN_API int32_t cn_model_term(const cn_model* model, int64_t term, int64_t* k, int64_t* J);
/* The kept columns of X (rank). */
CN_API int32_t cn_model_pivot(const cn_model* model, int64_t* columns, int64_t length);
/* Bounds of theta (parameters), infinite where there is none. */
CN_API int32_t cn_model_bounds(const cn_model* model, double* lower, double* upper, int64_t length);

/* A response (n numbers) and its offset (n numbers, or NULL). With an offset the numbers are
 * copied. */
CN_API int32_t cn_response_new(const cn_model* model, const double* y, const double* offset,
                               cn_response** response);
CN_API int32_t cn_response_from_sums(const cn_model* model, const cn_sums* sums,
                                     cn_response** response);
CN_API void cn_response_free(cn_response* response);

/* Factor and workspace for the criterion of a model (REML or ML by the options), made once for many
 * thetas and responses: one for each thread. */
typedef struct cn_evaluator cn_evaluator;

CN_API int32_t cn_evaluator_new(const cn_model* model, const cn_options* options,
                                cn_evaluator** evaluator);
CN_API void cn_evaluator_free(cn_evaluator* evaluator);
/* The criterion of a response at a theta, and its gradient unless that is NULL (both of length
 * `length`). Infinite where it cannot be computed; the gradient is NaN there. */
CN_API int32_t cn_evaluator_objective(cn_evaluator* evaluator, const cn_response* response,
                                      const double* theta, int64_t length, double* value,
                                      double* gradient);

/* Fit ------------------------------------------------------------------------------------------ */

typedef struct cn_fit cn_fit;

/* The estimates at the optimum. `start` (theta, `length` numbers) may be NULL. A search that ends
 * before the optimum is no error: see "converged". */
CN_API int32_t cn_fit_new(const cn_response* response, const cn_options* options,
                          const double* start, int64_t length, cn_fit** fit);
/* The estimates at a theta. */
CN_API int32_t cn_fit_at(const cn_response* response, const cn_options* options,
                         const double* theta, int64_t length, cn_fit** fit);
CN_API void cn_fit_free(cn_fit* fit);
/* "converged", "singular", "reml" (0 or 1), "evaluations". */
CN_API int32_t cn_fit_get_int(const cn_fit* fit, const char* name, int64_t* value);
/* "objective", "sigma", "pwrss", "nu", "log_det_omega", "log_det_C", "predicted_decrease". */
CN_API int32_t cn_fit_get_double(const cn_fit* fit, const char* name, double* value);
/* "theta", "beta", "standard_errors", "vcov" (rank x rank), "fitted" (n), "leverages" (n); the
 * last two are empty where the model was made from sums. The length must be that of
 * cn_fit_length(). */
CN_API int32_t cn_fit_get_array(cn_fit* fit, const char* name, double* values, int64_t length);
CN_API int32_t cn_fit_length(const cn_fit* fit, const char* name, int64_t* length);
/* Why the search ended. Good until the fit is freed. */
CN_API const char* cn_fit_message(const cn_fit* fit);
/* Conditional modes of a term (k x J), and their covariance matrices given theta and beta
 * (k x k x J). */
CN_API int32_t cn_fit_modes(const cn_fit* fit, int64_t term, double* modes, int64_t length);
CN_API int32_t cn_fit_mode_variances(cn_fit* fit, int64_t term, double* variances, int64_t length);
/* Satterthwaite's degrees of freedom of a linear combination of beta (rank weights), with its value
 * and standard error; each of the three may be NULL. */
CN_API int32_t cn_fit_contrast(cn_fit* fit, const double* weights, int64_t length, double* value,
                               double* error, double* df);
/* The same by Kenward and Roger's method: the standard error from the adjusted covariance matrix of
 * beta, and the degrees of freedom that go with it. The fit must be by REML. */
CN_API int32_t cn_fit_kenward_roger(cn_fit* fit, const double* weights, int64_t length,
                                    double* value, double* error, double* df);
/* Predictions x beta + z b at other rows (rows.n numbers), and the variances of their errors;
 * either may be NULL. `included` has a 0 for each term to leave out; NULL: none. */
CN_API int32_t cn_fit_predict(cn_fit* fit, const cn_design* rows, const int32_t* included,
                              double* values, double* variances, int64_t length);

/* Responses drawn at the estimates: `count` of them (n x count, `length` numbers, less the offset),
 * the replicates first, first + 1, ... of a seed. Each depends on the seed and its number alone,
 * and its standard normal numbers are the same on every machine: Philox4x32-10 keyed by the seed,
 * and the polar method. They are not those of Python's simulate(), which are NumPy's. With
 * `new_effects` 0 the random effects are the conditional modes of the fit, else drawn as well. */
CN_API int32_t cn_fit_simulate(cn_fit* fit, int32_t new_effects, uint64_t seed, int64_t first,
                               int64_t count, double* Y, int64_t length);

/* Profile intervals of the ML deviance of a response: how many parameters there are (standard
 * deviations and correlations by term, sigma, fixed effects), and where |zeta| of each reaches the
 * cutoff (1.96 for 95 %): `lower` and `upper` have that many numbers. */
CN_API int32_t cn_profile_length(const cn_response* response, int64_t* parameters);
CN_API int32_t cn_profile_intervals(const cn_response* response, const cn_options* options,
                                    double cutoff, double* lower, double* upper, int64_t length);

/* Fits of `count` responses Y (n x count, less the offset). Arrays that are not NULL are filled:
 * objective and sigma (count), theta (parameters x count), beta and standard errors (rank x count),
 * status (count): 0 fitted, 1 singular, 2 not converged, 3 not finite, 4 without variation, 5 not
 * computable. Numbers are NaN where there is no fit. */
CN_API int32_t cn_refit_many(const cn_model* model, const cn_options* options, const double* Y,
                             int64_t count, double* objective, double* sigma, double* theta,
                             double* beta, double* errors, int32_t* status);

#ifdef __cplusplus
}
#endif

#endif
