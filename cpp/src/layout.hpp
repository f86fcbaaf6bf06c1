// A design without its rows, and its bytes.
#pragma once

#include <string>
#include <vector>

#include "crossnest/design.hpp"

namespace crossnest {

/// The design with no rows: a column of a term that is there points at one number.
Design without_rows(Design design);

/// What a design without rows says, as values.
struct Layout {
  struct Term {
    int factor = 0;
    std::vector<bool> covariates;  ///< by column: false for the constant 1
    std::string covariance;

    bool operator==(const Term& other) const;
    template <class Self, class Bytes>
    static void exchange(Self& self, Bytes& bytes) {
      bytes(self.factor);
      bytes(self.covariates);
      bytes(self.covariance);
    }
  };

  Index n = 0;  ///< rows that were added
  Index p = 0;
  std::vector<Index> levels;  ///< by grouping factor
  std::vector<Term> terms;

  Layout() = default;
  explicit Layout(const Design& design);
  Design design() const;
  bool operator==(const Layout& other) const;
  /// What was read from bytes may be anything.
  bool is_valid() const;
  /// See ByteWriter.
  template <class Self, class Bytes>
  static void exchange(Self& self, Bytes& bytes) {
    bytes(self.n);
    bytes(self.p);
    bytes(self.levels);
    bytes(self.terms);
  }
};

}  // namespace crossnest
