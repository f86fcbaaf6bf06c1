/* Fits Reaction ~ Days + (Days | Subject) to a CSV file with these three columns, in any order. */
#include <crossnest/crossnest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 10000, MAX_LEVELS = 1000, NAME = 64 };

static double reaction[MAX_ROWS];
static double X[2 * MAX_ROWS]; /* by columns: the intercept, then Days */
static int32_t subject[MAX_ROWS];
static char subjects[MAX_LEVELS][NAME];

/* Stops the program where a call failed. */
static void check(int32_t code) {
  if (code == CN_OK) return;
  fprintf(stderr, "crossnest: %s\n", cn_last_error());
  exit(1);
}

/* The code of a label: its place among those seen so far. */
static int32_t code_of(const char* label, int64_t* levels) {
  for (int64_t l = 0; l < *levels; ++l)
    if (strcmp(subjects[l], label) == 0) return (int32_t)l;
  if (*levels == MAX_LEVELS || strlen(label) >= NAME) {
    fprintf(stderr, "too many subjects, or too long a name\n");
    exit(1);
  }
  strcpy(subjects[*levels], label);
  return (int32_t)(*levels)++;
}

/* Reads the file, and returns the number of rows. */
static int64_t read_csv(const char* path, int64_t* levels) {
  char line[256];
  int column_of[3] = {-1, -1, -1}; /* of Reaction, Days, Subject */
  int64_t n = 0;
  FILE* file = fopen(path, "r");
  if (file == NULL || fgets(line, sizeof line, file) == NULL) {
    perror(path);
    exit(1);
  }
  int column = 0;
  for (char* name = strtok(line, ",\r\n"); name != NULL; name = strtok(NULL, ",\r\n"), ++column) {
    if (strcmp(name, "Reaction") == 0) column_of[0] = column;
    if (strcmp(name, "Days") == 0) column_of[1] = column;
    if (strcmp(name, "Subject") == 0) column_of[2] = column;
  }
  static double days[MAX_ROWS];
  while (n < MAX_ROWS && fgets(line, sizeof line, file) != NULL) {
    column = 0;
    for (char* cell = strtok(line, ",\r\n"); cell != NULL; cell = strtok(NULL, ",\r\n"), ++column) {
      if (column == column_of[0]) reaction[n] = atof(cell);
      if (column == column_of[1]) days[n] = atof(cell);
      if (column == column_of[2]) subject[n] = code_of(cell, levels);
    }
    ++n;
  }
  fclose(file);
  for (int64_t i = 0; i < n; ++i) {
    X[i] = 1.0;
    X[n + i] = days[i];
  }
  return n;
}

int main(int argc, char** argv) {
  int64_t levels = 0;
  const int64_t n = read_csv(argc > 1 ? argv[1] : "sleepstudy.csv", &levels);

  cn_design* design = NULL;
  check(cn_design_new(n, 2, X, &design));
  check(cn_design_add_factor(design, subject, levels));
  const double* columns[2] = {NULL, X + n}; /* (1 + Days | Subject): NULL is the constant 1 */
  check(cn_design_add_term(design, 0, 2, columns, "unstructured"));

  cn_model* model = NULL;
  cn_response* response = NULL;
  cn_fit* fit = NULL;
  check(cn_model_new(design, NULL, &model)); /* NULL: all options at their defaults */
  check(cn_response_new(model, reaction, NULL, &response));
  check(cn_fit_new(response, NULL, NULL, 0, &fit));

  double criterion, sigma, theta[3];
  check(cn_fit_get_double(fit, "objective", &criterion));
  check(cn_fit_get_double(fit, "sigma", &sigma));
  check(cn_fit_get_array(fit, "theta", theta, 3));
  printf("REML criterion %.3f: %s\n", criterion, cn_fit_message(fit));
  printf("sigma %.4f, theta %.4f %.4f %.4f\n", sigma, theta[0], theta[1], theta[2]);

  const char* names[2] = {"(Intercept)", "Days"};
  printf("%-12s %9s %9s %7s %8s\n", "", "Estimate", "Error", "df", "t value");
  for (int j = 0; j < 2; ++j) {
    const double weights[2] = {j == 0, j == 1};
    double estimate, error, df;
    check(cn_fit_contrast(fit, weights, 2, &estimate, &error, &df));
    printf("%-12s %9.4f %9.4f %7.2f %8.3f\n", names[j], estimate, error, df, estimate / error);
  }

  cn_fit_free(fit);
  cn_response_free(response);
  cn_model_free(model);
  cn_design_free(design);
  return 0;
}
