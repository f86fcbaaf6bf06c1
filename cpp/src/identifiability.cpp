#include "identifiability.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "as_vector.hpp"
#include "eigen_decompositions.hpp"
#include "shared_variances.hpp"

namespace crossnest {

namespace {

using Eigen::Map;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// A part of a squared norm this small is rounding.
constexpr double kNothing = 1e-10;
// How far an effect may be from a direction that is called by its name, in squared length.
constexpr double kSameAxis = 1e-8;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Where a term's effects are.
struct Place {
  int block, offset, k;
};

std::vector<Place> places_of(const Design& design, const std::vector<Block>& blocks) {
  std::vector<Place> places(design.terms.size());
  for (std::size_t b = 0; b < blocks.size(); ++b)
    for (std::size_t j = 0; j < blocks[b].terms.size(); ++j) {
      const int term = blocks[b].terms[j];
      places[at(term)] = {static_cast<int>(b), blocks[b].offsets[j],
                          static_cast<int>(design.terms[at(term)].columns.size())};
    }
  return places;
}

// Whether a term's covariance matrix is told by its effects one by one, not by directions.
bool by_effect(const CovarianceStructure& covariance) {
  return covariance.closed_under() != CovarianceStructure::ClosedUnder::any;
}

// Whether each of its effects has a variance that is free of the others.
bool is_diagonal(const CovarianceStructure& covariance) {
  return covariance.scales_only() && covariance.parameters() == covariance.size();
}

// An orthonormal basis of the column space of a matrix with orthogonal or independent columns.
MatrixXd orthonormal(const MatrixXd& columns) {
  return Eigen::HouseholderQR<MatrixXd>(columns).householderQ() *
         MatrixXd::Identity(columns.rows(), columns.cols());
}

// X'WX as far as it is not n I, for projections on X.
class Projection {
 public:
  explicit Projection(const CrossProducts& A) : A_(A), rank_(A.rank()) {
    const MatrixXd G =
        Map<const MatrixXd>(A.fixed_fixed().data(), rank_, rank_) / static_cast<double>(A.n());
    orthonormal_ =
        rank_ == 0 || (G - MatrixXd::Identity(rank_, rank_)).cwiseAbs().maxCoeff() < 1e-12;
    if (!orthonormal_) factor_.compute(G);
  }

  int rank() const { return rank_; }

  // Z_l'W(I - P_X)Z_l of a level of a term.
  MatrixXd residual(const Place& place, Index level, const MatrixXd& own) const {
    const int k = A_.k(place.block);
    const Map<const MatrixXd> all(A_.z_fixed(place.block).data() + level * k * Index{rank_}, k,
                                  rank_);
    MatrixXd B = all.middleRows(place.offset, place.k).transpose();
    if (!orthonormal_) factor_.matrixL().solveInPlace(B);
    return own - B.transpose() * B / static_cast<double>(A_.n());
  }

