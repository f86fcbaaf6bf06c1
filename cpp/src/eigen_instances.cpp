// The instances that eigen_products.hpp and eigen_decompositions.hpp declare.
#define CROSSNEST_DECLARED

#include "eigen_decompositions.hpp"
