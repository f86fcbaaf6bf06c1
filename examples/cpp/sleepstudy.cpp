// Fits Reaction ~ Days + (Days | Subject) to a CSV file whose columns are Reaction, Days, Subject:
// reaction times of people, by days without sleep, with an intercept and a slope of each person's.
#include <cmath>
#include <crossnest/fit.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Data {
  std::vector<double> reaction, days;
  std::vector<crossnest::Level> subject;  // the code of each row's person, counted from 0
  int subjects = 0;
};

Data read_csv(const char* path) {
  std::ifstream file(path);
  std::string line, reaction, days, subject;
  if (!std::getline(file, line)) throw std::runtime_error(std::string("cannot read ") + path);
  Data data;
  std::map<std::string, int> codes;
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    std::getline(cells, reaction, ',');
    std::getline(cells, days, ',');
    std::getline(cells, subject, ',');
    data.reaction.push_back(std::stod(reaction));
    data.days.push_back(std::stod(days));
    data.subject.push_back(codes.emplace(subject, static_cast<int>(codes.size())).first->second);
  }
  data.subjects = static_cast<int>(codes.size());
  return data;
}

void fit(const Data& data) {
  using namespace crossnest;
  const std::size_t n = data.days.size();

  // The fixed effects, n x 2 by columns: an intercept, and Days.
  std::vector<double> X(n, 1.0);
  X.insert(X.end(), data.days.begin(), data.days.end());

  // A design points at the arrays, which must live as long as the model. The term says that each
  // level of factor 0 has an intercept (a null pointer) and a slope of Days.
  Design design;
  design.n = static_cast<Index>(n);
  design.p = 2;
  design.X = X.data();
  design.factors = {{data.subject.data(), data.subjects}};
  design.terms = {{0, {nullptr, data.days.data()}, "unstructured"}};

  // A model holds the cross-products of all columns; responses, and any number of them, are read
  // against it; an evaluator is the workspace that a fit uses. `true` is for REML.
  const Model model(design);
  const Response response = model.read(data.reaction.data());
  Evaluator evaluator(model);
  const Fit found = crossnest::fit(evaluator, response, true);

  const Estimates& at = found.estimates;
  std::printf("REML criterion %.3f: %s\n", at.objective, found.message.c_str());
  std::printf("sigma %.4f, theta %.4f %.4f %.4f\n", at.sigma, at.theta[0], at.theta[1],
              at.theta[2]);

  // Var(beta) is sigma^2 RX^-1 RX^-1', where RX is upper triangular, 2 x 2 by columns.
  const std::vector<double>& R = at.RX;
  const double errors[2] = {at.sigma * std::hypot(1 / R[0], R[2] / (R[0] * R[3])),
                            at.sigma / std::fabs(R[3])};
  const char* names[2] = {"(Intercept)", "Days"};
  std::printf("%-12s %9s %9s %8s\n", "", "Estimate", "Error", "t value");
  for (std::size_t j = 0; j < 2; ++j)
    std::printf("%-12s %9.4f %9.4f %8.3f\n", names[j], at.beta[j], errors[j],
                at.beta[j] / errors[j]);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    fit(read_csv(argc > 1 ? argv[1] : "sleepstudy.csv"));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