 private:
  const CrossProducts& A_;
  int rank_;
  bool orthonormal_;
  Eigen::LLT<MatrixXd> factor_;
};

MatrixXd level_products(const CrossProducts& A, const Place& place, Index level) {
  const int k = A.k(place.block);
  const Map<const MatrixXd> all(A.diagonal(place.block).data() + level * k * k, k, k);
  return all.block(place.offset, place.offset, place.k, place.k);
}

// Sums over the levels, each level divided by its trace so that weights of any spread count alike.
struct LevelSums {
  MatrixXd D, S;
  bool all_seen = false;  // broken off because S is positive definite
};

bool definite(const MatrixXd& S, bool diagonal, double threshold) {
  if (diagonal) return S.diagonal().minCoeff() > threshold;
  return Eigen::SelfAdjointEigenSolver<MatrixXd>(S, Eigen::EigenvaluesOnly).eigenvalues()(0) >
         threshold;
}

LevelSums sum_levels(const CrossProducts& A, const Projection& X, const Place& place, bool diagonal,
                     InterruptCheck& interrupt) {
  LevelSums sums{MatrixXd::Zero(place.k, place.k), MatrixXd::Zero(place.k, place.k)};
  const Index levels = A.levels(place.block);
  const double enough = 10.0 * kNothing * static_cast<double>(levels * place.k);
  Index look = 1;
  for (Index l = 0; l < levels; ++l) {
    interrupt.poll();
    const MatrixXd own = level_products(A, place, l);
    const double trace = own.trace();
    if (!(trace > 0.0)) continue;
    sums.D += own / trace;
    sums.S += X.residual(place, l, own) / trace;
    if (l + 1 < look) continue;
    look *= 2;
    sums.all_seen = definite(sums.S, diagonal, enough);
    if (sums.all_seen) break;
  }
  return sums;
}

// Directions v with v'Sv = 0, S <= D: first those with v'Dv = 0, `dependent` of them.
MatrixXd unseen_directions(const LevelSums& sums, Index& dependent) {
  const Eigen::SelfAdjointEigenSolver<MatrixXd> D(sums.D);
  const Index k = sums.D.rows();
  const double largest = D.eigenvalues()(k - 1);
  dependent = 0;
  while (dependent < k && !(D.eigenvalues()(dependent) > kNothing * largest)) ++dependent;
  if (dependent == k) return D.eigenvectors();  // all columns are zero
  const MatrixXd whitened =
      D.eigenvectors().rightCols(k - dependent) *
      D.eigenvalues().tail(k - dependent).cwiseSqrt().cwiseInverse().asDiagonal();
  const Eigen::SelfAdjointEigenSolver<MatrixXd> S(whitened.transpose() * sums.S * whitened);
  Index unseen = 0;
  while (unseen < S.eigenvalues().size() && S.eigenvalues()(unseen) < kNothing) ++unseen;
  MatrixXd directions(k, dependent + unseen);
  directions.leftCols(dependent) = D.eigenvectors().leftCols(dependent);
  directions.rightCols(unseen) = whitened * S.eigenvectors().leftCols(unseen);
  return directions;
}

// The effects that a space of directions (orthonormal columns, scaled user's coordinates) is about:
// those that lie within it, or, where it is not spanned by effects, all that take part.
std::vector<int> effects_of(const MatrixXd& space, bool& combination) {
  std::vector<int> within, involved;
  for (Index j = 0; j < space.rows(); ++j) {
    const double part = space.row(j).squaredNorm();
    if (part > 1.0 - kSameAxis) within.push_back(static_cast<int>(j));
    if (part > kSameAxis) involved.push_back(static_cast<int>(j));
  }
  combination = static_cast<Index>(within.size()) != space.cols();
  return combination ? involved : within;
}

// Orthogonal Q, its first columns spanning `space`; axes are left axes, to rounding.
MatrixXd completed(const MatrixXd& space) {
  const Index k = space.rows();
  MatrixXd all(k, space.cols() + k);
  all << space, MatrixXd::Identity(k, k);
  MatrixXd Q(k, k);
  Index found = 0;
  for (Index j = 0; j < all.cols() && found < k; ++j) {
    VectorXd column = all.col(j);
    for (int pass = 0; pass < 2; ++pass)
      column -= Q.leftCols(found) * (Q.leftCols(found).transpose() * column);
    if (column.norm() < 1e-4) continue;
    Q.col(found++) = column.normalized();
  }
  return Q;
}

class Search {
 public:
  Search(const Design& design, const std::vector<Block>& blocks,
         const CovarianceParameters& covariance, const Coordinates& coordinates,
         const CrossProducts& A, InterruptCheck& interrupt)
      : design_(design),
        covariance_(covariance),
        blocks_(blocks),
        coordinates_(coordinates),
        A_(A),
        interrupt_(interrupt),
        places_(places_of(design, blocks)) {
    found_.axes.resize(design.terms.size());
    found_.unseen.assign(design.terms.size(), 0);
    for (const Term& term : design.terms)
      hidden_.push_back(std::vector<bool>(term.columns.size(), false));
  }

