// The covariance structures there are. A structure is a file of its own, which defines the
// functions that make it, and lines here.
#include <algorithm>
#include <stdexcept>

#include "crossnest/covariance.hpp"

namespace crossnest {

namespace {

using MakeStructure = std::unique_ptr<CovarianceStructure>(int size);

struct Registered {
  CovarianceStructureName called;
  MakeStructure* make;
};

}  // namespace

MakeStructure make_unstructured, make_diagonal, make_homogeneous_diagonal;
MakeStructure make_compound_symmetry, make_homogeneous_compound_symmetry;
MakeStructure make_autoregression, make_heterogeneous_autoregression;

namespace {

// Names as in glmmTMB, words and what they mean without `hom` as in lme4.
const std::vector<Registered>& registry() {
  static const std::vector<Registered> all{
      {{"unstructured", "us", false, true}, make_unstructured},
      {{"diagonal", "diag", false, true}, make_diagonal},
      {{"homdiag", "diag", true, false}, make_homogeneous_diagonal},
      {{"cs", "cs", false, true}, make_compound_symmetry},
      {{"homcs", "cs", true, false}, make_homogeneous_compound_symmetry},
      {{"ar1", "ar1", true, true}, make_autoregression},
      {{"hetar1", "ar1", false, false}, make_heterogeneous_autoregression},
  };
  return all;
}

}  // namespace

const std::vector<CovarianceStructureName>& covariance_structures() {
  static const std::vector<CovarianceStructureName> names = [] {
    std::vector<CovarianceStructureName> all;
    for (const Registered& one : registry()) all.push_back(one.called);
    return all;
  }();
  return names;
}

std::unique_ptr<CovarianceStructure> make_covariance_structure(const std::string& name, int size) {
  if (size < 1) throw std::invalid_argument("a random-effects term needs at least one column");
  std::string known;
  for (const Registered& one : registry()) {
    if (one.called.name == name) return one.make(size);
    known += (known.empty() ? "'" : ", '") + one.called.name + "'";
  }
  throw std::invalid_argument("unknown covariance structure '" + name + "': there are " + known);
}

}  // namespace crossnest
