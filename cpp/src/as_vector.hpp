// Numbers of the standard library's as a vector of Eigen's.
#pragma once

#include <vector>

#include "eigen_products.hpp"

namespace crossnest {

inline Eigen::Map<const Eigen::VectorXd> as_vector(const std::vector<double>& numbers) {
  return {numbers.data(), static_cast<Eigen::Index>(numbers.size())};
}

}  // namespace crossnest