  Identifiability run() {
    const Projection X(A_);
    for (int term = 0; term < terms(); ++term) find_unseen(term, X);
    for (const std::vector<int>& group : groups()) compare(group);
    for (int term = 0; term < terms(); ++term) compare_with_residual(term);
    for (Confounding& one : shared_variances(blocks_, covariance_, A_, found_.held, interrupt_))
      report(std::move(one));
    return std::move(found_);
  }

 private:
  // Effects that share one covariance matrix: a term, or one effect of a diagonal one.
  struct Unit {
    int term;
    std::vector<int> effects;
    std::vector<Index> columns;  // among those of the terms compared
  };

  int terms() const { return covariance_.terms(); }

  void hold(int parameter, double value, bool reml_only) {
    found_.held.push_back({parameter, value, reml_only});
  }

  void find_unseen(int term, const Projection& X) {
    const Place& place = places_[at(term)];
    const bool diagonal = by_effect(covariance_.of(term));
    const LevelSums sums = sum_levels(A_, X, place, diagonal, interrupt_);
    if (sums.all_seen) return;
    if (diagonal)
      unseen_scales(term, sums);
    else
      unseen_space(term, sums);
  }

  void unseen_scales(int term, const LevelSums& sums) {
    std::vector<bool> unseen;
    for (int j = 0; j < places_[at(term)].k; ++j)
      unseen.push_back(!(sums.S(j, j) > kNothing * sums.D(j, j)));
    const CovarianceStructure& covariance = covariance_.of(term);
    const std::vector<CovarianceLabel> labels = covariance.labels();
    std::vector<int> effects;
    for (const int a : covariance.undetermined(unseen)) {
      const CovarianceLabel& label = labels[at(a)];
      const bool correlation = label.kind == CovarianceLabel::Kind::correlation;
      hold(covariance_.first(term) + a, correlation ? 0.0 : 1.0, true);
      for (int j = 0; !correlation && j < places_[at(term)].k; ++j)
        if (label.row == j || label.row == CovarianceLabel::kAll) effects.push_back(j);
    }
    report({Confounding::Kind::fixed, term, effects});
  }

  void unseen_space(int term, const LevelSums& sums) {
    Index dependent = 0;
    const MatrixXd directions = unseen_directions(sums, dependent);
    if (directions.cols() == 0) return;
    const MatrixXd& T = coordinates_.random(term);
    const VectorXd size = sizes(term);
    const MatrixXd user = size.asDiagonal() * T.inverse() * directions;
    report_space(Confounding::Kind::dependent, term, user.leftCols(dependent));
    report_space(Confounding::Kind::fixed, term, user.rightCols(user.cols() - dependent));
    const int k = places_[at(term)].k, unseen = static_cast<int>(user.cols());
    const MatrixXd Q = completed(orthonormal(user).unaryExpr(
        [](double x) { return x * x < kSameAxis * kSameAxis ? 0.0 : x; }));
    if (k > 1) found_.axes[at(term)] = Q.transpose() * size.asDiagonal();
    found_.unseen[at(term)] = unseen;
    int parameter = covariance_.first(term);
    for (int column = 0; column < unseen; ++column)
      for (int row = column; row < k; ++row)
        hold(parameter++, row == column ? 1.0 : 0.0, column >= dependent);
  }

  void report_space(Confounding::Kind kind, int term, const MatrixXd& directions) {
    if (directions.cols() == 0) return;
    Confounding found{kind, term, {}};
    found.effects = effects_of(orthonormal(directions), found.combination);
    report(std::move(found));
  }

  // The root mean square of each of a term's columns of Z, as the user gave them.
  VectorXd sizes(int term) const {
    const Place& place = places_[at(term)];
    MatrixXd sum = MatrixXd::Zero(place.k, place.k);
    for (Index l = 0; l < A_.levels(place.block); ++l) sum += level_products(A_, place, l);
    const MatrixXd& T = coordinates_.random(term);
    const VectorXd squares = (T.transpose() * sum * T).diagonal() / static_cast<double>(A_.n());
    return squares.unaryExpr([](double x) { return x > 0.0 ? std::sqrt(x) : 1.0; });
  }

  // Effects of one diagonal term that another term has are one finding.
  void report(Confounding found) {
    if (found.effects.empty()) return;
    if (found.kind == Confounding::Kind::fixed && !found.combination)
      for (const int effect : found.effects) hidden_[at(found.term)][at(effect)] = true;
    for (Confounding& known : found_.confounded)
      if (known.kind == found.kind && known.term == found.term && known.other == found.other) {
        known.effects.insert(known.effects.end(), found.effects.begin(), found.effects.end());
        std::sort(known.effects.begin(), known.effects.end());
        return;
      }
    found_.confounded.push_back(std::move(found));
  }

  // Blocks with the same groups, as far as they have more than one term.
  std::vector<std::vector<int>> groups() const {
    std::vector<std::vector<int>> groups;
    std::vector<bool> taken(blocks_.size(), false);
    for (std::size_t s = 0; s < blocks_.size(); ++s) {
      if (taken[s]) continue;
      std::vector<int> group{static_cast<int>(s)};
      std::size_t terms = blocks_[s].terms.size();
      for (std::size_t t = s + 1; t < blocks_.size(); ++t) {
        const bool same = !taken[t] && blocks_[s].levels == blocks_[t].levels &&
                          A_.cross(static_cast<int>(s), static_cast<int>(t)).nested();
        if (!same) continue;
        taken[t] = true;
        group.push_back(static_cast<int>(t));
        terms += blocks_[t].terms.size();
      }
      if (terms > 1) groups.push_back(std::move(group));
    }
    return groups;
  }

  // Z'WZ of all effects on the same groups, each level divided by its trace.
  MatrixXd joint_products(const std::vector<int>& group, const std::vector<Index>& start) const {
    const Index m = start.back();
    MatrixXd sum = MatrixXd::Zero(m, m), level(m, m);
    for (Index l = 0; l < blocks_[at(group[0])].levels; ++l) {
      interrupt_.poll();
      std::vector<Index> own{l};
      for (std::size_t j = 1; j < group.size(); ++j)
        own.push_back(A_.cross(group[0], group[j]).column[at(l)]);
      for (std::size_t j = 0; j < group.size(); ++j) {
        const int t = group[j], k = A_.k(t);
        level.block(start[j], start[j], k, k) =
            Map<const MatrixXd>(A_.diagonal(t).data() + own[j] * k * k, k, k);
        for (std::size_t i = 0; i < j; ++i) {
          const int s = group[i], ks = A_.k(s);
          level.block(start[i], start[j], ks, k) =
              Map<const MatrixXd>(A_.cross(s, t).values.data() + own[i] * ks * k, ks, k);
          level.block(start[j], start[i], k, ks) =
              level.block(start[i], start[j], ks, k).transpose();
        }
      }
      sum += level / level.trace();
    }
    return sum;
  }

  // The units of a group of blocks, in the order of the terms. Effects that are not seen at all are
  // no part of them.
  std::vector<Unit> units_of(const std::vector<int>& group, const std::vector<Index>& start) const {
    std::vector<Unit> units;
    for (std::size_t i = 0; i < group.size(); ++i)
      for (const int term : blocks_[at(group[i])].terms) {
        const Place& place = places_[at(term)];
        const bool split = is_diagonal(covariance_.of(term));
        for (int first = 0; first < place.k; first += split ? 1 : place.k) {
          Unit unit{term, {}, {}};
          for (int j = first; j < (split ? first + 1 : place.k); ++j) {
            unit.effects.push_back(j);
            unit.columns.push_back(start[i] + place.offset + j);
          }
          const bool unseen = std::all_of(unit.effects.begin(), unit.effects.end(),
                                          [&](int j) { return hidden_[at(term)][at(j)]; });
          if (!unseen) units.push_back(std::move(unit));
        }
      }
    std::stable_sort(units.begin(), units.end(),
                     [](const Unit& a, const Unit& b) { return a.term < b.term; });
    return units;
  }

  // Of Z_a what the columns of Z_b leave: Z_a'W(I - P_b)Z_a.
  static MatrixXd left_over(const MatrixXd& G, const Unit& a, const Unit& b) {
    const MatrixXd own = G(a.columns, a.columns), across = G(a.columns, b.columns);
    const Eigen::SelfAdjointEigenSolver<MatrixXd> eigen(G(b.columns, b.columns));
    const VectorXd& values = eigen.eigenvalues();
    const double floor = kNothing * values(values.size() - 1);
    const VectorXd inverse =
        values.unaryExpr([floor](double x) { return x > floor ? 1.0 / x : 0.0; });
    const MatrixXd seen = across * eigen.eigenvectors();
    return own - seen * inverse.asDiagonal() * seen.transpose();
  }

  // The effects of a unit, as the user knows them, that the other one has as well.
  std::vector<int> common_effects(const MatrixXd& G, const Unit& a, const Unit& b) const {
    const MatrixXd left = left_over(G, a, b), own = G(a.columns, a.columns);
    const MatrixXd& T = coordinates_.random(a.term);
    std::vector<int> common;
    for (std::size_t j = 0; j < a.effects.size(); ++j) {
      const VectorXd v = a.effects.size() == 1 ? VectorXd::Ones(1) : VectorXd(T.col(a.effects[j]));
      if (v.dot(left * v) <= 10.0 * kNothing * v.dot(own * v)) common.push_back(a.effects[j]);
    }
    return common;
  }

  void compare(const std::vector<int>& group) {
    std::vector<Index> start{0};
    for (const int block : group) start.push_back(start.back() + A_.k(block));
    const std::vector<Unit> units = units_of(group, start);
    if (units.size() < 2) return;
    const MatrixXd G = joint_products(group, start);
    std::vector<bool> held(units.size(), false);
    const auto within = [&](const Unit& a, const Unit& b) {
      return !covariance_.restricted(b.term) && common_effects(G, a, b).size() == a.effects.size();
    };
    for (std::size_t i = units.size(); i-- > 0;)
      for (std::size_t j = 0; j < units.size() && !held[i]; ++j) {
        if (i == j || held[j] || !within(units[i], units[j])) continue;
        if (i < j && within(units[j], units[i])) continue;  // the later of two equals is held
        held[i] = true;
        repeat(units[i], units[j]);
      }
    for (std::size_t i = 0; i < units.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (!held[i] && !held[j] && units[i].effects.size() > 1 && units[j].effects.size() > 1 &&
            !covariance_.restricted(units[i].term) && !covariance_.restricted(units[j].term))
          report({Confounding::Kind::shared, units[i].term, common_effects(G, units[i], units[j]),
                  false, units[j].term});
  }

  // Holds at zero what has an effect of one and the same size for each observation. Effects that
  // are correlated with others are left alone: with them the variance is not that of the residual.
  void compare_with_residual(int term) {
    const Place& place = places_[at(term)];
    if (place.k > 1 && !is_diagonal(covariance_.of(term))) return;
    for (int j = 0; j < place.k; ++j) {
      const int parameter = covariance_.first(term) + j;
      const bool held =
          std::any_of(found_.held.begin(), found_.held.end(),
                      [parameter](const HeldParameter& one) { return one.parameter == parameter; });
      if (held || !is_like_residual(place, j)) continue;
      hold(parameter, 0.0, false);
      report({Confounding::Kind::residual, term, {j}});
    }
  }

  // Whether z_j'W z_j is one number for as many levels as there are rows: as each row has one
  // level, that makes it z_j z_j' = c W^-1.
  bool is_like_residual(const Place& place, int j) {
    const Index levels = A_.levels(place.block);
    if (levels < A_.n()) return false;
    const Index k = A_.k(place.block), entry = (place.offset + j) * (k + 1);
    const double* products = A_.diagonal(place.block).data() + entry;
    Index found = 0;
    double least = 0.0, most = 0.0;
    for (Index l = 0; l < levels; ++l) {
      interrupt_.poll();
      const double product = products[l * k * k];
      if (!(product > 0.0)) continue;
      least = found == 0 ? product : std::min(least, product);
      most = std::max(most, product);
      ++found;
    }
    return found == A_.n() && most - least <= 10.0 * kNothing * most;
  }

  void repeat(const Unit& unit, const Unit& other) {
    report({Confounding::Kind::repeated, unit.term, unit.effects, false, other.term});
    if (is_diagonal(covariance_.of(unit.term))) {
      hold(covariance_.first(unit.term) + unit.effects[0], 0.0, false);
      return;
    }
    const int count = covariance_.of(unit.term).parameters();
    for (int a = 0; a < count; ++a) hold(covariance_.first(unit.term) + a, 0.0, false);
  }

  const Design& design_;
  const CovarianceParameters& covariance_;
  const std::vector<Block>& blocks_;
  const Coordinates& coordinates_;
  const CrossProducts& A_;
  InterruptCheck& interrupt_;
  std::vector<Place> places_;
  std::vector<std::vector<bool>> hidden_;  // by term and effect: whether X hides it
  Identifiability found_;
};

// Whether every term is (1 | f), each with an f of its own.
bool intercepts_only(const Design& design, const std::vector<Block>& blocks) {
  return blocks.size() == design.terms.size() &&
         std::all_of(design.terms.begin(), design.terms.end(), [](const Term& term) {
           return term.columns.size() == 1 && term.columns[0] == nullptr;
         });
}

// Z_t'Wy of a block of intercepts, y with a mean of zero where X has a constant.
VectorXd level_totals(const CrossProducts& A, int block, const double* Zy, double scale,
                      const VectorXd& beta0) {
  const Index levels = A.levels(block);
  const Map<const MatrixXd> products(A.z_fixed(block).data(), A.rank(), levels);
  return products.transpose() * beta0 + scale * Map<const VectorXd>(Zy, levels);
}

}  // namespace

std::vector<HeldParameter> held_parameters(const Identifiability& found, const Design& design,
                                           const std::vector<Block>& blocks,
                                           const Coordinates& coordinates, const CrossProducts& A,
                                           const Response& response) {
  std::vector<HeldParameter> held = found.held;
  if (held.empty() || !intercepts_only(design, blocks)) return held;
  const Index r = A.rank();
  const double s = response.scale;
  VectorXd beta0 = as_vector(response.beta0);
  if (coordinates.intercept() >= 0) beta0(0) = 0.0;
  const Map<const MatrixXd> XX(A.fixed_fixed().data(), r, r);
  const Map<const VectorXd> Xy(response.Xy.data(), r);
  VectorXd between(static_cast<Index>(design.terms.size()));
  double mean = 0.0;  // the part of y'Wy that is that of its mean
  const double* Zy = response.Zy.data();
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const VectorXd totals = level_totals(A, static_cast<int>(t), Zy, s, beta0);
    Zy += totals.size();
    const Map<const VectorXd> sizes(A.diagonal(static_cast<int>(t)).data(), totals.size());
    mean = totals.sum() * totals.sum() / sizes.sum();
    between(blocks[t].terms[0]) = (totals.array().square() / sizes.array()).sum() - mean;
  }
  const double total = beta0.dot(XX * beta0 + 2.0 * s * Xy) + s * s * response.yy;
  const double within = total - mean - between.sum();
  if (!(within > 0.0) || between.minCoeff() < 0.0) return held;
  for (HeldParameter& one : held)
    if (one.value > 0.0) one.value = std::sqrt(between(one.parameter) / within);
  return held;
}

Identifiability identify(const Design& design, const std::vector<Block>& blocks,
                         const CovarianceParameters& covariance, const Coordinates& coordinates,
                         const CrossProducts& A, InterruptCheck& interrupt) {
  return Search(design, blocks, covariance, coordinates, A, interrupt).run();
}

}  // namespace crossnest
